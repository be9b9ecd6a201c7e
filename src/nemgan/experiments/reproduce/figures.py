"""The paper's figures as runs and tables. What is drawn of them is in ``drawing.py``; here nothing heavy is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nemgan.experiments.reproduce.cells import Cell, Record
from nemgan.experiments.reproduce.paper import STACKED_MODES
from nemgan.experiments.reproduce.tables import NOTHING, Figure, Group, Store, Table, code_note, failure_notes, number

MOONS, RING = "moons-80", "ring-8"
MOON_MODELS = ("wgan", "deligan", "infogan", "clustergan", "nemgan")
RING_MODELS = ("wgan-gp", "veegan", "deligan", "mad-gan", "nemgan")
STEPS = {"quick": ("gan.steps=3000",), "full": ()}
"""Of the rivals in the plane, and of ours beside them."""
TEN = ("n_clusters=10", "prior=uniform")
DIGITS = ("mnist-7", "mnist-4")
ATTRIBUTES = {"70:30": ("n_clusters=2", "prior=[0.7,0.3]"), "10:30:60": ("n_clusters=3", "prior=[0.1,0.3,0.6]")}
ATTRIBUTE_DATA = ("fmnist", "celeba-black-hair")
STACKED = Cell(
    "nemgan",
    "stacked-mnist",
    0,
    (
        "connect.steps=0",
        "contrast.steps=0",
        "gan.inversion=1.0",
        "gan.inversion_of=modes",
        "gan.joint=false",
        "gan.reconstruction=10.0",
        "gan.steps=8000",
        "latent.dim=50",
        "n_clusters=20",
        "prior=uniform",
    ),
)
"""Twenty modes, a critic of x, h on generated samples and ẑ too (Eq. 3–4): a thousand combinations are no clusters.
So z is the paper's, not that of other colour images."""


def planar(model: str, data: str, seed: int, budget: str) -> Cell:
    """A model on points in the plane: ours with the true masses, a rival as it comes."""
    if model == "nemgan":
        return Cell(model, data, seed, ("prior=matched", *STEPS[budget]))
    preset = "shared" if budget == "quick" else "published"
    return Cell(model, data, seed, (f"preset={preset}", "prior=uniform", *STEPS[budget]))


def moons_cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
    return [planar(model, MOONS, seed, budget) for model in MOON_MODELS for seed in seeds or (0, 1, 2)]


def moons_tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
    rows, groups = [("real data", "", ".800", ".200", "", "", "", "")], {}
    for model in MOON_MODELS:
        group = groups[model] = store.group(planar(model, MOONS, seed, budget) for seed in seeds or (0, 1, 2))
        upper, lower = (group.text(_at("generated_masses", k)) for k in (0, 1))
        rows.append(
            (
                model,
                group.text("acc"),
                upper,
                lower,
                group.text("mode_purity"),
                group.text(_raw("precision")),
                group.text(_raw("recall")),
                group.n,
            )
        )
    header = (
        "model",
        "ACC",
        "share in the large moon",
        "in the small one",
        "mode purity",
        "precision",
        "recall",
        "seeds",
    )
    notes = (
        "Shares of the points drawn from the prior, told by a classifier of the real moons. It answers for points "
        "on no moon too: precision is the share that lie among the real ones, recall the share of real ones reached. "
        "Ours is told the masses (`prior=matched`), and its shares show that it keeps them; the others assume equal "
        "ones or none.",
    )
    return [
        Table(
            "Figure 1: two moons, 80:20",
            header,
            tuple(rows),
            notes + code_note(groups.values()) + failure_notes(groups),
            _drawn(store, "figure-1.png"),
        )
    ]


def digit_cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
    return [Cell("nemgan", data, seed, TEN) for data in DIGITS for seed in seeds or (0,)]


def digit_tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
    rows, groups = [], {}
    for data in DIGITS:
        group = groups[data] = store.group(Cell("nemgan", data, seed, TEN) for seed in seeds or (0,))
        shares = group.text(lambda record: min(record["found_masses"])), group.text(lambda r: max(r["found_masses"]))
        rows.append((data, *shares, group.text("generated_vs_found_l1"), group.text("confidence"), group.n))
    return [
        Table(
            "Figure 3: ten modes inside one digit",
            ("data", "smallest mode", "largest mode", "generated − found masses, L1", "confidence", "seeds"),
            tuple(rows),
            (
                "Equal masses are assumed. One row of each picture is one mode.",
                *code_note(groups.values()),
                *failure_notes(groups),
            ),
            _drawn(store, *(f"figure-3-{data}.png" for data in DIGITS)),
        )
    ]


def attribute_cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
    return [
        Cell("nemgan", data, seed, each)
        for data in ATTRIBUTE_DATA
        for each in ATTRIBUTES.values()
        for seed in seeds or (0,)
    ]


def attribute_tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
    rows, groups = [], {}
    for data in ATTRIBUTE_DATA:
        for ratio, settings in ATTRIBUTES.items():
            group = groups[f"{data} at {ratio}"] = store.group(
                Cell("nemgan", data, seed, settings) for seed in seeds or (0,)
            )
            if not group.records:
                rows.append((data, ratio, group.text("acc"), group.text("acc"), group.n))
                continue
            for k, (share, inside) in enumerate(_contents(group.records[0])):
                rows.append((data, ratio, f"mode {k}: {share}", inside, group.n))
    names = [f"figure-4-{data}-{ratio.replace(':', '-')}.png" for data in ATTRIBUTE_DATA for ratio in ATTRIBUTES]
    return [
        Table(
            "Figures 4 and 5: what has the assumed masses",
            (
                "data",
                "assumed masses",
                "share of the test split",
                "classes with over half of their samples in it",
                "seeds",
            ),
            tuple(rows),
            (
                "No label is used: a ratio is assumed, and what falls apart in that ratio is looked at. The paper does "
                "so with faces; without CelebA on disk the same is done with clothes. Of several seeds "
                "the first is shown.",
                *code_note(groups.values()),
                *failure_notes(groups),
            ),
            _drawn(store, *names),
        )
    ]


def _contents(record: Record) -> list[tuple[str, str]]:
    """Of each cluster: its share of the test split, and the classes of which it holds more than half."""
    table = record.get("confusion") or ()
    found = []
    for k, share in enumerate(record["found_masses"]):
        inside = [
            f"{name} ({counts[k] / sum(counts):.0%})"
            for name, counts in zip(record["class_names"], table, strict=False)
            if sum(counts) and counts[k] > sum(counts) / 2
        ]
        found.append((number(share), ", ".join(inside) or NOTHING))
    return found


def stacked_cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
    return [Cell(STACKED.model, STACKED.data, seed, STACKED.settings) for seed in seeds or (0,)]


def stacked_tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
    group = store.group(stacked_cells(budget, seeds))
    rows = (
        ("paper", f"{STACKED_MODES}", "", "", ""),
        ("nemgan", group.text(_modes("covered"), 0), group.text(_modes("kl")), group.text(_modes("n"), 0), group.n),
    )
    return [_modes_table("Figure 6: stacked MNIST, 1,000 modes", "model", rows, [group], store, "figure-6.png")]


def ring_cells(budget: str, seeds: Sequence[int] | None) -> list[Cell]:
    return [planar(model, RING, seed, budget) for model in RING_MODELS for seed in seeds or (0, 1, 2)]


def ring_tables(store: Store, budget: str, seeds: Sequence[int] | None) -> list[Table]:
    groups = {
        model: store.group(planar(model, RING, seed, budget) for seed in seeds or (0, 1, 2)) for model in RING_MODELS
    }
    rows = tuple(
        (
            model,
            f"{group.text(_modes('covered'), 1)} of 8",
            group.text(_modes("within")),
            group.text(_modes("kl")),
            group.text(_modes("n"), 0),
            group.n,
        )
        for model, group in groups.items()
    )
    header = ("model", "modes", "share within 3σ", "KL", "samples", "seeds")
    notes = (*_told(groups.values()), *code_note(groups.values()), *failure_notes(groups))
    return [Table("Figure 7: eight Gaussians on a ring", header, rows, notes, _drawn(store, "figure-7.png"))]


def _modes_table(
    title: str, first: str, rows: tuple[tuple[str, ...], ...], groups: list[Group], store: Store, picture: str
) -> Table:
    notes = (*_told(groups), *code_note(groups), *failure_notes(dict.fromkeys([title], groups[0])))
    return Table(title, (first, "modes", "KL", "samples", "seeds"), rows, notes, _drawn(store, picture))


def _told(groups: Any) -> tuple[str, ...]:
    """Who said which mode a sample shows."""
    told = {record["modes"]["told_by"] for group in groups for record in group.records if record.get("modes")}
    return tuple(f"Modes told by {each}." for each in sorted(told))


def _modes(key: str) -> Figure:
    return lambda record: record["modes"][key] if record.get("modes") else None


def _raw(key: str) -> Figure:
    """A distance of the points as they are."""
    return lambda record: next(
        (each[key] for each in record.get("fidelity") or () if each["extractor"] == "raw vector"), None
    )


def _at(key: str, index: int) -> Figure:
    return lambda record: record[key][index] if record.get(key) else None


def _drawn(store: Store, *names: str) -> tuple[str, ...]:
    """The pictures of these that have been drawn."""
    return tuple(name for name in names if (store.folder / "figures" / name).is_file())
