"""The command line: each verb reads its words, calls one function below, and prints.

Nothing heavy is imported here: torch alone costs seconds, and ``nemgan --help`` should not.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nemgan import __version__
from nemgan.errors import ConfigError
from nemgan.terminal import masses, plain, print_pairs, print_shares, print_summary, print_table, read_record, verb

if TYPE_CHECKING:
    from nemgan.experiments.config import Config

STARTED = time.monotonic()

app = typer.Typer(
    name="nemgan",
    help="Clusters, masses and samples from unlabelled, imbalanced data. Start with: nemgan demo",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as printed by train.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Where run folders are made.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out pictures that cannot be read.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar; print the run folder alone.")]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line on ``argv`` (the process's own words by default) and exit.

    Threads that wait for each other sleep rather than spin, unless the environment says otherwise: with another process
    on the machine, spinning makes every step several times slower (docs/notebook.md). Read when torch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app(list(argv) if argv is not None else None, prog_name="nemgan")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"nemgan {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


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
    print_summary(read_record(folder))
    typer.echo(f"\nopen {folder / 'report.html'}")


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
def models(as_json: AsJson = False) -> None:
    """List models, their presets and conditions."""
    from nemgan.models import catalog

    found = [
        {
            "name": entry.name,
            "title": entry.title,
            "conditions": entry.conditions,
            "paper": entry.paper,
            "presets": list(entry.presets),
        }
        for entry in map(catalog.entry, catalog.names())
    ]
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        header = ["name", "title", "conditions", "presets", "paper"]
        print_table(header, [[plain(each[key]) for key in header] for each in found])


@app.command()
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
    out: Out = Path("runs"),
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
    if resume is not None and (dry_run or print_config):
        raise ConfigError("--dry-run and --print-config are about a new run, --resume about an old one: give either")
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
        print_summary(read_record(folder))
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
        print_summary(json.loads(text))


@app.command()
@verb
def sample(
    run: Run,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR|FILE.npz|FILE.png|FILE.csv",
            help="PNGs, an array, one picture; of a table, rows.",
        ),
    ],
    mode: Annotated[int | None, typer.Option(min=0, help="Draw from this mode alone; by default from all.")] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of samples.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
) -> None:
    """Draw new samples from a run's modes."""
    from nemgan.experiments.outputs import check_free, sample_run

    check_free(out)
    typer.echo(str(sample_run(run, out, mode=mode, n=n, seed=seed)))


@app.command()
@verb
def predict(
    run: Run,
    source: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="Images, .npy, .npz or a table.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write here instead of printing.", show_default=False)
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Cluster new data; prints or writes CSV."""
    from nemgan.experiments.outputs import check_free, predict_run, write_new

    if out is not None:
        check_free(out, folder=False)
    text = predict_run(run, source, skip_bad=skip_bad)
    if out is None:
        typer.echo(text, nl=False)
        return
    write_new(out, text)
    typer.echo(str(out))


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
def priors(
    source: Annotated[
        str, typer.Argument(metavar="DATA", help="An image folder, .npy, .npz, a table, or a name of nemgan data.")
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="n_clusters=, seed=, threads=; of a table id_column=, label_column= (left out), impute=.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FEW.csv", help="Lines of: file name or row, class.")] = None,
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
    from nemgan.experiments.run import threads
    from nemgan.priors import priors_of

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    with threads(told.threads):
        found = priors_of(
            source,
            labels,
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
    if write is not None:
        command.write(asked, write)
        typer.echo(str(write))
        return
    if not show:
        if name is None:
            raise ConfigError(f"say what to run (or --show): {', '.join(asked.names)}")
        for line in command.run(asked, out, jobs=jobs, minutes=minutes, again=again):
            typer.echo(line)
    for table in command.tables(asked):
        typer.echo(f"\n{table.title}\n")
        print_table(table.header, table.rows)
        for note in (*table.notes, *table.pictures):
            typer.echo(f"  {note}")


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


def _either(option: str, given: int | None, told: Config, key: str) -> int | None:
    """What an option or the word of the same meaning says.

    Raises:
        ConfigError: they say different things.
    """
    word: int | None = getattr(told, key)
    if given is None or key not in told.model_fields_set or given == word:
        return word if given is None else given
    raise ConfigError(f"{option} {given} and {key}={word} are both given: drop one")


def _print_config(config: Config) -> None:
    """Every setting as a ``key=value`` line that ``train`` takes."""
    from nemgan.experiments.config import flat, show

    for key, value in flat(config).items():
        typer.echo(f"{key}={show(value)}")


if __name__ == "__main__":
    main()
