"""A run's configuration as a table and as the command that repeats it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from nemgan.errors import ConfigError
from nemgan.settings import ModelSettings

ALWAYS = ("model", "data", "preset", "seed", "labels", "prior")


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys, those of no section first."""
    found: dict[str, Any] = {}
    for key, value in sorted(config.items(), key=lambda item: isinstance(item[1], Mapping)):
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def command(config: Mapping[str, Any], shape: Sequence[int] | None, n_clusters: int = 2) -> str:
    """``nemgan train key=value …`` that gives ``config`` again.

    Keys that the model's preset sets to the same value for samples of ``shape`` and so many clusters are left out; all
    are written where
    the shape is not known or the preset no longer is.
    """
    settings = flat(config)
    usual = _usual(str(settings.get("model")), str(settings.get("preset")), shape, n_clusters)
    words = [key for key in ALWAYS if key in settings]
    words += [key for key, value in settings.items() if key not in words and value != usual.get(key)]
    written = (f"{key}={show(settings[key])}" for key in words if settings[key] is not None)
    return " ".join(["nemgan train", *map(shlex.quote, written)])


def show(value: Any) -> str:
    """A value as it is written on the command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _usual(model: str, preset: str, shape: Sequence[int] | None, n_clusters: int) -> dict[str, Any]:
    """What the settings are where nothing but the preset is said; keys that this cannot know are missing."""
    from nemgan.models import catalog

    if shape is None:
        return {}
    try:
        defaults = catalog.entry(model).defaults(preset, tuple(shape), n_clusters)
    except ConfigError:
        return {}
    return flat(ModelSettings().model_dump(mode="json")) | defaults
