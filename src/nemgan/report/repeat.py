"""The command that repeats a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from nemgan.settings import ModelSettings, TrainConfig, dotted, show

ALWAYS = ("model", "data", "preset", "seed", "labels", "prior")
IDLE: tuple[Any, ...] = (None, "", False, "none", "auto", [])
"""Values of a setting of the run, not of the model, that say nothing."""


def command(config: Mapping[str, Any], changed: Mapping[str, Any] | None) -> str:
    """``nemgan train key=value …`` that gives ``config`` again.

    Args:
        changed: the model's settings, dotted, that are not what its preset gives for such data, of which all others are
            left out; where that is not known (old records) none is.
    """
    settings, of_model = dotted(config), dotted(ModelSettings().model_dump(mode="json"))
    usual = {f"train.{key}": value for key, value in TrainConfig().model_dump(mode="json").items()}

    def said(key: str, value: Any) -> bool:
        if key in of_model:
            return changed is None or key in changed
        return bool(value != usual[key] if key in usual else value not in IDLE)

    words = [key for key in ALWAYS if key in settings]
    words += [key for key, value in settings.items() if key not in words and said(key, value)]
    written = (f"{key}={show(settings[key])}" for key in words if settings[key] is not None)
    return " ".join(["nemgan train", *map(shlex.quote, written)])
