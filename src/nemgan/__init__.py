"""Clusters, masses and samples from unlabelled, imbalanced data.

>>> import nemgan
>>> folder = nemgan.run(nemgan.configure(["data=digits-demo", "prior=learned"]))  # doctest: +SKIP
>>> config, model = nemgan.load_run(folder)  # doctest: +SKIP

The names below are imported when first used, so that ``import nemgan`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemgan.data.dataset import Dataset, Splits
    from nemgan.errors import NemganError
    from nemgan.estimators.clusterer import NEMGANClusterer
    from nemgan.estimators.oversampler import NEMGANOverSampler
    from nemgan.evaluation.inference import embed, generate, predict
    from nemgan.experiments.config import Config
    from nemgan.experiments.run import configure, evaluate_run, load_run, resume_run, run
    from nemgan.priors import estimate_priors

__version__ = "0.1.0"
__all__ = [
    "Config",
    "Dataset",
    "NEMGANClusterer",
    "NEMGANOverSampler",
    "NemganError",
    "Splits",
    "__version__",
    "configure",
    "embed",
    "estimate_priors",
    "evaluate_run",
    "generate",
    "load_run",
    "predict",
    "resume_run",
    "run",
]

if find_spec("imblearn") is None:  # listed only where it can be had; naming it still says which extra it needs
    __all__.remove("NEMGANOverSampler")

_HOMES = {
    "Config": "nemgan.experiments.config",
    "Dataset": "nemgan.data.dataset",
    "NEMGANClusterer": "nemgan.estimators.clusterer",
    "NEMGANOverSampler": "nemgan.estimators.oversampler",
    "NemganError": "nemgan.errors",
    "Splits": "nemgan.data.dataset",
    "configure": "nemgan.experiments.run",
    "embed": "nemgan.evaluation.inference",
    "estimate_priors": "nemgan.priors",
    "evaluate_run": "nemgan.experiments.run",
    "generate": "nemgan.evaluation.inference",
    "load_run": "nemgan.experiments.run",
    "predict": "nemgan.evaluation.inference",
    "resume_run": "nemgan.experiments.run",
    "run": "nemgan.experiments.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nemgan' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
