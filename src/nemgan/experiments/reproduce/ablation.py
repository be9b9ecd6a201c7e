"""What each ingredient of ours buys: one of them off at a time, no labels, masses known, three seeds."""

from __future__ import annotations

from collections.abc import Sequence

from nemgan.experiments.reproduce.cells import Cell
from nemgan.experiments.reproduce.tables import SCORES, Group, Store, Table, code_note, failure_notes, number

SEEDS = (0, 1, 2)
MATCHED = "prior=matched"
ALL_OF_IT = "all of it"
GREY: dict[str, tuple[str, ...]] = {
    ALL_OF_IT: (MATCHED,),
    "equal masses assumed (Ĉ3)": ("prior=uniform",),
    "masses unknown": ("prior=learned",),
    "no augmentation": (MATCHED, "connect.augment=0"),
    "no balance of the micro-modes": (MATCHED, "connect.balance=0"),
    "neighbours by distance, not by angle": (MATCHED, "connect.metric=euclidean"),
    "one neighbour": (MATCHED, "connect.neighbours=1"),
    "neighbours of raw samples alone": (MATCHED, "connect.raw_share=1"),
    "few micro-modes": (MATCHED, "connect.micro_modes=6"),
    "no refining after the merge": (MATCHED, "connect.refine_steps=0"),
    "no second look": (MATCHED, "connect.second_look=false"),
}
GENERATOR = {
    "h learns from generated samples too": (MATCHED, "gan.train_inverter=true"),
    "a critic of x alone": (MATCHED, "gan.joint=false"),
    "no inversion loss": (MATCHED, "gan.inversion=0"),
}
COLOUR = {
    ALL_OF_IT: (MATCHED,),
    "no contrastive features": (
        MATCHED,
        "contrast.steps=0",
        "connect.steps=400",
        "connect.refine_steps=200",
        "network.inverter_style=same",
    ),
    "no second look": (MATCHED, "connect.second_look=false"),
    "masses unknown": ("prior=learned",),
}
VARIANTS = {"mnist-2-3v5-90": GREY | GENERATOR, "mnist-5": GREY, "cifar-2-70": COLOUR}


def cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
    """Whole runs, or at budget quick clusters alone where no variant of the generator is compared with."""
    found = []
    for data, variants in VARIANTS.items():
        compared = any(map(_of_generator, variants.values()))
        for name, settings in variants.items():
            whole = budget != "quick" or _of_generator(settings) or (compared and name == ALL_OF_IT)
            each = [Cell("nemgan", data, seed, settings) for seed in seeds or SEEDS]
            found += each if whole else [cell.clusters_only() for cell in each]
    return found


def _of_generator(settings: tuple[str, ...]) -> bool:
    return any(word.startswith("gan.") for word in settings)


def tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
    return [_table(store, data, seeds or SEEDS) for data in VARIANTS]


def _table(store: Store, data: str, seeds: Sequence[int]) -> Table:
    groups = {}
    for name, settings in VARIANTS[data].items():
        wanted = [Cell("nemgan", data, seed, settings) for seed in seeds]
        groups[name] = store.group(wanted) if _of_generator(settings) else store.clusters(wanted)
    rows = [
        (
            name,
            *(group.text(key) for key in SCORES),
            *(_change(store, data, group, seeds) if name != ALL_OF_IT else ("", "")),
            group.text("mode_purity"),
            group.n,
            " ".join(VARIANTS[data][name]),
        )
        for name, group in groups.items()
    ]
    return Table(
        f"Ablation on {data}",
        ("variant", "ACC", "NMI", "ARI", "all of it, same code", "change of ACC", "mode purity", "seeds", "settings"),
        tuple(rows),
        (
            "The change is that of mean ACC from the runs with all of it that the same version of the code made; where "
            "there are none, it is left out.",
            *code_note(groups.values()),
            *failure_notes(groups),
        ),
    )


def _change(store: Store, data: str, group: Group, seeds: Sequence[int]) -> tuple[str, str]:
    """Mean ACC of the runs with all of it that the group's code made, and how far the group's is from it."""
    made = {str(record.get("code")) for record in group.records}
    if len(made) != 1:
        return "", ""
    cells = [Cell("nemgan", data, seed, VARIANTS[data][ALL_OF_IT]) for seed in seeds]
    whole = store.made_by(made.pop(), cells)
    ours, theirs = group.mean("acc"), whole.mean("acc")
    if ours is None or theirs is None:
        return "", ""
    return whole.text("acc"), ("+" if ours > theirs else "") + number(ours - theirs)
