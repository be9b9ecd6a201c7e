"""Data by name: the named sets, what is known of them without reading a file, and how to load them or a user's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from nemgan.data import files, labels, synthetic
from nemgan.data.columns import Columns
from nemgan.data.dataset import Dataset, Splits
from nemgan.data.download import ensure
from nemgan.data.images import CELEBA, CIFAR10, DIGITS, FASHION_MNIST, MNIST, ImageSet
from nemgan.data.stacked import STACKED_MNIST
from nemgan.data.subsets import counts_for, impose_masses, merge_classes
from nemgan.errors import DataError, unknown
from nemgan.seeding import derive, numpy_generator


@dataclass(frozen=True)
class Entry:
    """What is known of a named set without reading it.

    Attributes:
        summary: one sentence.
        shape: shape of one sample, ``(C, H, W)`` or ``(D,)``.
        masses: true share of each class in the training split.
        n_train, n_test: number of samples in each split.
        source: where the raw files come from.
        files: raw files that must be under the data root; none for sets that need no file.
    """

    name: str
    summary: str
    shape: tuple[int, ...]
    class_names: tuple[str, ...]
    masses: tuple[float, ...]
    n_train: int
    n_test: int
    source: str
    licence: str
    files: tuple[str, ...] = ()

    def on_disk(self, root: Path | None = None) -> bool:
        """Whether the set can be loaded without a network."""
        images = _recipe(self.name).images
        return images is None or not images.missing(root or data_root())


@dataclass(frozen=True)
class _Recipe:
    """An image set with its classes grouped and masses imposed, or else a synthetic set."""

    summary: str
    images: ImageSet | None = None
    groups: tuple[tuple[int, ...], ...] | None = None
    masses: tuple[float, ...] | None = None
    draw: Callable[..., Dataset] | None = None
    """``draw(n, seed=…)`` where there is no image set."""


# The set of `nemgan demo`: which digits make a cluster, and the masses of the clusters.
_DIGITS_DEMO = ((0,), (4,), (7,)), (0.5, 0.3, 0.2)

_MNIST_5 = (3, 5, 8), (2,), (1, 4, 7, 9), (6,), (0,)
_FMNIST_5 = (5, 7, 9), (8,), (2, 4, 6), (0, 3), (1,)
_DRAWN = 4000, 2000  # samples of a synthetic set: training, test


def _pair(images: ImageSet, first: int, second: int, percent: int) -> _Recipe:
    masses = (percent / 100, (100 - percent) / 100)
    a, b = images.class_names[first], images.class_names[second]
    summary = f"{images.title} {a} against {b}, {percent} : {100 - percent}."
    return _Recipe(summary, images, ((first,), (second,)), masses)


_RECIPES: dict[str, _Recipe] = {
    "digits-demo": _Recipe("Three kinds of real 8 × 8 digits, of unequal masses.", DIGITS, *_DIGITS_DEMO),
    "digits": _Recipe("All ten 8 × 8 digits, nearly balanced.", DIGITS),
    "moons-80": _Recipe("Two moons, 80 : 20.", masses=(0.8, 0.2), draw=partial(synthetic.moons, masses=(0.8, 0.2))),
    "ring-8": _Recipe("Eight equal Gaussians on a ring.", masses=(1 / 8,) * 8, draw=synthetic.ring),
    "mnist-2-0v4-70": _pair(MNIST, 0, 4, 70),
    "mnist-2-0v4-90": _pair(MNIST, 0, 4, 90),
    "mnist-2-3v5-70": _pair(MNIST, 3, 5, 70),
    "mnist-2-3v5-90": _pair(MNIST, 3, 5, 90),
    "mnist-5": _Recipe("MNIST digits in five groups of look-alikes, masses from .10 to .41.", MNIST, _MNIST_5),
    "fmnist-5": _Recipe("Fashion-MNIST clothes in five groups of look-alikes, .1 to .3.", FASHION_MNIST, _FMNIST_5),
    "cifar-2-70": _pair(CIFAR10, 6, 0, 70),
    "cifar-2-90": _pair(CIFAR10, 6, 0, 90),
    "celeba-black-hair": _Recipe("Faces with and without black hair, 24 : 76 (masses rounded as published).", CELEBA),
    "mnist": _Recipe("All ten MNIST digits, nearly balanced.", MNIST),
    "fmnist": _Recipe("All ten Fashion-MNIST classes, balanced.", FASHION_MNIST),
    "mnist-7": _Recipe("MNIST digit 7 alone, to find modes inside it.", MNIST, ((7,),)),
    "mnist-4": _Recipe("MNIST digit 4 alone, to find modes inside it.", MNIST, ((4,),)),
    "cifar-10": _Recipe("All ten CIFAR-10 classes, balanced.", CIFAR10),
    "stacked-mnist": _Recipe("A random MNIST digit in each colour channel: 1,000 equal modes.", STACKED_MNIST),
}


def names() -> list[str]:
    """The named sets, small ones first."""
    return list(_RECIPES)


def entry(name: str) -> Entry:
    """What is known of the set ``name``; reads no file.

    Raises:
        DataError: an unknown name; the closest one is suggested.
    """
    recipe = _recipe(name)
    if recipe.images is None:
        sample = _synthetic(name, recipe, 0).test
        masses = recipe.masses or ()
        return Entry(
            name, recipe.summary, sample.shape, sample.class_names, masses, *_DRAWN, "drawn when loaded", "none needed"
        )
    images = recipe.images
    train, test = (_counts(counts, recipe) for counts in (images.train_counts, images.test_counts))
    masses = recipe.masses or tuple(n / sum(train) for n in train)
    return Entry(
        name,
        recipe.summary,
        images.shape,
        _class_names(images, recipe),
        masses,
        sum(train),
        sum(test),
        images.source,
        images.licence,
        images.files,
    )


def data_root() -> Path:
    """The folder of the raw files: ``NEMGAN_DATA``, or ``~/.cache/nemgan/data`` where that is not set."""
    given = os.environ.get("NEMGAN_DATA")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "nemgan" / "data"


def load(
    name_or_path: str | Path,
    *,
    seed: int = 0,
    root: Path | None = None,
    download: bool = False,
    how: files.Reading | None = None,
    few: Path | None = None,
    known: Columns | None = None,
    sparing: bool = False,
) -> Splits:
    """The named set, or a user's own data at a path (see :mod:`nemgan.data.files`).

    The same ``seed`` gives the same samples. Masses are imposed on the test split too, which is the official one where
    there is one. A name is taken for a named set before it is taken for a path; "./mnist" is always a path.

    Args:
        root: where the raw files are, by default :func:`data_root`.
        download: fetch raw files that are missing.
        how: what the reader of a path is told beside it.
        few: a CSV of few labels; samples of a named set have the numbers of their rows in the training split.
        known, sparing: of a path, as in :func:`nemgan.data.files.load`.

    Raises:
        DataError: unknown name, nothing at the path, files missing or damaged.
    """
    name = str(name_or_path)
    if isinstance(name_or_path, Path) or name not in _RECIPES:
        if isinstance(name_or_path, Path) or _like_path(name):
            own = files.load(Path(name_or_path).expanduser(), seed, how, few, known, sparing)
            return _renamed(own, f"./{own.train.name}") if own.train.name in _RECIPES else own
        near = get_close_matches(name, [*_RECIPES, *(found.name for found in Path().glob("*"))], n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else "give a path that exists, or a name of nemgan data"
        raise DataError(f"data={name!r}: no file or folder in {Path().absolute()} nor data set has that name; {hint}")
    if how not in (None, files.Reading()):
        raise DataError(f"{name} is a named set: drop label_column=, id_column=, drop=, impute= and skip_bad=")
    splits = _named(name, seed, root or data_root(), download)
    if few is None:
        return splits
    given = labels.read_labels(few, [str(i) for i in range(len(splits.train))])
    return replace(splits, few=labels.codes(given, splits.train.class_names, str(few)))


def _named(name: str, seed: int, root: Path, download: bool) -> Splits:
    recipe = _RECIPES[name]
    if recipe.images is None:
        return _synthetic(name, recipe, seed)
    ensure(recipe.images, root, download=download)
    raw = recipe.images.read(root)
    return Splits(_subset(raw.train, recipe, name, seed, "train"), _subset(raw.test, recipe, name, seed, "test"))


def _renamed(splits: Splits, name: str) -> Splits:
    return replace(splits, train=replace(splits.train, name=name), test=replace(splits.test, name=name))


def _like_path(text: str) -> bool:
    like = text.startswith(("~", ".")) or "/" in text or os.sep in text or text.endswith(files.SUFFIXES)
    return like or os.path.exists(text)


def _recipe(name: str) -> _Recipe:
    if name not in _RECIPES:
        raise unknown("data set", name, _RECIPES, DataError)
    return _RECIPES[name]


def _synthetic(name: str, recipe: _Recipe, seed: int) -> Splits:
    assert recipe.draw is not None
    train, test = (
        replace(recipe.draw(n, seed=derive(seed, "data", name, part)), name=name)
        for n, part in zip(_DRAWN, ("train", "test"), strict=True)
    )
    return Splits(train, test)


def _subset(data: Dataset, recipe: _Recipe, name: str, seed: int, part: str) -> Dataset:
    if recipe.groups:
        data = merge_classes(data, recipe.groups)
    if recipe.masses:
        data = impose_masses(data, recipe.masses, numpy_generator(seed, "data", name, part))
    return replace(data, name=name)


def _counts(counts: tuple[int, ...], recipe: _Recipe) -> tuple[int, ...]:
    """Samples per class of the set, from those of the raw split."""
    if recipe.groups:
        counts = tuple(sum(counts[c] for c in group) for group in recipe.groups)
    return counts_for(counts, recipe.masses) if recipe.masses else counts


def _class_names(images: ImageSet, recipe: _Recipe) -> tuple[str, ...]:
    if not recipe.groups:
        return images.class_names
    return tuple(" + ".join(images.class_names[c] for c in group) for group in recipe.groups)
