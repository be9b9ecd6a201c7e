"""Estimators on disk and in pickles: the model as safetensors, everything else as JSON values.

A pickle of an estimator holds plain values and the bytes of the safetensors file, so that it does not depend on how
torch pickles modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nemgan import __version__
from nemgan.errors import CheckpointError
from nemgan.estimators.layout import Layout
from nemgan.storage import decode, encode, plain
from nemgan.training.runtime import nearest_device

if TYPE_CHECKING:
    from nemgan.estimators.clusterer import NEMGANClusterer
    from nemgan.experiments.config import Config
    from nemgan.models.base import Model

FORMAT, OLD = 2, 1
"""Format 1 lacks the range of each column."""
CONFIG = "config.json"
_ARRAYS = ("labels_", "margins_", "priors_", "priors_interval_", "_order")


def rebuild(config: Config, shape: tuple[int, ...], n_clusters: int, prior: NDArray[np.float64] | None) -> Model:
    """The untrained model that a fit with these settings began with, up to its weights."""
    from nemgan.estimators.plan import MODEL
    from nemgan.models import catalog

    return catalog.create(MODEL, config, shape, n_clusters, prior, 0)


def pack(state: Mapping[str, Any]) -> dict[str, Any]:
    """An estimator's state with its model as bytes."""
    found = dict(state)
    if "model_" in found:
        from nemgan.training.tensors import to_bytes

        model = found.pop("model_")
        found["_packed"] = to_bytes(model.state_dict()), getattr(model, "known", None)
    return found


def unpack(state: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``pack``."""
    found = dict(state)
    if "n_clusters_" in found:
        found.setdefault("suggested_n_clusters_", None)
    if "_packed" in found:
        from safetensors.torch import load as read_bytes

        data, known = found.pop("_packed")
        model = rebuild(found["_config"], found["_layout"].model_shape, found["n_clusters_"], known)
        model.load_state_dict(read_bytes(data))
        found["model_"] = model.to(nearest_device(found["_config"].device)).eval()
    return found


def save(estimator: NEMGANClusterer, folder: Path) -> Path:
    """Write ``config.json`` and ``model.safetensors`` into ``folder``; returns it.

    Raises:
        CheckpointError: ``folder`` holds a run of ``nemgan train``, which would be lost; labels or parameters that
            JSON cannot hold (what was there before is then intact).
    """
    from nemgan.experiments.folder import write_json
    from nemgan.training.checkpoint import save_model
    from nemgan.training.tensors import digest

    if (folder / "result.json").exists() or (folder / "model.json").exists():
        raise CheckpointError(f"{folder} holds a run, which this would overwrite: give another folder")
    if (folder / CONFIG).exists() and not _ours(folder / CONFIG):
        raise CheckpointError(f"{folder / CONFIG} is no saved estimator, and would be overwritten: give another folder")
    parameters = estimator.get_params(deep=False)
    parameters |= {"random_state": estimator._seed, "device": str(parameters["device"])}
    known = getattr(estimator.model_, "known", None)
    classes = estimator.classes_
    content = {
        "format": FORMAT,
        "nemgan": __version__,
        "parameters": {},
        "config": estimator._config.model_dump(mode="json"),
        "layout": asdict(estimator._layout),
        "n_clusters": estimator.n_clusters_,
        "known": None if known is None else known.tolist(),
        "classes": {"dtype": classes.dtype.str, "values": classes.tolist()},
        "feature_names": list(getattr(estimator, "feature_names_in_", [])),
        "confidence": plain(estimator.confidence_),
        "suggested_n_clusters": estimator.suggested_n_clusters_,
        "arrays": {name: getattr(estimator, name).tolist() for name in _ARRAYS},
        "weights": digest(estimator.model_.state_dict()),
    }
    try:
        content["parameters"] = plain(parameters)
        encode(content)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"cannot write {folder}: a class or a parameter has no place in JSON ({error}): fit on labels that are "
            "numbers or words"
        ) from None
    save_model(estimator.model_, folder)
    write_json(folder / CONFIG, content)
    return folder


def _ours(path: Path) -> bool:
    """Whether ``save`` wrote the file at ``path``."""
    try:
        content = decode(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and {"format", "nemgan"} <= content.keys()


def load(kind: type[NEMGANClusterer], folder: Path) -> NEMGANClusterer:
    """The estimator in ``folder``.

    Raises:
        CheckpointError: not such a folder (that of a run, say), or damaged.
    """
    from pydantic import ValidationError

    from nemgan.experiments.config import Config
    from nemgan.training.checkpoint import MODEL, load_model
    from nemgan.training.tensors import digest

    path = folder / CONFIG
    try:
        content = decode(path.read_bytes())
        if "format" not in content and {"model", "data", "preset"} <= content.keys():
            raise CheckpointError(f"{folder} is a run folder, no saved estimator: read it with nemgan.load_run")
        if content["format"] not in (FORMAT, OLD):
            raise CheckpointError(f"{path} has format {content['format']!r}: use nemgan {content['nemgan']} to read it")
        estimator = kind(**content["parameters"])
        layout = content["layout"]
        for name in ("shape", "offset", "scale", *(("low", "high") if content["format"] == FORMAT else ())):
            layout[name] = tuple(layout[name])
        state: dict[str, Any] = {
            "_layout": Layout(**layout),
            "_config": Config.model_validate_json(encode(content["config"])),
            "_seed": int(content["parameters"]["random_state"]),
            "n_clusters_": int(content["n_clusters"]),
            "classes_": np.array(content["classes"]["values"], content["classes"]["dtype"]),
            "confidence_": float("nan") if content["confidence"] is None else float(content["confidence"]),
        }
        suggested = content.get("suggested_n_clusters")
        state["suggested_n_clusters_"] = None if suggested is None else int(suggested)
        state |= {name: np.array(content["arrays"][name]) for name in _ARRAYS}
        if content["feature_names"]:
            state["feature_names_in_"] = np.array(content["feature_names"], object)
        known = content["known"]
    except OSError as error:
        raise CheckpointError(f"cannot read {path} ({error.strerror}): give a folder that save() wrote") from None
    except CheckpointError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, ValidationError) as error:
        words = " ".join(str(error).split())[:120]
        raise CheckpointError(f"{path} is damaged or of something else ({words}): save the estimator again") from None
    prior = None if known is None else np.asarray(known, np.float64)
    model = rebuild(state["_config"], state["_layout"].model_shape, state["n_clusters_"], prior)
    load_model(model, folder)
    if content.get("weights", (found := digest(model.state_dict()))) != found:
        raise CheckpointError(f"{path} is of other weights than {folder / MODEL}: save the estimator again")
    state["model_"] = model.to(nearest_device(state["_config"].device)).eval()
    state["n_features_in_"] = state["_layout"].n_features
    state["_n_features_out"] = int(state["_config"].latent.dim)
    estimator.__dict__.update(state)
    return estimator
