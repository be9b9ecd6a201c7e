"""The numbers that the paper prints, as printed (Mishra, Jayendran and Prathosh 2020), keyed by our names of the data.

Rows of tables I, II and IV are told apart by the conditions that a model meets; ``MODELS`` says which model stands for
which (section IV). Nothing here is computed; whether a row can be true is ``attainable.py``'s question.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One model on one data set: clustering figures in [0, 1], and the distance that the paper calls FID."""

    acc: float
    nmi: float
    ari: float
    fid: float


NONE, C1, C2, C12, C123 = "Ĉ1 Ĉ2 Ĉ3", "C1 Ĉ2 Ĉ3", "Ĉ1 C2 Ĉ3", "C1 C2 Ĉ3", "C1 C2 C3"
CONDITIONS = (NONE, C1, C2, C12, C123)

MODELS: dict[str, tuple[str, ...]] = {
    NONE: ("wgan-gp",),
    C1: ("deligan",),
    C2: ("ali", "bigan"),
    C12: ("infogan", "clustergan"),
    C123: ("nemgan",),
}


def _rows(*figures: tuple[float, float, float, float]) -> dict[str, Row]:
    return {conditions: Row(*each) for conditions, each in zip(CONDITIONS, figures, strict=True)}


TABLE_1 = {
    "mnist-2-3v5-70": _rows(
        (0.64, 0.06, 0.08, 19.76),
        (0.66, 0.13, 0.11, 10.14),
        (0.75, 0.20, 0.25, 15.11),
        (0.81, 0.40, 0.38, 4.63),
        (0.98, 0.89, 0.93, 1.33),
    ),
    "mnist-2-3v5-90": _rows(
        (0.64, 0.09, 0.07, 20.32),
        (0.59, 0.15, 0.13, 11.45),
        (0.61, 0.24, 0.25, 10.84),
        (0.77, 0.33, 0.54, 6.08),
        (0.98, 0.86, 0.91, 1.66),
    ),
    "mnist-5": _rows(
        (0.51, 0.21, 0.19, 20.64),
        (0.71, 0.55, 0.52, 12.07),
        (0.76, 0.59, 0.64, 15.31),
        (0.74, 0.65, 0.71, 4.92),
        (0.96, 0.89, 0.89, 1.13),
    ),
    "fmnist-5": _rows(
        (0.62, 0.30, 0.30, 10.46),
        (0.77, 0.66, 0.61, 5.41),
        (0.75, 0.68, 0.65, 9.20),
        (0.81, 0.72, 0.74, 4.42),
        (0.92, 0.81, 0.81, 0.69),
    ),
}

TABLE_2 = {
    "cifar-2-70": _rows(
        (0.66, 0.41, 0.46, 55.54),
        (0.70, 0.51, 0.54, 42.87),
        (0.75, 0.60, 0.63, 47.35),
        (0.72, 0.68, 0.65, 44.38),
        (0.88, 0.70, 0.75, 31.15),
    ),
    "cifar-2-90": _rows(
        (0.50, 0.19, 0.17, 58.45),
        (0.54, 0.18, 0.29, 43.87),
        (0.63, 0.26, 0.39, 48.16),
        (0.67, 0.22, 0.21, 42.01),
        (0.83, 0.26, 0.28, 32.86),
    ),
    "celeba-black-hair": _rows(
        (0.55, 0.02, 0.01, 150.2),
        (0.58, 0.15, 0.14, 110.9),
        (0.57, 0.14, 0.23, 83.56),
        (0.64, 0.18, 0.26, 67.1),
        (0.81, 0.30, 0.38, 62.9),
    ),
}

TABLE_4 = {
    "mnist": _rows(
        (0.64, 0.61, 0.49, 10.83),
        (0.89, 0.86, 0.82, 8.74),
        (0.89, 0.90, 0.84, 7.34),
        (0.95, 0.89, 0.89, 1.84),
        (0.96, 0.91, 0.92, 1.82),
    ),
    "fmnist": _rows(
        (0.34, 0.27, 0.20, 19.80),
        (0.61, 0.59, 0.44, 12.44),
        (0.55, 0.60, 0.44, 6.95),
        (0.63, 0.64, 0.50, 0.56),
        (0.65, 0.70, 0.63, 0.55),
    ),
    "cifar-10": _rows(
        (0.24, 0.36, 0.26, 46.80),
        (0.43, 0.39, 0.46, 40.44),
        (0.52, 0.42, 0.48, 36.95),
        (0.60, 0.68, 0.69, 29.66),
        (0.67, 0.76, 0.72, 26.35),
    ),
}

# Table III: (masses of the data, masses learned from 1 % of the labels). In FMNIST-5's order of classes.
TABLE_3: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "mnist-2-3v5-70": ((0.7, 0.3), (0.709, 0.291)),
    "mnist-2-3v5-90": ((0.9, 0.1), (0.891, 0.109)),
    "mnist-5": ((0.3, 0.1, 0.4, 0.1, 0.1), (0.291, 0.095, 0.419, 0.095, 0.099)),
    "fmnist-5": ((0.3, 0.1, 0.3, 0.2, 0.1), (0.304, 0.096, 0.284, 0.220, 0.096)),
    "cifar-2-70": ((0.7, 0.3), (0.679, 0.321)),
    "cifar-2-90": ((0.9, 0.1), (0.876, 0.124)),
    "celeba-black-hair": ((0.239, 0.761), (0.272, 0.727)),
}

STACKED_MODES = 993
"""Modes of stacked MNIST, of 1,000 (section VIII.F)."""

ALL = {**TABLE_1, **TABLE_2, **TABLE_4}
