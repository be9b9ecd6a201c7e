"""Plain text for people: columns, pairs, a run's record in a few lines, errors in one. Pipes and narrow terminals get
the same."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer

from nemgan.errors import NemganError

RUN_NOTE = "run folder: "
P = ParamSpec("P")
R = TypeVar("R")


TELLING = {
    *(errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
}
"""Numbers of the errors of files that a user can do something about."""


def _home(word: Any) -> Any:
    """``word`` with ``~`` at the start of a path replaced: no shell does so in ``--out=~/x``."""
    if isinstance(word, list):
        return [_home(each) for each in word]
    return word.expanduser() if isinstance(word, Path) and word.parts[:1] == ("~",) else word


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Turn errors that a user can act on into one line on stderr and an exit status."""

    @functools.wraps(function)
    def safe(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*map(_home, args), **{key: _home(value) for key, value in kwargs.items()})
        except NemganError as error:
            _fail(str(error), getattr(error, "exit_code", 2), getattr(error, "__notes__", ()))
        except KeyboardInterrupt as error:
            _fail("interrupted", 130, getattr(error, "__notes__", ()))
        except OSError as error:
            if error.errno not in TELLING:
                raise
            _fail(f"{error.filename or 'a file'}: {error.strerror}", 2, getattr(error, "__notes__", ()))

    return safe


def _fail(message: str, code: int, notes: Iterable[str]) -> NoReturn:
    """Print one line and end with ``code``. A note ``run folder: X`` says where to go on, or where the trouble is."""
    folders = [note.removeprefix(RUN_NOTE) for note in notes if note.startswith(RUN_NOTE)]
    line = " ".join(message.split())
    if code != 2:
        line = line.removesuffix("; resume to go on")
        line += "".join(f"; go on with: nemgan train --resume {name}" for name in folders)
        typer.echo(f"nemgan: {line}", err=True)
    else:
        line += "".join(f" ({RUN_NOTE}{name})" for name in folders if name not in line)
        typer.echo(f"nemgan: error: {line}", err=True)
    raise typer.Exit(code)


def print_summary(record: Mapping[str, Any], remarks: Sequence[str] = ()) -> None:
    """The record in a few lines for people, and the ``remarks`` of its report that ask for attention."""

    def number(key: str) -> str:
        return "-" if record.get(key) is None else f"{record[key]:.3f}"

    scores = {
        "accuracy": f"{number('acc')}   ({_scored(record)}; NMI {number('nmi')}, ARI {number('ari')}; macro recall "
        f"{number('macro_recall')})",
        "purity": number("purity"),
    }
    if record.get("mode_purity") is not None:
        scores["purity"] += f"   (of generated samples {number('mode_purity')})"
    labels = record["labels_used"]
    typer.echo("")
    print_pairs(
        {
            "data": f"{record['data']}, {labels or 'no'} label{'s' if labels != 1 else ''} used",
            **_ablated(record),
            "clusters": record["n_clusters"],
            **_certainty(record),
            **_masses(record),
            **(scores if record["acc"] is not None else {"accuracy": "not known: the samples held out have no labels"}),
            **{_of(each): _distances(each) for each in record.get("fidelity", ())},
            "time": f"{record['seconds']:.0f} s, {record['steps']} steps",
            **({"look at": f"{'; '.join(remarks)} (see the report)"} if remarks else {}),
        }
    )


def _scored(record: Mapping[str, Any]) -> str:
    """Which samples the scores are of; how many, where only few of those held out have labels."""
    from nemgan.report.diagnosis import FEW

    n = sum(map(sum, record.get("confusion") or ()))
    if not n or n == record.get("n_test"):
        return "held-out"
    return f"of {n} held-out samples with labels{', too few to say' if n < FEW else ''}"


def _ablated(record: Mapping[str, Any]) -> dict[str, str]:
    """The model and what of it is not as its preset says, where something is not."""
    if not record.get("changed"):
        return {}
    words = " ".join(f"{key}={plain(value)}" for key, value in record["changed"].items())
    return {"model": f"{record['model']}, preset {record['preset']}, {record['conditions']}; {words}"}


def _masses(record: Mapping[str, Any]) -> dict[str, str]:
    """Masses by name, largest first, and the true ones in the same order."""
    learned, true = record["learned_prior"], record["true_masses"] or ()
    of_cluster = record.get("class_of_cluster")
    classes = [_class(name) for name in record.get("class_names", ())]
    named = dict(enumerate(map(_class, record.get("cluster_names", ()))))  # by labels that training was given
    names = [name_of(named.get(k, ""), k) for k in range(len(learned))]
    if of_cluster is not None:  # by class, then the clusters that no class was left for
        cluster = {c: k for k, c in enumerate(of_cluster) if c >= 0}
        names = [
            name_of(named.get(cluster[c], name), cluster[c]) if c in cluster else name for c, name in enumerate(classes)
        ]
        names += [name_of(named.get(k, ""), k) for k, c in enumerate(of_cluster) if c < 0]
    order = sorted(range(len(learned)), key=lambda i: -learned[i])
    said = {"learned": "learned", "uniform": "assumed"}.get(str(record["prior"]), "given")
    found = {f"masses {said}": _named(learned, names, order)}
    if true:
        order = [i for i in order if i < len(true)] if of_cluster is not None else list(range(len(true)))
        found["masses true"] = _named(true, classes, order)
    return found


def _class(name: str) -> str:
    return f"class {name}" if name.isdecimal() else name


def name_of(name: str, cluster: int) -> str:
    """A cluster by the name labels gave it, if any, and its number."""
    return f"{name} (cluster {cluster})" if name else f"cluster {cluster}"


def _named(values: Sequence[float], names: Sequence[str], order: Iterable[int]) -> str:
    """``cluster 2: .700, cluster 0: .300``, or their number and range where they are many."""
    if len(values) > MOST:
        return masses(values)
    return ", ".join(f"{names[i]}: {masses([values[i]])}" for i in order)


def _certainty(record: Mapping[str, Any]) -> dict[str, str]:
    """How sure the clusters and their number are, where the record says so; no labels are used for either."""
    if record.get("agreement") is None:
        return {}
    from nemgan.counting import LOW_AGREEMENT, Count, fitting_better

    names = record.get("cluster_names", ())
    told = bool(names) and all(names)  # labels of every cluster say how many there are
    best = fitting_better([Count(**count) for count in record.get("counts", ())], record["n_clusters"])
    beside = f"; {best.m} clusters may fit better (see the report)" if best and not told else ""
    low = record["agreement"] < LOW_AGREEMENT
    doubt = f": below {LOW_AGREEMENT:.0%} another answer would be nearly as good" if low else ""
    return {"how sure": f"partitions agree on {_share(record['agreement'])} of the samples{doubt}{beside}"}


def _share(share: float) -> str:
    """``97.3%``, ``84%``; 100% for all of them and no less."""
    return f"{min(share, 0.999):.1%}".replace(".0%", "%") if share < 1 else "100%"


def _of(fidelity: Mapping[str, Any]) -> str:
    return f"{fidelity['extractor']} features"


def _distances(fidelity: Mapping[str, Any]) -> str:
    def short(distance: float) -> str:
        return f"{distance:.2f}" if distance >= 1 else f"{distance:.2g}"

    inside = "" if fidelity["icfd"] is None else f", within clusters {short(fidelity['icfd'])}"
    real = f"real samples {short(fidelity['fd_real'])}"
    return f"Fréchet distance {short(fidelity['fd'])}{inside}   (n={fidelity['n']}; {real})"


MOST = 20
"""Values of a list that are all shown; longer ones are summed up."""


def masses(masses: Iterable[float]) -> str:
    """``.700 .300``, or their number and range where they are many."""
    shown = [f"{mass:.3f}".lstrip("0") for mass in masses]
    return " ".join(shown) if len(shown) <= MOST else f"{len(shown)} from {min(shown)} to {max(shown)}"


def plain(value: object) -> str:
    """A value of JSON without its brackets and quotes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={plain(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        if len(value) > MOST:
            return f"{plain(value[0])}, {plain(value[1])} … {plain(value[-1])} ({len(value)} in all)"
        return ", ".join(map(plain, value)) or "none"
    return str(value)


def print_pairs(found: Mapping[str, object]) -> None:
    """A line for each name and value."""
    width = max(map(len, found)) + 2
    for key, value in found.items():
        typer.echo(f"{key:<{width}}{plain(value)}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest cell; numbers to the right."""
    cells = [list(header), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [all(type(row[i]) in (int, float) for row in rows) for i in range(len(header))]
    for row in cells:
        parts = [f"{c:>{w}}" if r else f"{c:<{w}}" for c, w, r in zip(row, widths, right, strict=True)]
        typer.echo("  ".join(parts).rstrip())


TESTED = 10
"""Labels of a kind from which on the coverage of intervals was measured (benchmarks/prevalence.py)."""


def print_shares(found: Mapping[str, Any]) -> None:
    """Estimated masses of each kind with their intervals, one column a way of estimating (``nemgan priors``)."""
    ways = [way for way in ("few_labels", "zero_labels", "counting") if found[way]]
    wide = any(len(found[way]["masses"]) != len(found["classes"]) for way in ways)

    def cell(way: str, i: int) -> str:
        masses = found[way]["masses"]
        if i >= len(masses):
            return "-"
        low, high = found[way]["interval"][i]
        return f"{masses[i]:.3f} [{low:.3f}, {high:.3f}]"

    rows = max(len(found[way]["masses"]) for way in ways)
    names = [*map(str, found["classes"]), *(f"cluster {i}" for i in range(len(found["classes"]), rows))]
    header = {"few_labels": "few labels", "zero_labels": "no labels", "counting": "counting the labels"}
    print_table(
        ["kind", *(header[way] for way in ways)], [[names[i], *(cell(way, i) for way in ways)] for i in range(rows)]
    )
    typer.echo(
        f"\n{found['n_samples']} samples, {found['n_labels']} labels, {100 * found['level']:g} % intervals; "
        f"{_restarts(found)}"
    )
    if len(ways) == 3 and not wide and _apart(found["few_labels"]["interval"], found["zero_labels"]["interval"]):
        typer.echo(
            "the clusters found without labels may not be these kinds: their shares differ by more than the intervals"
        )
    better, used = found.get("suggested_n_clusters"), len(found["zero_labels"]["masses"])
    told = found["counting"] and len(found["classes"]) == used  # by the labels
    if better is not None and not told:
        typer.echo(f"{better} clusters may fit the data better than {used}: try n_clusters={better}")
    few = [name for name, n in _labels_of(found).items() if 1 < n < TESTED]
    if few:
        typer.echo(
            f"intervals were tested with {TESTED} labels a kind and more, {', '.join(few)} "
            f"{'has' if len(few) == 1 else 'have'} fewer: they may be too narrow"
        )
    single = [name for name, n in _labels_of(found).items() if n == 1]
    if single:
        said = "has a single label" if len(single) == 1 else "have a single label each"
        typer.echo(f"{', '.join(single)} {said}, from which no interval can be told: label one more")
    if wide:
        typer.echo("there are more clusters than labelled classes: those of no labels are in order of size")


def _labels_of(found: Mapping[str, Any]) -> dict[str, int]:
    """Number of labels of each class, by name; empty without labels."""
    shares = found["counting"]["masses"] if found["counting"] else []
    return {str(name): round(share * found["n_labels"]) for name, share in zip(found["classes"], shares, strict=False)}


def _apart(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> bool:
    """Whether two intervals of a mass exclude each other, for any of the masses."""
    return any(a[1] < b[0] or b[1] < a[0] for a, b in zip(one, other, strict=True))


def _restarts(found: Mapping[str, Any]) -> str:
    """How far the restarts agree, where there is more than one to compare."""
    asked, used = found["restarts"], len(found["confidence"])
    if asked == 1:
        return "one restart, nothing to compare it with"
    of = f"{used} of {asked} restarts used" if used < asked else f"{asked} restarts"
    return f"{of}, nothing to compare with" if used == 1 else f"{of} agree to {found['agreement']:.2f}"
