"""Verbs about runs: make one, go on with one, ask one."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nemgan.cli.words import STARTED, AsJson, Out, Quiet, Run, SkipBad, Worded, app
from nemgan.errors import ConfigError
from nemgan.terminal import name_of, print_pairs, print_summary, print_table, verb

if TYPE_CHECKING:
    from nemgan.experiments.config import Config


@app.command()
@verb
def demo(seed: Annotated[int, typer.Option(min=0, help="Seed of the run.")] = 0, out: Out = Path("runs")) -> None:
    """Cluster unlabelled digits: two minutes, no download."""
    from nemgan.experiments.prepare import configure

    # One thread: the networks are small, so that more would gain little on an idle machine and lose much on a busy one.
    config = configure(["data=digits-demo", "prior=learned", "threads=1", f"seed={seed}"])
    from nemgan.experiments.run import run

    typer.echo("Handwritten digits without labels, cluster sizes unknown: finding the clusters and their sizes.")
    folder = run(config, out=out, started=STARTED)
    _summary((folder / "result.json").read_bytes())
    typer.echo(f"\nopen {folder / 'report.html'}")


@app.command(cls=Worded)
@verb
def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Settings, such as data=mnist-2-3v5-70 seed=0 labels=0 prior=learned. --print-config lists them.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where run folders are made: runs, by default.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with an interrupted run, or a finished one: gan.steps=3000."),
    ] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print every setting and stop.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print the plan and stop.")] = False,
    skip_bad: SkipBad = False,
    quiet: Quiet = False,
) -> None:
    """Train, evaluate, report; prints the run folder."""
    words = [*(words or []), *(["skip_bad=true"] if skip_bad else [])]
    if resume is None and not print_config and not any(word.startswith("data=") for word in words):
        raise _which_data(words)
    if resume is not None and (dry_run or print_config):
        raise ConfigError("--dry-run and --print-config are about a new run, --resume about an old one: give either")
    if resume is not None and out is not None:
        raise ConfigError("--resume goes on in the run's own folder: drop --out")
    out = out or Path("runs")
    from nemgan.experiments.prepare import configure_and_read

    # refused before torch is imported, where it can be
    config, splits = configure_and_read(words) if resume is None else (None, None)
    if config is not None and print_config:
        _print_config(config)
        return
    from nemgan.experiments.run import plan, resume_run, run

    if config is not None and dry_run:
        print_pairs(plan(config, out=out, splits=splits))
        return
    if resume is not None:
        folder = resume_run(resume, words, quiet=quiet, started=STARTED)
    elif config is not None:
        folder = run(config, out=out, quiet=quiet, started=STARTED, splits=splits)
    if not quiet:
        _summary((folder / "result.json").read_bytes())
        typer.echo(f"\nopen {folder / 'report.html'}\n")
    typer.echo(str(folder))


@app.command()
@verb
def evaluate(
    run: Run,
    extractor: Annotated[
        list[str] | None,
        typer.Option(help="Distances in these features too: efficientnet-lite0, inception.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a finished run again."""
    from nemgan.experiments.run import evaluate_run

    text = evaluate_run(run, extractor or ()).to_json()
    if as_json:
        typer.echo(text, nl=False)
    else:
        _summary(text)


@app.command()
@verb
def sample(
    run: Run,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR|FILE.npz|FILE.png|FILE.csv",
            help="PNGs, an array, one picture (all uint8 0 … 255); of a table, rows.",
        ),
    ],
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            "--mode",
            metavar="NAME|N",
            help="Draw from this cluster alone, by its labels' name or number.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of samples.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
) -> None:
    """Draw new samples from a run's clusters."""
    from nemgan.experiments.outputs import check_free, sample_run

    check_free(out)
    typer.echo(str(sample_run(run, out, cluster=cluster, n=n, seed=seed)))


@app.command()
@verb
def predict(
    run: Run,
    source: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="Images, .npy, .npz or a table.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write it here, do not print it.", show_default=False),
    ] = None,
    sort_into: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Copy the pictures of a folder here, one folder a cluster.", show_default=False
        ),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Cluster new data; prints or writes CSV."""
    from nemgan.experiments.outputs import check_free, predict_run, sort_pictures, write_new

    if out is not None:
        check_free(out, folder=False)
    if sort_into is not None:
        check_free(sort_into, asked="--sort-into")
        if not source.is_dir():
            raise ConfigError(f"--sort-into copies the pictures of a folder, and {source} is none: drop it")
        if sort_into.resolve().is_relative_to(source.resolve()):
            raise ConfigError(f"--sort-into {sort_into} lies in {source}, which would hold them twice: give another")
    text = predict_run(run, source, skip_bad=skip_bad)
    if out is not None:
        write_new(out, text)
    if sort_into is not None:
        sort_pictures(source, text, sort_into)
    if out is None:
        typer.echo(text, nl=False)
    if out is not None or sort_into is not None:
        typer.echo(_sizes(text), err=True)
    for each in (out, sort_into):
        if each is not None:
            typer.echo(str(each), err=out is None)  # standard output is the table's, where it is printed


@app.command()
@verb
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN …", help="Finished runs.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(metavar="INPUT", help="Samples; else those the first run was given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Each sample's cluster in each run.", show_default=False)
    ] = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Do runs (seeds, say) find the same clusters?"""
    from nemgan.experiments.agreement import compare_runs
    from nemgan.experiments.outputs import check_free, write_new

    if out is not None:
        check_free(out, folder=False)
    found = compare_runs(runs, data, skip_bad=skip_bad)
    if out is not None:
        write_new(out, found.csv())
    if as_json:
        typer.echo(json.dumps(found.summary(), indent=1, ensure_ascii=False))
        return
    typer.echo(f"{len(found.ids)} samples; clusters are called as in {found.runs[0]}, in brackets their own numbers\n")
    print_table(*found.table())
    typer.echo("")
    for (a, b), share in found.alike().items():
        typer.echo(f"{a} and {b} put {share:.1%} of the samples alike")
    if out is not None:
        typer.echo(str(out))


@app.command()
@verb
def export(
    run: Run,
    form: Annotated[str, typer.Option("--format", metavar="torch-export|onnx", help="What to write.")] = "torch-export",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where; by default RUN/export.")] = None,
) -> None:
    """Write a run's inverter and generator for use elsewhere."""
    from nemgan.experiments.export import export_run

    for path in export_run(run, form, out):
        typer.echo(str(path))


@app.command()
@verb
def report(run: Run) -> None:
    """Write RUN/report.html again."""
    from nemgan.experiments.folder import read_config
    from nemgan.report import write

    read_config(run)  # a run folder, or a clear error
    typer.echo(str(write(run)))


def _summary(text: str | bytes) -> None:
    """A run's record in a few lines, with what its report asks to look at."""
    from nemgan.evaluation.result import Result
    from nemgan.report.diagnosis import diagnose

    looks = [finding.title.lower() for finding in diagnose(Result.from_json(text)) if finding.level == "look"]
    print_summary(json.loads(text), looks)


def _which_data(words: Sequence[str]) -> ConfigError:
    """The error for words without ``data=``; it asks whether a bare one is meant."""
    from nemgan.data import catalog

    bare = next((word for word in words if word in catalog.names() or Path(word).expanduser().exists()), None)
    if bare is not None:
        return ConfigError(f"which data? say data={bare}")
    return ConfigError("which data? say data=FOLDER, FILE or a name of nemgan data; nemgan demo shows what happens")


def _sizes(text: str) -> str:
    """How many samples each cluster has in a CSV of ``predict``: ``cluster 0: 631, boot (cluster 1): 92``."""
    sizes = Counter((int(row["cluster"]), row.get("class", "")) for row in csv.DictReader(io.StringIO(text)))
    return ", ".join(f"{name_of(name, cluster)}: {n}" for (cluster, name), n in sorted(sizes.items()))


def _print_config(config: Config) -> None:
    """Every setting as a ``key=value`` line that ``train`` takes."""
    from nemgan.experiments.config import flat
    from nemgan.settings import show

    for key, value in flat(config).items():
        typer.echo(f"{key}={show(value)}")
