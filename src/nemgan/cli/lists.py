"""Verbs that list what there is: data sets, models, this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nemgan.cli.words import AsJson, app
from nemgan.terminal import masses, plain, print_pairs, print_table, verb


@app.command()
@verb
def data(
    name: Annotated[str | None, typer.Argument(help="One data set, in full.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """List data sets: size, masses, source, on disk."""
    from nemgan.data import catalog

    root = catalog.data_root()
    entries = [catalog.entry(name)] if name else [catalog.entry(each) for each in catalog.names()]
    found = [{**asdict(entry), "on_disk": entry.on_disk(root)} for entry in entries]
    if as_json:
        typer.echo(json.dumps(found[0] if name else found, indent=1, ensure_ascii=False))
    elif name:
        print_pairs(found[0])
    else:
        print_table(
            ["name", "on disk", "train", "test", "shape", "masses", "source"],
            [
                [e.name, e.on_disk(root), e.n_train, e.n_test, "×".join(map(str, e.shape)), masses(e.masses), e.source]
                for e in entries
            ],
        )
        typer.echo(f"\nraw files are looked for in {root} (set NEMGAN_DATA to change it); nemgan data NAME tells more")


@app.command()
@verb
def models(
    name: Annotated[str | None, typer.Argument(help="One of them, with its settings.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """List models, their presets and conditions."""
    from nemgan.models import catalog

    found = [
        {
            "name": entry.name,
            "title": entry.title,
            "conditions": entry.conditions,
            "paper": entry.paper,
            "presets": list(entry.presets),
            "takes": sorted(entry.takes),
        }
        for entry in map(catalog.entry, catalog.names() if name is None else [name])
    ]
    if as_json:
        typer.echo(json.dumps(found[0] if name else found, indent=1, ensure_ascii=False))
    elif name:
        print_pairs({key: " ".join(value) if key == "takes" else value for key, value in found[0].items()})
    else:
        header = ["name", "title", "conditions", "presets", "paper"]
        print_table(header, [[plain(each[key]) for key in header] for each in found])
        typer.echo("\nnemgan models NAME tells which settings one takes")


@app.command()
@verb
def runs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where run folders were made.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List runs: data, clusters, labels, how sure."""
    from nemgan.experiments.folder import overview

    found = overview(folder)
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    header = ["run", "data", "model", "clusters", "labels", "prior", "seed", "generator", "agreement", "accuracy"]
    print_table(header, [["–" if each[key] is None else plain(each[key]) for key in header] for each in found])
    n = f"{len(found)} run{'s' * (len(found) != 1)}"
    typer.echo(f"\n{n} in {folder}; agreement is the share of samples on which partitions agree")


@app.command()
@verb
def doctor(as_json: AsJson = False) -> None:
    """Show versions, threads, devices, data on disk."""
    from nemgan.data import catalog
    from nemgan.training.runtime import available_devices, versions

    root = catalog.data_root()
    found: dict[str, Any] = {
        **versions(),
        "devices": available_devices(),
        "data root": str(root) if root.is_dir() else f"{root} (missing)",
        "data on disk": [name for name in catalog.names() if catalog.entry(name).on_disk(root)],
        "data missing": [name for name in catalog.names() if not catalog.entry(name).on_disk(root)],
    }
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print_pairs(found)
