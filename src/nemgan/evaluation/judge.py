"""An independent classifier of the real classes, to judge generated samples with. For evaluation only.

The judge is the one place where the true labels of the training split are used in full. It is trained after the
model, apart from it, and nothing of it (labels, weights, gradients, features) reaches the training of any model.
What it says of generated samples is as good as its accuracy on the test split, which is measured and reported.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as replace_field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.callers import as_by_default
from nemgan.data import stacked
from nemgan.data.dataset import Dataset, Splits
from nemgan.errors import DataError
from nemgan.parts import by_parts
from nemgan.seeding import isolated, numpy_generator, torch_generator
from nemgan.storage import replace_file

Array = NDArray[Any]
VERSION = 1
"""Counted up whenever the judge or its training changes, so that no cached judge outlives them."""
MOST_SAMPLES = 20_000
BATCH = 128
EPOCHS, FEWEST_STEPS, MOST_STEPS = 6, 400, 940


def _convolution(channels: int, out: int, size: int, stride: int) -> list[nn.Module]:
    """A convolution, batch norm and ReLU; a stride of 2 halves the image (rounded up)."""
    kernel = nn.Conv2d(channels, out, size, stride, padding=size // 2, bias=False)
    return [kernel, nn.BatchNorm2d(out), nn.ReLU()]


class Net(nn.Module):
    """Convolutions that halve the image down to 4 pixels or fewer, or two dense layers for vectors; 64 features."""

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        self.offset: Tensor
        self.scale: Tensor
        self.register_buffer("offset", torch.zeros(shape if len(shape) == 1 else 1))
        self.register_buffer("scale", torch.full_like(self.offset, 255.0 if len(shape) == 3 else 1.0))
        layers: list[nn.Module] = []
        if len(shape) == 3:
            channels, height, width = shape
            out = 16
            layers += _convolution(channels, out, 3, 1) if min(height, width) <= 16 else []
            channels = out if layers else channels
            while max(height, width) > 4:
                layers += _convolution(channels, out, 3, 2)
                channels, out, height, width = out, min(2 * out, 64), (height + 1) // 2, (width + 1) // 2
            layers += [nn.Flatten(), nn.Linear(channels * height * width, 64), nn.BatchNorm1d(64), nn.ReLU()]
        else:
            layers += [nn.Linear(shape[0], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(64, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Features ``(N, 64)`` of raw samples (uint8 images or float vectors)."""
        return self.body((x.float() - self.offset) / self.scale)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, n_classes)`` of raw samples."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Judge:
    """A trained judge, on the CPU.

    Attributes:
        shape: shape of one sample.
        n_classes: number of classes it tells apart.
        accuracy: on the labelled samples of the test split; None where there are none.
        of_channels: it is a judge of digits that looks at each colour channel apart (stacked MNIST); its class is the
            mode that the three digits make, its features are those of the three.
    """

    net: Net
    shape: tuple[int, ...]
    n_classes: int
    accuracy: float | None
    of_channels: bool = False

    def predict(self, x: Array) -> NDArray[np.int64]:
        """Class ``(N,)`` of raw samples as in a data set: uint8 images ``(N, C, H, W)``, float32 vectors ``(N, D)``."""
        logits = self._run(x, self.net)
        if self.of_channels:
            return stacked.mode_of(logits.reshape(len(x), stacked.CHANNELS, stacked.DIGITS).argmax(2).astype(np.int64))
        classes: NDArray[np.int64] = logits.argmax(1).astype(np.int64)
        return classes

    def features(self, x: Array) -> NDArray[np.float32]:
        """Penultimate features ``(N, 64)`` of raw samples; ``(N, 192)`` where each channel is looked at apart."""
        return self._run(x, self.net.features)

    def _run(self, x: Array, function: Any) -> NDArray[np.float32]:
        wanted = np.uint8 if len(self.shape) == 3 else np.float32
        if x.shape[1:] != self.shape or x.dtype != wanted:
            raise DataError(
                f"the judge takes {np.dtype(wanted)} samples of shape {self.shape}, not {x.dtype} of {x.shape[1:]}"
            )
        n = len(x)
        x = x.reshape(-1, 1, *self.shape[1:]) if self.of_channels else x
        with torch.no_grad():
            found: NDArray[np.float32] = by_parts(lambda at: function(torch.tensor(x[at])), len(x), 512).numpy()
        return found.reshape(n, found.shape[1] * (self.shape[0] if self.of_channels else 1))


@as_by_default()
def judge_of(splits: Splits, seed: int, cache: Path | None = None) -> Judge | None:
    """The judge of a data set, trained on the labels of ``splits.train``; None where they show fewer than two classes.

    The same data and seed give the same judge. The caller's random state is untouched.

    Args:
        cache: folder in which judges are kept and looked up; a damaged file there is ignored and written anew.
    """
    known = splits.train.y >= 0
    if len(np.unique(splits.train.y[known])) < 2:
        return None
    if splits.train.name == stacked.NAME:
        return _judge_of_stacked(splits, seed, cache)
    train = splits.train.take(known)
    if len(train) > MOST_SAMPLES:
        keep = numpy_generator(seed, "judge", "subset").choice(len(train), MOST_SAMPLES, replace=False)
        train = train.take(np.sort(keep))
    test = splits.test
    digest = _digest(train, test, seed)
    path = cache / f"judge-{digest[:16]}.safetensors" if cache is not None else None
    with isolated(seed, "judge", "init"):
        net = Net(train.shape, train.n_classes)
    if path is not None and (record := _load(path, digest, net)) is not None:
        return Judge(net, train.shape, train.n_classes, record["accuracy"])
    _train(net, train, seed)
    judge = Judge(net, train.shape, train.n_classes, None)
    known = test.y >= 0
    if known.any():
        judge = replace_field(judge, accuracy=float((judge.predict(test.x[known]) == test.y[known]).mean()))
    if path is not None:
        _save(path, digest, judge)
    return judge


def _judge_of_stacked(splits: Splits, seed: int, cache: Path | None) -> Judge | None:
    """A judge of the digits in the channels: a classifier of 1,000 classes would have 60 samples of each."""
    digits = judge_of(Splits(stacked.channels(splits.train), stacked.channels(splits.test)), seed, cache)
    if digits is None:
        return None
    judge = Judge(digits.net, splits.test.shape, stacked.MODES, None, of_channels=True)
    known = splits.test.y >= 0
    right = judge.predict(splits.test.x[known]) == splits.test.y[known]
    return replace_field(judge, accuracy=float(right.mean()) if known.any() else None)


def _train(net: Net, data: Dataset, seed: int) -> None:
    """Adam, one learning-rate cycle, cross-entropy; images are shifted at random by up to a twelfth of their side."""
    x, y = torch.tensor(np.asarray(data.x)), torch.tensor(data.y)
    if data.kind == "vector":
        scale = x.std(0, unbiased=False)
        net.offset.copy_(x.mean(0))
        net.scale.copy_(torch.where(scale > 0, scale, torch.ones_like(scale)))
    batch = min(BATCH, len(x))
    steps = min(max(EPOCHS * len(x) // batch, FEWEST_STEPS), MOST_STEPS)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=5e-3, total_steps=steps)
    rng = torch_generator(seed, "judge", "batches")
    net.train()
    order = torch.empty(0, dtype=torch.int64)
    with torch.enable_grad():
        for _ in range(steps):
            if len(order) < batch:
                order = torch.randperm(len(x), generator=rng)
            index, order = order[:batch], order[batch:]
            loss = F.cross_entropy(net(_shifted(x[index], rng)), y[index], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    net.eval().requires_grad_(False)


def _shifted(x: Tensor, rng: torch.Generator) -> Tensor:
    """Images moved by a random whole number of pixels each way, their edge repeated; vectors as they are."""
    if x.ndim == 2:
        return x
    n, _, height, width = x.shape
    most = max(1, min(height, width) // 12)
    rows, columns = (torch.randint(-most, most + 1, (n, 1), generator=rng) for _ in range(2))
    rows = (rows + torch.arange(height)).clamp(0, height - 1)
    columns = (columns + torch.arange(width)).clamp(0, width - 1)
    return x[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _digest(train: Dataset, test: Dataset, seed: int) -> str:
    """Names the judge: what it learned from, what it was measured on, its seed and its version."""
    digest = hashlib.blake2b(f"{VERSION}/{seed}/{train.n_classes}/{train.shape}".encode(), digest_size=16)
    for data in (train, test):
        digest.update(np.ascontiguousarray(data.x).data)
        digest.update(np.ascontiguousarray(data.y).data)
    return digest.hexdigest()


def _save(path: Path, digest: str, judge: Judge) -> None:
    """Weights and, as JSON in the header, what they are. A full disk costs the cache alone."""
    record = json.dumps({"digest": digest, "accuracy": judge.accuracy})
    data = save(judge.net.state_dict(), metadata={"judge": record})
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)


def _load(path: Path, digest: str, net: Net) -> dict[str, Any] | None:
    """Fill ``net`` from ``path`` and return its record; None where the file is missing, damaged or of other data."""
    try:
        with safe_open(path, framework="pt") as file:
            record: dict[str, Any] = json.loads((file.metadata() or {})["judge"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if record["digest"] != digest or not isinstance(record["accuracy"], float | None):
            return None
        net.load_state_dict(weights)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError):
        return None
    net.eval().requires_grad_(False)
    return record
