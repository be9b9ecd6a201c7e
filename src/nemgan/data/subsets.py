"""Subsets of labelled data: merged classes, imposed masses, hidden labels.

Every draw comes from the generator that is passed in, so the same generator state gives the same subset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from nemgan.data.dataset import UNLABELLED, Dataset
from nemgan.errors import DataError

_FINEST = 1000  # masses are taken as fractions p/q with q up to this


def merge_classes(data: Dataset, groups: Sequence[Sequence[int]], names: Sequence[str] | None = None) -> Dataset:
    """Samples of the classes in ``groups``, group ``k`` becoming class ``k``; samples of other classes are dropped.

    Args:
        names: one name per group; by default the names of its classes joined by " + ".

    Raises:
        DataError: an unknown class, a class in two groups, an empty group, unlabelled samples.
    """
    members = [c for group in groups for c in group]
    if not groups or not all(len(group) for group in groups):
        raise DataError(f"cannot merge classes of {data.name!r}: every group needs at least one class")
    bad = [c for c in members if not 0 <= c < data.n_classes]
    if bad:
        raise DataError(f"data {data.name!r} has no class {bad[0]}: its classes are 0 … {data.n_classes - 1}")
    if len(set(members)) < len(members):
        twice = next(c for c in members if members.count(c) > 1)
        raise DataError(f"class {twice} of {data.name!r} is in more than one group: keep it in one")
    if names is not None and len(names) != len(groups):
        raise DataError(f"{len(groups)} groups but {len(names)} names: give one name a group")
    _need_labels(data, "merge classes")
    group_of = np.full(data.n_classes, UNLABELLED)
    for k, group in enumerate(groups):
        group_of[list(group)] = k
    y = group_of[data.y]
    keep = np.flatnonzero(y >= 0)
    if not len(keep):
        raise DataError(f"data {data.name!r} has no sample of classes {members}: choose classes that occur in it")
    names = names or [" + ".join(data.class_names[c] for c in group) for group in groups]
    return replace(data.take(keep), y=y[keep], class_names=tuple(names))


def counts_for(available: Sequence[int], masses: Sequence[float]) -> tuple[int, ...]:
    """The largest sample counts, at most ``available``, in the proportions ``masses``.

    Masses with a common denominator (up to 1000) are met exactly: .7 and .3 of (6131, 5421) are 6125 and 2625.
    Others, and sets too small for that, are met to within one sample a class.

    Raises:
        DataError: masses not positive or not summing to one, a class without samples or left without one.
    """
    shares = np.asarray(masses, np.float64)
    if len(shares) != len(available):
        raise DataError(f"{len(available)} classes but {len(shares)} masses: give one mass a class")
    if not np.isfinite(shares).all() or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise DataError(f"masses {_listed(masses)} sum to {shares.sum():.6g}: give positive masses that sum to 1")
    if min(available) < 1:
        raise DataError(f"class {int(np.argmin(available))} has no samples: no mass can be given to it")
    exact = [Fraction(float(m)).limit_denominator(_FINEST) for m in shares]
    if sum(exact) == 1 and max(abs(float(f) - m) for f, m in zip(exact, shares, strict=True)) < 1e-9:
        unit = lcm(*(f.denominator for f in exact))
        parts = [int(f * unit) for f in exact]
        times = min(n // p for n, p in zip(available, parts, strict=True))
        if times:
            return tuple(p * times for p in parts)
    total = int(min(n / m for n, m in zip(available, shares, strict=True)))
    while True:  # once, but for rounding in the last bit of n / m
        counts = share_out(total, shares.tolist())
        if all(c <= n for c, n in zip(counts, available, strict=True)):
            break
        total -= 1
    if min(counts) < 1:
        k = int(np.argmin(counts))
        raise DataError(f"mass {shares[k]:g} of {sum(available)} samples leaves class {k} none: give it a larger mass")
    return counts


def share_out(total: int, masses: Sequence[float]) -> tuple[int, ...]:
    """``total`` divided in the proportions ``masses`` by largest remainders; sums to ``total`` exactly."""
    ideal = total * np.asarray(masses, np.float64)
    counts = np.floor(ideal + 1e-9).astype(int)
    order = np.argsort(-(ideal - counts), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return tuple(int(c) for c in counts)


def impose_masses(data: Dataset, masses: Sequence[float], rng: np.random.Generator) -> Dataset:
    """A random subset in which class ``k`` has mass ``masses[k]``, with as many samples as possible, in their order.

    Raises:
        DataError: masses that cannot be had (see :func:`counts_for`), unlabelled samples.
    """
    _need_labels(data, "impose masses")
    available = np.bincount(data.y, minlength=data.n_classes).tolist()
    counts = counts_for(available, masses)
    kept = [rng.choice(np.flatnonzero(data.y == k), n, replace=False) for k, n in enumerate(counts)]
    return data.take(np.sort(np.concatenate(kept)))


def hide_labels(data: Dataset, share: float, rng: np.random.Generator) -> Dataset:
    """The same samples with a random ``share`` of the labels disclosed and the rest −1; 0 hides all, 1 none.

    Raises:
        DataError: a share outside [0, 1], or so small that no label would be disclosed.
    """
    if not 0 <= share <= 1:
        raise DataError(f"share of labels {share!r} is not between 0 and 1: give a fraction, .01 for 1 %")
    known = np.flatnonzero(data.y >= 0)
    n = round(share * len(known))
    if share > 0 and n == 0:
        least = f": give at least {1 / len(known):.2g}, or 0 for none" if len(known) else " (it has none): give 0"
        raise DataError(f"share {share:g} discloses no label of {data.name!r}{least}")
    shown = rng.choice(known, n, replace=False) if n else known[:0]
    y = np.full(len(data), UNLABELLED, np.int64)
    y[shown] = data.y[shown]
    return replace(data, y=y)


def apart(
    n: int, share: float, rng: np.random.Generator, name: str, spare: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Which of ``n`` samples are set aside, ``(n,)``: a random ``share``, at least one; of those to ``spare`` last.

    One that is spared has another in its place; the rest are those that would be set aside if none were spared.

    Raises:
        DataError: fewer than two samples.
    """
    if n < 2:
        raise DataError(f"data {name!r} has {n} sample: give at least 2, one is held out for testing")
    aside, wanted = np.zeros(n, bool), max(1, round(share * n))
    drawn = rng.choice(n, wanted, replace=False)
    if spare is not None:
        order = np.concatenate([drawn, rng.permutation(np.setdiff1d(np.arange(n), drawn))])
        drawn = order[np.argsort(spare[order], kind="stable")][:wanted]
    aside[drawn] = True
    return aside


def _need_labels(data: Dataset, what: str) -> None:
    hidden = int((data.y < 0).sum())
    if hidden:
        raise DataError(f"cannot {what} of {data.name!r}: {hidden} samples are unlabelled; label or drop them")


def _listed(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{float(v):g}" for v in values) + "]"
