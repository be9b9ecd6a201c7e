"""The page of all settings, ``docs/settings.md``; to write it again: python -m nemgan.experiments.settings_page."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from nemgan.experiments.config import Config, build, flat
from nemgan.models import catalog
from nemgan.settings import show

_SHAPES = ((2,), (14,), (1, 8, 8), (1, 28, 28), (3, 32, 32))
"""Kinds of samples that presets tell apart."""
_HEAD = """# Settings

Every word that `nemgan train` takes, as `key=value`; `NEMGANClusterer(settings={"gan.steps": 500})` takes those with a
dot but `train.` and `rival.`. h is the inverter, which sorts samples into clusters ([how it works](theory.md)).

Where a default has a star, the preset `connected` sets another for some data; other presets and models set more.
`nemgan train data=… --print-config` prints what a run would have.

This page is made from the code: `python -m nemgan.experiments.settings_page > docs/settings.md`.
"""


def page() -> str:
    """The page, from the fields of ``Config`` and their docstrings."""
    schema = Config.model_json_schema()
    usual = flat(build({}))
    changed = _changed(usual)
    parts = [_HEAD]
    for prefix, section in _sections(schema):
        about = f"{_prose(section['description'])}\n\n" if prefix else ""
        parts.append(f"## {prefix or 'the run'}\n\n{about}| setting | default | allowed | meaning |\n|---|---|---|---|")
        for name, field in section["properties"].items():
            key = f"{prefix}.{name}" if prefix else name
            if key in usual:
                default = (f"`{show(usual[key])}`" if usual[key] != "" else "empty") + ("*" if key in changed else "")
                meaning = _prose(field.get("description", ""))
                parts.append(f"| `{key}` | {default} | {_allowed(field)} | {meaning} |")
        parts.append("")
    return "\n".join(parts)


def _sections(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The run's own settings, then each section by its name."""
    yield "", schema
    for name, field in schema["properties"].items():
        if "$ref" in field:
            yield name, schema["$defs"][field["$ref"].rpartition("/")[2]]


def _changed(usual: Mapping[str, Any]) -> set[str]:
    """Keys that the default preset sets otherwise than ``usual`` for some data."""
    first = catalog.entry(str(usual["model"]))
    found = [first.defaults(first.default_preset, shape, m) for shape in _SHAPES for m in (3, 10)]
    return {key for each in found for key, value in each.items() if value != usual[key]}


def _allowed(field: Mapping[str, Any]) -> str:
    """What a setting takes, of its JSON schema."""
    if "anyOf" in field:
        return " or ".join(map(_allowed, field["anyOf"]))
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if field["type"] == "array":
        items = field.get("prefixItems")
        if items:
            return f"{len(items)} numbers, each {_bounds(items[0])}"
        return "a list of names" if field["items"]["type"] == "string" else "a list of numbers"
    plain = {"boolean": "`true`, `false`", "null": "`null`", "string": "text"}
    if field["type"] in plain:
        return plain[field["type"]]
    return f"{'whole number' if field['type'] == 'integer' else 'number'} {_bounds(field)}".strip()


def _bounds(field: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return ", ".join(f"{sign} {field[name]}" for name, sign in signs.items() if name in field)


def _prose(text: str) -> str:
    """A docstring as a line of Markdown."""
    return " ".join(text.split()).replace("``", "`")


if __name__ == "__main__":
    sys.stdout.write(page())
