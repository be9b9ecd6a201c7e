"""The configuration of one run: typed, checked, frozen, and written beside its results.

A run is named on the command line by ``key=value`` overrides. A *preset* of the model gives every default for the
data at hand; overrides are laid over it, and the whole is checked before anything is loaded or trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from nemgan.errors import ConfigError, unknown
from nemgan.settings import Batch, Count, Fraction, ModelSettings, Section


class TrainConfig(Section):
    """What the loop does beside the updates."""

    checkpoint_every: Count = 500
    log_every: Count = 50
    sample_every: Count = 500
    evaluate_every: Count = 250


class Config(ModelSettings):
    """One run, complete."""

    model: str = "nemgan"
    data: str = "digits-demo"
    preset: str = "connected"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    labels: Fraction = 0.0
    """Share of training labels disclosed (a seeded random draw); 0 is the zero-label track."""
    prior: Literal["matched", "uniform", "learned"] | tuple[float, ...] = "learned"
    """Masses of the clusters: the data's true ones, equal ones, unknown and learned, or given."""
    n_clusters: Batch | None = None
    """Number of clusters M; by default the data's number of classes."""
    device: str = "auto"
    threads: Count | None = None
    """CPU threads; the process's default where not given. Part of what makes a run repeatable."""
    train: TrainConfig = TrainConfig()


def keys(section: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Every key that an override may name, dotted."""
    found: list[str] = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += keys(kind, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


def _value(text: str) -> Any:
    """JSON where it is JSON (so that 1e-4 is a number), else YAML (so that words and .5 need no quotes)."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text) if text else ""


def parse_overrides(words: Iterable[str]) -> dict[str, Any]:
    """``["seed=3", "gan.steps=100"]`` as a flat mapping of dotted keys to values (read as YAML scalars and lists).

    Raises:
        ConfigError: a word that is not ``key=value``, an unknown key, or a key given twice.
    """
    known, found = keys(), dict[str, Any]()
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"cannot read {word!r}: write key=value, for example seed=3")
        if key not in known:
            raise unknown("setting", key, known)
        if key in found:
            raise ConfigError(f"{key} is given twice: keep one")
        try:
            found[key] = _value(text)
        except yaml.YAMLError:
            raise ConfigError(
                f"cannot read the value of {word!r}: quote it or write a plain number, word or list"
            ) from None
    return found


def build(overrides: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Config:
    """The configuration with ``overrides`` over a preset's ``defaults`` (both dotted) over the schema's.

    Raises:
        ConfigError: a value of the wrong type or outside its range.
    """
    nested: dict[str, Any] = {}
    for key, value in {**(defaults or {}), **overrides}.items():
        *path, last = key.split(".")
        where = nested
        for part in path:
            where = where.setdefault(part, {})
        where[last] = tuple(value) if isinstance(value, list) else value
    try:
        return Config.model_validate(nested)
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    """The first problem of a failed validation as ``key=value is not allowed: why``."""
    known = keys()
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    while place and ".".join(place) not in known:
        place.pop()
    why = first["msg"].removeprefix("Value error, ")
    key = ".".join(place) or ".".join(str(part) for part in first["loc"])
    return f"{key}={first.get('input')!r} is not allowed: {why[:1].lower()}{why[1:]}"
