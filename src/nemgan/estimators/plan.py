"""How a model is sized for the data: the preset's settings, fewer steps and smaller networks where there is little."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

from nemgan.errors import ConfigError
from nemgan.estimators.parameters import settings_of
from nemgan.experiments.config import Config, build, flat, keys, unknown_key
from nemgan.merging import FEW
from nemgan.models import catalog
from nemgan.models.entry import detailed

MODEL = "nemgan"
SECTIONS = ("latent", "network", "conditions", "contrast", "connect", "gan")
ENOUGH, PLENTY = 256, 1000
"""Samples from which on the clustering stages and the generator's are as long as in the preset."""
LEAST, LEAST_GAN = 40, 300
"""Steps of those stages, however few the samples."""


def settings_for(
    preset: str,
    shape: tuple[int, ...],
    n: int,
    n_clusters: int,
    *,
    max_steps: int | None = None,
    generate: bool = True,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Settings for ``n`` samples of ``shape``: the preset's, cut to the data, under ``overrides``.

    Below ``ENOUGH`` samples (``PLENTY`` for the generator) stages shrink in proportion to n, but for the generator of
    images of 16 pixels and more: after a third of the steps these are not recognised. Micro-modes are at least
    twice the clusters, else at most a third of the samples, and never more than these. Few samples are merged fewer
    times, since merging then costs more than training.

    Raises:
        ConfigError: no such preset or setting, or a value that is not allowed.
    """
    defaults = catalog.restarted(catalog.entry(MODEL).defaults(preset, shape, n_clusters), shape, n)
    given = _of_model(settings_of(overrides))
    steps = _steps(build(defaults))
    connected = build(defaults).connected
    if connected:  # the published presets are used as published
        for key, value in steps.items():
            if key == "gan.steps" and detailed(shape):
                continue
            least, enough = (LEAST_GAN, PLENTY) if key.startswith("gan.") else (LEAST, ENOUGH)
            defaults[key] = max(min(value, least), round(value * min(1.0, n / enough)))
        defaults["gan.even"] = 1.0  # each cluster is sampled on its own, so none may be learned less than others
        defaults["gan.tones"] = True  # whoever learns from real and generated images tells them apart by these
        if len(shape) == 1:  # in the plane, too
            defaults |= catalog.ROWS
        base = build(defaults)
        defaults["connect.micro_modes"] = min(n, max(min(base.connect.micro_modes, n // 3), 2 * n_clusters))
        defaults["latent.dim"] = max(base.latent.dim, defaults["connect.micro_modes"])
        if n < PLENTY:
            defaults["connect.partitions"] = min(base.connect.partitions, 4)
        if n < ENOUGH:
            defaults["connect.restarts"] = 1
        if n < ENOUGH // 2:
            defaults["connect.batch"] = max(32, min(base.connect.batch, n))
            defaults["gan.batch"] = max(16, min(base.gan.batch, n // 2))
            defaults["network.inverter_width"] = min(base.network.inverter_width, 16)
            quick = int(log(FEW) / log(max(n_clusters, 2)))  # so many micro-modes are merged by trying all merges
            if quick >= 2 * n_clusters:
                defaults["connect.micro_modes"] = min(defaults["connect.micro_modes"], quick)
    else:
        defaults["latent.dim"] = max(build(defaults).latent.dim, n_clusters)
    if not generate:
        if not connected:
            raise ConfigError(
                f"preset={preset!r} finds clusters while it learns to generate: set generate=True, or "
                "preset='connected'"
            )
        if given.get("gan.steps"):
            steps = given["gan.steps"]
            raise ConfigError(f"generate=False and settings gan.steps={steps} contradict each other: drop one")
        defaults["gan.steps"] = 0
    if max_steps is not None:
        for key, value in _steps(build(defaults)).items():
            defaults[key] = min(value, int(max_steps))
    return build(given, defaults)


def _of_model(given: dict[str, Any]) -> dict[str, Any]:
    """``given``, if all its keys are of settings that shape a model.

    Raises:
        ConfigError: one is not.
    """
    every = keys()
    usable = [key for key in every if key.partition(".")[0] in SECTIONS]
    for key in given:
        if key in every and key not in usable:
            raise ConfigError(f"settings has {key!r}: give dotted keys of the model such as 'gan.steps'")
        if key not in usable:
            raise unknown_key(str(key), usable)
    return given


def _steps(config: Config) -> dict[str, int]:
    """Lengths of stages among the settings, by key; zero and unset ones left out."""
    return {
        key: value
        for key, value in flat(config).items()
        if key.endswith("steps") and not key.endswith("critic_steps") and isinstance(value, int) and value
    }
