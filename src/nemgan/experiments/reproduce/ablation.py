"""What each ingredient of ours buys: one of them off at a time, no labels, masses known, three seeds."""

from __future__ import annotations

from collections.abc import Sequence

from nemgan.experiments.reproduce.cells import Cell
from nemgan.experiments.reproduce.tables import SCORES, Group, Store, Table, code_note, failure_notes, number

DATA = ("mnist-2-3v5-90", "mnist-5")
SEEDS = (0, 1, 2)
MATCHED = "prior=matched"
VARIANTS: dict[str, tuple[str, ...]] = {
    "all of it": (MATCHED,),
    "equal masses assumed (Ĉ3)": ("prior=uniform",),
    "masses unknown": ("prior=learned",),
    "no augmentation": (MATCHED, "connect.augment=0"),
    "no balance of the micro-modes": (MATCHED, "connect.balance=0"),
    "one neighbour": (MATCHED, "connect.neighbours=1"),
    "neighbours of raw samples alone": (MATCHED, "connect.raw_share=1"),
    "few micro-modes": (MATCHED, "connect.micro_modes=6"),
    "no refining after the merge": (MATCHED, "connect.refine_steps=0"),
    "h learns from generated samples too": (MATCHED, "gan.train_inverter=true"),
    "a critic of x alone": (MATCHED, "gan.joint=false"),
    "no inversion loss": (MATCHED, "gan.inversion=0"),
}


def cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
    return [Cell("nemgan", data, seed, each) for data in DATA for each in VARIANTS.values() for seed in seeds or SEEDS]


def tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
    return [_table(store, data, seeds or SEEDS) for data in DATA]


def _table(store: Store, data: str, seeds: Sequence[int]) -> Table:
    groups = {
        name: store.group(Cell("nemgan", data, seed, settings) for seed in seeds) for name, settings in VARIANTS.items()
    }
    whole = groups["all of it"]
    rows = [
        (
            name,
            *(group.text(key) for key in SCORES),
            _change(group, whole) if group is not whole else "",
            group.text("mode_purity"),
            group.n,
            " ".join(VARIANTS[name]),
        )
        for name, group in groups.items()
    ]
    return Table(
        f"Ablation on {data}",
        ("variant", "ACC", "NMI", "ARI", "change of ACC", "mode purity", "seeds", "settings"),
        tuple(rows),
        (*code_note(groups.values()), *failure_notes(groups)),
    )


def _change(group: Group, whole: Group) -> str:
    """Difference of the mean ACC, with its sign; nothing where either is not known."""
    ours, theirs = group.mean("acc"), whole.mean("acc")
    if ours is None or theirs is None:
        return ""
    return ("+" if ours > theirs else "") + number(ours - theirs)
