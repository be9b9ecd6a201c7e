"""Faces for scikit-learn and imbalanced-learn: :class:`NEMGANClusterer` and :class:`NEMGANOverSampler`.

Neither trains in a way of its own: both build a model of ``models.catalog`` and run ``training.loop.train`` in memory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemgan.estimators.clusterer import NEMGANClusterer
    from nemgan.estimators.oversampler import NEMGANOverSampler

__all__ = ["NEMGANClusterer", "NEMGANOverSampler"]

_HOMES = {"NEMGANClusterer": "nemgan.estimators.clusterer", "NEMGANOverSampler": "nemgan.estimators.oversampler"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nemgan.estimators' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
