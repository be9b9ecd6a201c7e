"""Tables I, II, IV (five classes of models on the paper's data) and III (masses learned from few labels, or none)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nemgan.data import catalog
from nemgan.experiments.reproduce.attainable import attainable
from nemgan.experiments.reproduce.cells import BASELINES, CLUSTERS_ONLY, Cell, Record
from nemgan.experiments.reproduce.paper import C123, CONDITIONS, MODELS, TABLE_3, Row
from nemgan.experiments.reproduce.tables import (
    LEADING,
    SCORES,
    Group,
    Store,
    Table,
    behind,
    code_note,
    failure_notes,
    fd_note,
    fidelity,
    number,
    seconds,
    whole_seconds,
)
from nemgan.models import catalog as models

SEEDS = (0, 1, 2)
PRIOR_SEEDS = (0, 1, 2)
OURS = ("prior=matched",)
RIVALS: Mapping[str, tuple[str, ...]] = {
    "quick": ("gan.steps=1500", "preset=shared", "prior=uniform"),
    "full": ("preset=published", "prior=uniform"),
}
"""The rivals' settings by budget: the networks, optimiser and steps of ours, or their own papers'. Of grey images ours
learns at higher rates (``our_rates``)."""
UNIFORM = ("prior=uniform",)
LABELLED, UNLABELLED = (*CLUSTERS_ONLY, "labels=0.01", "prior=learned"), (*CLUSTERS_ONLY, "prior=learned")
"""Without the generator's stage: the masses are learned before it, and kept in it."""
SDS = 2.0
FD = fidelity("fd")

Cells = Callable[[str, Sequence[int] | None], list[Cell]]
Tables = Callable[[Store, str, Sequence[int] | None], list[Table]]


def model_table(title: str, printed: Mapping[str, Mapping[str, Row]], *, skewed: bool) -> tuple[Cells, Tables]:
    """Cells and tables of one of the paper's tables of models.

    Args:
        skewed: the masses differ, so that ours with equal masses assumed (C3 not met) is a row of its own.
    """

    def lines(data: str, budget: str, seeds: Sequence[int]) -> dict[tuple[str, str], list[Cell]]:
        """Cells by (conditions, model) in the order of the rows."""
        found = {}
        for conditions in CONDITIONS:
            for model in MODELS[conditions]:
                settings = OURS if conditions == C123 else RIVALS[budget]
                found[conditions, model] = [Cell(model, data, seed, settings) for seed in seeds]
        if skewed:
            found["C1 C2 Ĉ3", "nemgan, equal masses"] = [Cell("nemgan", data, seed, UNIFORM) for seed in seeds]
        return found

    def cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
        found = [cell for data in printed for each in lines(data, budget, seeds or SEEDS).values() for cell in each]
        if budget == "quick":
            found += [cell for data in printed for cell in _faster(data, (seeds or SEEDS)[0]).values()]
        return found

    def tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
        rows: list[tuple[str, ...]] = []
        groups: dict[str, Group] = {}
        for data, theirs in printed.items():
            made = {
                (conditions, model): store.clusters(each) if model.startswith("nemgan") else store.group(each)
                for (conditions, model), each in lines(data, budget, seeds or SEEDS).items()
            }
            groups |= {f"{model} on {data}": group for (_, model), group in made.items()}
            for (conditions, model), group in made.items():
                others = {name: each for (_, name), each in made.items() if not name.startswith("nemgan")}
                lead = behind(group, others, sds=SDS, figures={**LEADING, "FD": fidelity("fd", -1)})
                if lead.startswith(("yes", "ahead")) and budget == "quick" and our_rates(data):
                    lead += ", at higher rates than theirs (see the next table)"
                row = theirs[conditions] if "," not in model else None
                rows.append(_row(data, conditions, model, group, row, lead if model == "nemgan" else ""))
        at_ours = _faster_table(store, list(printed), (seeds or SEEDS)[0]) if budget == "quick" else None
        return [
            Table(
                title,
                (
                    "data",
                    "conditions",
                    "model",
                    "ACC",
                    "NMI",
                    "ARI",
                    "FD",
                    "seeds",
                    "seconds",
                    "paper ACC/NMI/ARI",
                    "can be true",
                    "paper's FID",
                    "ours leads",
                ),
                tuple(rows),
                (
                    f"Budget {budget}; the rivals' settings: {' '.join(RIVALS[budget])}.",
                    f"Ours leads where it is ahead of every other in ACC, NMI, ARI and FD by more than {SDS:g} sd, the "
                    "larger of the two models'. Ours is shown by its clusters alone where it trained no generator. "
                    "Where the paper had one class of models, two of them are shown.",
                    fd_note(groups.values()) + " The paper's FIDs are of another extractor and do not compare.",
                    *code_note(groups.values()),
                    *failure_notes(groups),
                ),
            ),
            *([at_ours] if at_ours else []),
        ]

    return cells, tables


def our_rates(data: str) -> tuple[str, ...]:
    """Learning rates of our adversarial stage on ``data``, as settings; none where they are those of all models."""
    known, ours = catalog.entry(data), models.entry("nemgan")
    defaults = ours.defaults(ours.default_preset, known.shape, len(known.class_names))
    return tuple(f"{key}={defaults[key]}" for key in ("gan.critic_lr", "gan.lr") if key in defaults)


def _faster(data: str, seed: int) -> dict[str, Cell]:
    """The rivals' cells at the rates of ours, by model; none where these are theirs."""
    rates = our_rates(data)
    rivals = [model for conditions in CONDITIONS if conditions != C123 for model in MODELS[conditions]]
    return {model: Cell(model, data, seed, (*RIVALS["quick"], *rates)) for model in rivals if rates}


def _faster_table(store: Store, sets: Sequence[str], seed: int) -> Table | None:
    """Whether the rivals are behind because they learn more slowly; None where all learn at the same rates."""
    rows: list[tuple[str, ...]] = []
    groups: dict[str, Group] = {}
    for data in sets:
        cells = _faster(data, seed)
        made = {model: store.group([cell]) for model, cell in cells.items()}
        usual = {model: store.group([Cell(model, data, seed, RIVALS["quick"])]) for model in cells}
        groups |= {f"{model} on {data}": group for model, group in made.items()}
        rows += [
            (
                data,
                model,
                usual[model].triple(),
                usual[model].text(FD, 2),
                group.triple(),
                group.text(FD, 2),
                group.n,
                "",
            )
            for model, group in made.items()
        ]
        if made:
            ours = groups[f"nemgan on {data}"] = store.group([Cell("nemgan", data, seed, OURS)])
            lead = behind(ours, made, figures={**LEADING, "FD": fidelity("fd", -1)})
            rows.append((data, "nemgan", "", "", ours.triple(), ours.text(FD, 2), ours.n, lead))
    if not rows:
        return None
    rates = next(filter(None, map(our_rates, sets)))
    return Table(
        f"The rivals at the learning rates of ours, seed {seed}",
        ("data", "model", "ACC/NMI/ARI", "FD", "at our rates", "FD at our rates", "seeds", "ours leads"),
        tuple(rows),
        (
            "All rivals share the rates .001 and .0004 (critic), at which 1,500 steps leave a generator half trained. "
            f"Ours learns grey images with {' '.join(rates)}: here they do too.",
            fd_note(groups.values()),
            *code_note(groups.values()),
            *failure_notes(groups),
        ),
    )


def _row(data: str, conditions: str, model: str, group: Group, printed: Row | None, lead: str) -> tuple[str, ...]:
    verdict, row, fid = "", "", ""
    if printed is not None:
        row = "/".join(number(value, 2) for value in printed[:3])
        possible = attainable(printed.acc, printed.nmi, printed.ari, catalog.entry(data).masses)
        verdict, fid = str(possible) if possible else "not checked", number(printed.fid, 2)
    scores = (group.text(key) for key in SCORES)
    spent = seconds(group.mean(whole_seconds))
    return data, conditions, model, *scores, group.text(FD, 2), group.n, spent, row, verdict, fid, lead


def prior_cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
    """Table III's runs: one per cent of the labels, and none."""
    seeds = seeds or PRIOR_SEEDS
    return [Cell("nemgan", data, seed, each) for data in TABLE_3 for each in (LABELLED, UNLABELLED) for seed in seeds]


def prior_tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
    seeds = seeds or PRIOR_SEEDS
    rows, groups = [], dict[str, Group]()
    for data, (true, learned) in TABLE_3.items():
        labelled, unlabelled = (
            store.group([Cell("nemgan", data, seed, each) for seed in seeds]) for each in (LABELLED, UNLABELLED)
        )
        counted = store.group([Cell("label-count", data, seed) for seed in seeds])
        groups |= {f"{data}, 1 % labels": labelled, f"{data}, no labels": unlabelled}
        run = {record["seed"] for record in labelled.records}
        same = [record for record in counted.records if record["seed"] in run]
        ours, theirs = labelled.mean("prior_l1"), Group(len(same), tuple(same), ()).mean("prior_l1")
        better = "" if ours is None or theirs is None else "yes" if ours < theirs else "no"
        rows.append(
            (
                data,
                _masses(true),
                _masses(learned),
                number(sum(abs(a - b) for a, b in zip(true, learned, strict=True))),
                _learned(labelled, len(true)),
                labelled.text("prior_l1"),
                counted.text("prior_l1"),
                better,
                _learned(unlabelled, len(true)),
                unlabelled.text("prior_l1"),
                f"{labelled.n} / {unlabelled.n}",
            )
        )
    return [
        Table(
            "Table III: learned masses",
            (
                "data",
                "masses (paper)",
                "paper, 1 % labels",
                "L1",
                "ours, 1 % labels",
                "L1 (1 %)",
                BASELINES["label-count"],
                "nearer than counting",
                "ours, no labels",
                "L1 (none)",
                "seeds, 1 % / none",
            ),
            tuple(rows),
            (
                "L1: sum of absolute differences from the masses of the training split; the paper's, from what it "
                "prints. Labels counted: the shares of the classes among the very labels that ours gets.",
                *code_note(groups.values()),
                *failure_notes(groups),
            ),
        )
    ]


def _masses(masses: Sequence[float]) -> str:
    return " ".join(number(mass) for mass in masses)


def _learned(group: Group, n: int) -> str:
    """Mean over the seeds of the masses learned, by class."""

    def of(index: int) -> Callable[[Record], float | None]:
        return lambda record: record["learned_prior"][index] if index < len(record["learned_prior"]) else None

    means = [group.mean(of(index)) for index in range(n)]
    known = [mean for mean in means if mean is not None]
    return _masses(known) if len(known) == n else group.text("prior_l1")
