"""``docs/reproduction.md``: every table from stored records, written by ``nemgan reproduce --write FILE``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from nemgan.errors import ConfigError
from nemgan.experiments.folder import write_text
from nemgan.experiments.reproduce.tables import Store, markdown
from nemgan.experiments.reproduce.targets import Target

HEAD = """# What comes out

Written by `nemgan reproduce --write docs/reproduction.md` from the records in `benchmarks/results`; do not edit.
`nemgan reproduce NAME` runs what is missing of one table or figure and shows it, `--show` only shows it.

Means ± standard deviation over seeds. "Paper" is what Mishra, Jayendran and Prathosh (2020) print; a row of theirs that
no labelling can have is marked. A dash is a run that was not made; failed runs are counted as failed. No label chooses
a run, a restart or a checkpoint of ours; its default settings were chosen with labels of training samples of other
seeds, on these data sets (docs/notebook.md). C1 to C3 are the paper's conditions (docs/theory.md); Ĉ1: C1 is not met.
"""


def render(targets: Iterable[Target], store: Store, budget: str, seeds: Sequence[int] | None, pictures: str) -> str:
    """The page as Markdown; ``pictures`` is the folder of the figures as seen from the page."""
    parts = [HEAD]
    for target in targets:
        parts.append(f"## {target.title}\n\n`nemgan reproduce {target.name}`\n")
        parts += [markdown(table, pictures) for table in target.tables(store, budget, seeds)]
    return "\n".join(parts).rstrip() + "\n"


def write(path: Path, targets: Iterable[Target], store: Store, budget: str, seeds: Sequence[int] | None) -> None:
    """Write the page to ``path``, wholly or not at all; in place of an earlier one, but of nothing else.

    Raises:
        ConfigError: ``path`` is a file that is no such page.
    """
    if path.exists() and not (path.is_file() and path.read_bytes().startswith(HEAD.splitlines()[0].encode())):
        raise ConfigError(f"{path} exists and is no page of results: give another --write, nothing else is overwritten")
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = Path(os.path.relpath(store.folder / "figures", path.parent)).as_posix()
    write_text(path, render(targets, store, budget, seeds, pictures))
