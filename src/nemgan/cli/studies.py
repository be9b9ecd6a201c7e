"""Verbs that train many models: how many of each kind, and the paper's tables and figures."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nemgan.cli.words import AsJson, Out, SkipBad, Worded, app
from nemgan.errors import ConfigError, NemganError
from nemgan.terminal import print_shares, print_table, verb

if TYPE_CHECKING:
    from nemgan.experiments.config import Config


@app.command(cls=Worded)
@verb
def priors(
    source: Annotated[
        str, typer.Argument(metavar="DATA", help="An image folder, .npy, .npz, a table, or a name of nemgan data.")
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="n_clusters=, seed=, threads=, labels=; of a table id_column=, label_column=, drop=, impute=.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FEW.csv|SHARE", help="Lines of: file name or row, class; or a share of the data's own."),
    ] = None,
    unlabelled: Annotated[str | None, typer.Option(metavar="DATA", help="Estimate these, in another mix.")] = None,
    n_clusters: Annotated[
        int | None, typer.Option("-k", min=2, help="How many kinds; by default the classes of --labels.")
    ] = None,
    restarts: Annotated[int, typer.Option(min=1, help="Clusterings from different seeds.")] = 3,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all of them; 0 by default.")] = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not say when a clustering is done.")] = False,
) -> None:
    """How many of each kind, with 95 % intervals."""
    from nemgan.experiments.config import of_priors

    told = of_priors([*(words or []), *(["skip_bad=true"] if skip_bad else [])])
    m = _either("-k", n_clusters, told, "n_clusters")
    seed = _either("--seed", seed, told, "seed")
    shown = _labels(labels, told)
    from nemgan.cli.masses import priors_of
    from nemgan.experiments.run import threads

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    with threads(told.threads):
        found = priors_of(
            source,
            shown,
            unlabelled,
            n_clusters=m,
            restarts=restarts,
            seed=seed or 0,
            how=told.reading,
            tell=None if quiet else tell,
        )
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print_shares(found)


@app.command()
@verb
def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(help="table-1, figure-3, zero-labels, …; all of them by default.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Run nothing, show what is stored.")] = False,
    budget: Annotated[str, typer.Option(help="quick: minutes a run; full: as published.")] = "quick",
    seeds: Annotated[str | None, typer.Option(help="Such as 0,1 or 0-4.", show_default=False)] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Run nothing, write the tables here.", show_default=False)
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of records (NEMGAN_RESULTS).", show_default="benchmarks/results")
    ] = None,
    out: Out = Path("runs"),
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once, one thread each.")] = 1,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="End a run that takes longer.", show_default=False)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Run finished cells too.")] = False,
) -> None:
    """Run and show a table or figure of the paper."""
    from nemgan.experiments.reproduce import command

    asked = command.ask(name, budget, seeds, results)
    if write is not None or show:
        command.stored(asked)
    if write is not None:
        command.write(asked, write)
        typer.echo(str(write))
        return
    if not show:
        if name is None:
            raise ConfigError(f"say what to run (or --show): {', '.join(asked.names)}")
        begun = partial(typer.echo, err=True)
        for line in command.run(asked, out, jobs=jobs, minutes=minutes, again=again, tell=begun):
            typer.echo(line)
    for table in command.tables(asked):
        typer.echo(f"\n{table.title}\n")
        print_table(table.header, table.rows)
        for note in (*table.notes, *table.pictures):
            typer.echo(f"  {note}")
    if not show and (bad := command.failures(asked)):
        raise NemganError(f"{bad} cells failed, as said above: run it again")


def _labels(given: Path | None, told: Config) -> Path | float | None:
    """The file or the share of labels that ``--labels`` or ``labels=`` says; None where neither does.

    Raises:
        ConfigError: both are given, or a share that is none.
    """
    if given is not None and "labels" in told.model_fields_set:
        raise ConfigError(f"--labels {given} and labels={told.labels} are both given: drop one")
    if given is not None and not given.exists() and re.fullmatch(r"[-+.\de]+", str(given)):
        from nemgan.experiments.config import of_priors

        told = of_priors([f"labels={given}"])
    elif given is not None:
        return given
    return told.few or (None if isinstance(told.labels, str) else told.labels or None)


def _either(option: str, given: int | None, told: Config, key: str) -> int | None:
    """What an option or the word of the same meaning says.

    Raises:
        ConfigError: they say different things.
    """
    word: int | None = getattr(told, key)
    if given is None or key not in told.model_fields_set or given == word:
        return word if given is None else given
    raise ConfigError(f"{option} {given} and {key}={word} are both given: drop one")
