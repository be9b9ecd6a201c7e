"""The program, and the words that several verbs take."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from nemgan import __version__

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


class Worded(TyperCommand):
    """A verb that takes settings as words; whoever writes one as an option is told the word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {option for each in self.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
        for word, value in zip(args, [*args, ""][1:], strict=True):
            option, equals, given = word.partition("=")
            key = option.removeprefix("--").replace("-", "_")
            if option.startswith("--") and option not in own and _is_setting(key):
                said = given if equals else value if value and not value.startswith("-") else "…"
                typer.echo(f"nemgan: error: there is no option {option}: settings are words, {key}={said}", err=True)
                raise typer.Exit(2)
        return super().parse_args(ctx, args)


def _is_setting(key: str) -> bool:
    from nemgan.experiments.config import keys

    return key in keys()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line on ``argv`` (the process's own words by default) and exit.

    Threads that wait for each other sleep rather than spin, unless the environment says otherwise: with another process
    on the machine, spinning makes every step several times slower (docs/notebook.md). Read when torch is loaded.

    Files and pipes get UTF-8; what a terminal or standard error cannot show becomes a question mark.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            if stream is sys.stdout and not stream.isatty():
                stream.reconfigure(encoding="utf-8")  # files and pipes, in which nothing may be lost
            else:
                stream.reconfigure(errors="replace")
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
