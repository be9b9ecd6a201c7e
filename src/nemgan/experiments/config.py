"""The configuration of one run: typed, checked, frozen, and written beside its results.

A run is named on the command line by ``key=value`` overrides. A *preset* of the model gives every default for the
data at hand; overrides are laid over it, and the whole is checked before anything is loaded or trained.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from nemgan.data.files import Reading
from nemgan.errors import ConfigError
from nemgan.settings import Batch, Count, ModelSettings, TrainConfig, dotted, show


class Config(ModelSettings):
    """One run, complete. ``configure`` makes one with what the preset sets for the data; a bare ``Config`` lacks it."""

    model: str = "nemgan"
    """A name of ``nemgan models``."""
    data: str = "digits-demo"
    """A name of ``nemgan data``, or a path."""
    preset: str = "connected"
    """What gives every default for the model and the data; by default the model's own first choice."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of weights, batches, held-out samples and disclosed labels."""
    labels: float | str = 0.0
    """Labels disclosed: a share of the data's own (a seeded random draw), or a CSV of id,class lines; 0 is the
    zero-label track, which reads no such file."""
    label_column: str = ""
    """Column of a table that holds classes."""
    id_column: str = ""
    """Column of a table that names its rows."""
    drop: tuple[str, ...] = ()
    """Columns of a table to leave out, with commas between: ``drop=date,customer``."""
    impute: Literal["none", "mean", "median", "most_frequent"] = "none"
    """What stands in for missing values of a table."""
    skip_bad: bool = False
    """Leave out pictures that cannot be read."""
    prior: Literal["matched", "uniform", "learned"] | tuple[float, ...] | str = "learned"
    """Masses of the clusters: the data's true ones, equal ones, unknown and learned, or given: by class, as
    ``fraud:0.04,legit:0.96``, or as a list in the order of the clusters. With labels that is the order of the classes:
    numbers by value, words by the alphabet."""
    n_clusters: Batch | None = None
    """Number of clusters M; by default the data's number of classes."""
    device: str = "auto"
    """``auto`` (the fastest there is), ``cpu``, ``mps``, ``cuda`` or ``cuda:1``."""
    threads: Count | None = None
    """CPU threads; the process's default where not given. Part of what makes a run repeatable."""
    train: TrainConfig = TrainConfig()

    @field_validator("labels")
    @classmethod
    def _share_or_file(cls, value: float | str) -> float | str:
        if isinstance(value, str) and not value.lower().endswith((".csv", ".txt")):
            if (Path(value).suffix or "/" in value) and not os.path.exists(os.path.expanduser(value)):
                raise ValueError(
                    "is no file that is there: give a .csv file of id,class lines, or a share such as 0.01"
                )
            raise ValueError("should be a share such as 0.01, or a .csv file of id,class lines")
        if not isinstance(value, str) and not 0 <= value <= 1:
            raise ValueError("should be a share between 0 and 1, or a .csv file of id,class lines")
        return value

    @field_validator("drop", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return tuple(value) if isinstance(value, list) else value

    @field_validator("prior", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return ",".join(f"{name}:{show(mass)}" for name, mass in value.items())
        return tuple(value) if isinstance(value, list) else value

    @field_validator("prior")
    @classmethod
    def _known_or_by_class(cls, value: str | tuple[float, ...]) -> str | tuple[float, ...]:
        if isinstance(value, str) and value not in ("matched", "uniform", "learned") and not by_class(value):
            raise ValueError("should be a word, masses or class:mass")
        return value

    @property
    def given_by_class(self) -> tuple[tuple[str, float], ...]:
        """Classes and their masses, where ``prior`` names them."""
        return by_class(self.prior) if isinstance(self.prior, str) else ()

    @property
    def few(self) -> Path | None:
        """The file of few labels, where there is one."""
        return Path(self.labels).expanduser() if isinstance(self.labels, str) else None

    @property
    def reading(self) -> Reading:
        """What the reader of the user's own data is told."""
        return Reading(self.impute, self.label_column, self.id_column, self.skip_bad, self.drop)


_CLASS_AND_MASS = re.compile(r"\s*(\S|\S.*?\S)\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?:,|$)")


def by_class(text: str) -> tuple[tuple[str, float], ...]:
    """``fraud:0.04,legit:0.96`` as pairs of class and mass; nothing where ``text`` has another form.

    >>> by_class("no, never:0.9,yes:.1")
    (('no, never', 0.9), ('yes', 0.1))
    """
    found, at = [], 0
    while at < len(text):
        pair = _CLASS_AND_MASS.match(text, at)
        if pair is None:
            return ()
        found.append((pair[1], float(pair[2])))
        at = pair.end()
    return tuple(found)


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


def flat(config: ModelSettings) -> dict[str, Any]:
    """The configuration as dotted keys and JSON values, those of no section first."""
    return dotted(config.model_dump(mode="json"))


def parse_overrides(words: Iterable[str]) -> dict[str, Any]:
    """``["seed=3", "gan.steps=100"]`` as a flat mapping of dotted keys to values (read as YAML scalars and lists).

    Raises:
        ConfigError: a word that is not ``key=value``, an unknown key, or a key given twice.
    """
    if isinstance(words, str | Mapping):
        raise ConfigError('give a list of words, such as ["data=digits-demo", "seed=3"]')
    known, found = keys(), dict[str, Any]()
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"cannot read {word!r}: write key=value, for example seed=3 or data=path/to/folder")
        if key not in known:
            raise unknown_key(key, known)
        if key in found:
            raise ConfigError(f"{key} is given twice: keep one")
        try:
            found[key] = text if _is_text(key, text) else _value(text)
        except yaml.YAMLError:
            raise ConfigError(
                f"cannot read the value of {word!r}: quote it or write a plain number, word or list"
            ) from None
    return found


_OF_PRIORS = (*(field.name for field in fields(Reading)), "labels", "n_clusters", "seed", "threads")
_OPTIONS_OF_PRIORS = ("unlabelled", "restarts")


def of_priors(words: Iterable[str]) -> Config:
    """What ``nemgan priors`` is told by ``key=value`` words; what they name is in ``model_fields_set``.

    Raises:
        ConfigError: another key, or a value that is not allowed.
    """
    words = list(words)
    for key, equals, value in (word.partition("=") for word in words):
        if equals and key in _OPTIONS_OF_PRIORS:
            raise ConfigError(f"{key}= is an option of nemgan priors: write --{key} {value or '…'}")
        if equals and key and key not in _OF_PRIORS:
            best = max(_OF_PRIORS, key=lambda name: _likeness(key, name))
            close = f"did you mean {best!r}? " if _likeness(key, best) >= 0.6 else ""
            raise ConfigError(f"{key}= is no setting of nemgan priors: {close}it takes {', '.join(_OF_PRIORS)}")
    return build(parse_overrides(words))


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
        raise ConfigError(one_line(error)) from None


def _value(text: str) -> Any:
    """JSON where it is JSON (so that 1e-4 is a number), else YAML (so that words and .5 need no quotes).

    Numbers with commas between them are a list: ``.7,.3`` is ``[.7,.3]``.
    """
    try:
        return json.loads(text)
    except ValueError:
        value = yaml.safe_load(text) if text else ""
    if isinstance(value, str) and "," in value:
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            pass
    return value


def _is_text(key: str, text: str) -> bool:
    """Whether ``key`` takes ``text`` as it is, which is then not read as a number, a truth value or a list."""
    if key in ("drop", "prior"):
        return not text.startswith("[") if key == "drop" else bool(by_class(text))
    field = Config.model_fields.get(key)
    return field is not None and field.annotation is str


def _likeness(name: str, other: str) -> float:
    return SequenceMatcher(None, name.lower(), other.lower()).ratio()


def unknown_key(key: str, known: Sequence[str]) -> ConfigError:
    """The error for a key that is none of those ``known``."""
    return ConfigError(f"unknown setting {key!r}{_closest(key, known)}")


def _closest(key: str, known: Sequence[str]) -> str:
    """What to say of an unknown key: its closest matches, by the whole name or by its last part."""
    last = key.rpartition(".")[2]
    whole = {name: _likeness(key, name) for name in known}
    score = {name: max(whole[name], _likeness(last, name.rpartition(".")[2]) - 0.05) for name in known}
    order = sorted(known, key=lambda name: -score[name] - whole[name] / 10)
    close = [name for name in order if score[name] >= 0.6][:8]
    hint = f": did you mean {close[0]!r}? " if close else " "
    others = f"close: {', '.join(close[1:])}; " if close[1:] else ""
    return f"{hint}({others}all of them: nemgan train --print-config)"


def _words(key: str) -> list[str]:
    """The words that ``key`` takes, where it takes one of a few."""
    section: type[BaseModel] = Config
    *path, last = key.split(".")
    for part in path:
        kind = section.model_fields[part].annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        section = kind
    field = section.model_fields.get(last)
    if field is None:
        return []
    found = [*get_args(field.annotation), *(word for kind in get_args(field.annotation) for word in get_args(kind))]
    return [word for word in found if isinstance(word, str)]


def one_line(error: ValidationError) -> str:
    """The first key's problem in a failed validation as ``key=value is not allowed: why``."""
    known = keys()
    problems = error.errors()
    same = [problem for problem in problems if problem["loc"][:1] == problems[0]["loc"][:1]]
    first = max(same, key=lambda problem: len(problem["loc"]))  # of a union's branches, the one that came furthest
    place = [str(part) for part in first["loc"]]
    while place and ".".join(place) not in known:
        place.pop()
    key, given = ".".join(place) or ".".join(str(part) for part in first["loc"]), first.get("input")
    why = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not key:
        return why[:1].lower() + why[1:]
    if first["type"] == "extra_forbidden":
        return f"{key} is not a setting of this release{_closest(key, known)}"
    words = _words(key)
    if words and isinstance(given, str):
        best = max(words, key=lambda word: _likeness(given, word))
        close = f"did you mean {best!r}? " if _likeness(given, best) >= 0.6 else ""
        also = ", a list of masses such as [.7,.3], or class:mass such as a:.7,b:.3" if key == "prior" else ""
        return f"{key}={given} is not allowed: {close}use one of {', '.join(words)}{also}"
    return f"{key}={show(given)} is not allowed: it {why[:1].lower()}{why[1:]}"
