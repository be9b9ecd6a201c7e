"""Errors a user can act on.

Every message is one line and names what is wrong, why, and the fix. The command line prints the line alone and
exits with status 2; from Python they are ordinary exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NemganError(Exception):
    """Base of every error raised on purpose; its message is one line."""


class ConfigError(NemganError, ValueError):
    """A setting that is unknown, mistyped, or at odds with another one."""


class DataError(NemganError, ValueError):
    """Data that is missing, damaged or unfit for what is asked of it."""


class CheckpointError(NemganError, ValueError):
    """A run folder or checkpoint that cannot be used."""


class DivergedError(NemganError, ArithmeticError):
    """A loss or gradient that is not finite; raised before the update it would have spoiled."""


class MissingExtra(NemganError, ImportError):
    """A library that is installed only on request is needed and not there."""

    def __init__(self, what: str, library: str, extra: str) -> None:
        super().__init__(f"{what} needs {library}, which is not installed: pip install 'nemgan[{extra}]'")


def unknown(kind: str, name: str, known: Iterable[str], error: type[NemganError] = ConfigError) -> NemganError:
    """The error for a name that is not among ``known``, with the closest match as the fix.

    >>> str(unknown("model", "nemgam", ["nemgan", "wgan"]))
    "unknown model 'nemgam': did you mean 'nemgan'? (known: nemgan, wgan)"
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f": did you mean {close[0]!r}?" if close else ""
    return error(f"unknown {kind} {name!r}{hint} (known: {', '.join(names)})")
