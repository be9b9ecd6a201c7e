"""Tables from small stored records: nothing is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nemgan.cli import app
from nemgan.errors import ConfigError
from nemgan.experiments.prepare import configure
from nemgan.experiments.reproduce import zero_labels
from nemgan.experiments.reproduce.cells import Cell, append, configured
from nemgan.experiments.reproduce.generation import generation
from nemgan.experiments.reproduce.page import render
from nemgan.experiments.reproduce.tables import Group, Store, Table, behind, markdown, number
from nemgan.experiments.reproduce.targets import TARGETS, parse_seeds, target


def store_one(folder: Path, name: str, cell: Cell, **figures: Any) -> None:
    settings = list(cell.settings)
    record: dict[str, Any] = {"model": cell.model, "data": cell.data, "seed": cell.seed, "settings": settings}
    record |= {"code": "a", "configured": configured(cell), **figures}
    append(folder / f"{name}.jsonl", record)


def group(*values: float, failures: tuple[str, ...] = ()) -> Group:
    return Group(5, tuple(map(record, values)), failures)


def all_of(*values: float) -> Group:
    return Group(len(values), tuple(map(record, values)))


def record(value: float) -> dict[str, Any]:
    return {"model": "x", "data": "x", "seed": 0, "acc": value, "nmi": value, "ari": value}


def rows(table: Table) -> dict[str, dict[str, str]]:
    return {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}


def test_numbers_and_groups() -> None:
    assert [number(v) for v in (0.9954, 1.0, -0.01, 0.0)] == [".995", "1.000", "-.010", ".000"]
    assert number(31.149, 2) == "31.15" and number(10.5, 1) == "10.5"
    assert group(0.9, 1.0).text("acc") == ".950 ± .071" and group(0.9).text("acc") == ".900"
    assert group().text("acc") == "–" and group(failures=("x",)).text("acc") == "failed"
    assert group(0.9, failures=("x",)).n == "1 (1 failed, 3 to do)"


def test_who_leads() -> None:
    assert behind(all_of(0.9), {"UMAP": all_of(0.8)}) == "yes"
    assert behind(all_of(0.9), {"UMAP": all_of(0.91)}).startswith("no: ACC of UMAP .910, NMI")
    assert behind(all_of(0.9), {"UMAP": group()}) == "–" == behind(group(), {"UMAP": all_of(0.5)})
    near = behind(all_of(0.90, 0.92), {"UMAP": all_of(0.89)}, sds=2)
    assert (
        near
        == "by its means, but not by 2 sd: ACC of UMAP .890, NMI of UMAP .890, ARI of UMAP .890; of one seed, no sd"
    )
    assert behind(all_of(0.90, 0.90), {"UMAP": all_of(0.89, 0.89)}, sds=2) == "yes"
    assert behind(all_of(0.90), {"UMAP": all_of(0.89, 0.89)}, sds=2) == "ahead, but of one seed, no sd"
    few = {"UMAP": group(0.8), "K-means": group(0.7), "GMM": all_of(0.7)}
    assert behind(all_of(0.9), few) == "yes, but fewer seeds of UMAP, K-means"
    assert "UMAP -.010" in behind(all_of(-0.02), {"UMAP": all_of(-0.01)})
    fd = {"FD": "fd"}
    assert behind(all_of(0.9), {"UMAP": all_of(0.8)}, more=fd) == "yes, but no FD"
    ours = Group(2, ({**record(0.9), "fd": 2}, record(0.9)))
    theirs = Group(2, ({**record(0.8), "fd": 1}, {**record(0.8), "fd": 1}))
    assert behind(ours, {"UMAP": theirs}, sds=2, more=fd) == "yes, but FD of 1 of 2 seeds"
    both = Group(2, ({**record(0.9), "fd": 2}, {**record(0.9), "fd": 1}))
    assert behind(both, {"UMAP": theirs}, sds=2, more=fd) == "yes"  # by its mean, not by two sd
    assert behind(ours, {"UMAP": all_of(0.95)}, more=fd).startswith("no: ACC of UMAP")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    for seed in (0, 1):
        ours = Cell("nemgan", "fmnist-5", seed, ("prior=matched",))
        fidelity = [{"extractor": "judge", "n": 2000, "fd": 1.5, "fd_real": 0.1, "icfd": 2.5}]
        store_one(
            tmp_path,
            "quality",
            ours,
            acc=0.90 + seed / 100,
            nmi=0.78,
            ari=0.78,
            mode_purity=0.91,
            mode_diversity=[0.9, 0.7 + seed / 10],
            generated_masses=[0.6, 0.4],
            true_masses=[0.5, 0.5],
            fidelity=fidelity,
        )
        store_one(tmp_path, "baselines", Cell("umap-kmeans", "fmnist-5", seed), acc=0.913, nmi=0.8, ari=0.802)
    cell = Cell("nemgan", "mnist-5", 0, ("prior=matched",))
    store_one(tmp_path, "quality", cell, failed="loss is not finite")
    return tmp_path


def test_the_table_says_where_ours_does_not_lead(stored: Path) -> None:
    clusters, generation, *_ = zero_labels.tables(Store(stored), "quick", None)
    row = rows(clusters)["fmnist-5"]
    assert row["ours ACC"] == ".905 ± .007" and row["NMI"] == ".780 ± .000" and row["seeds"] == "2 (3 to do)"
    assert row["UMAP + K-means"] == ".913/.800/.802 (2 of 5)" and row["K-means on pixels"] == "–"
    assert row["ours leads"].startswith("no: ACC of UMAP + K-means .913")
    assert row["paper"] == ".92/.81/.81" and row["asked for"] == ".920/.810/.810: short in ACC, NMI, ARI"
    assert rows(clusters)["mnist-5"]["ours ACC"] == "failed"
    assert any("mnist-5: loss is not finite" in note for note in clusters.notes)
    assert rows(clusters)["cifar-2-70"]["can be true"] == "impossible"
    made = rows(generation)["fmnist-5"]
    assert made["least diversity"] == ".75 ± .07" and made["FD"] == "1.50 ± .00"
    assert made["generated − true masses, L1"] == ".200 ± .000"
    assert any("judge features, 2,000 samples" in note for note in generation.notes)


def test_runs_without_a_generator_stand_in_for_whole_ones_and_say_nothing_of_samples(stored: Path) -> None:
    third = Cell("nemgan", "fmnist-5", 2, ("prior=matched",))
    noise = {"mode_purity": 0.2, "fidelity": [{"extractor": "judge", "n": 9, "fd": 99.0, "fd_real": 0.1, "icfd": 9.0}]}
    store_one(stored, "quality", third.clusters_only(), acc=0.92, nmi=0.78, ari=0.78, **noise)
    store_one(stored, "quality", Cell("nemgan", "fmnist-5", 1, ("gan.steps=0", "prior=matched")), acc=0.1)
    store = Store(stored)
    both = store.clusters([Cell("nemgan", "fmnist-5", seed, ("prior=matched",)) for seed in (0, 1, 2)])
    assert both.text("acc") == ".910 ± .010" and both.text("mode_purity") == ".910 ± .000 (2 of 3)"
    assert store.group([third]).n == "0 (1 to do)" and store.group([third.clusters_only()]).text("mode_purity") == "–"


def test_a_run_that_never_gets_there_counts_in_the_median_time(stored: Path) -> None:
    for seed, time in enumerate((30.0, None, 50.0, 90.0)):
        cell = Cell("nemgan", "mnist-2-3v5-70", seed, ("gan.steps=0", "prior=matched"))
        store_one(stored, "quality", cell, acc=0.99, seconds_to_acc_95=time)
    table = next(t for t in zero_labels.tables(Store(stored), "quick", None) if t.title.startswith("Time to"))
    assert table.rows[0] == ("mnist-2-3v5-70", "4 (6 to do)", "3", "70 s", "–", "60 s: not met")
    store_one(stored, "quality", Cell("nemgan", "mnist-2-3v5-70", 4, ("gan.steps=0", "prior=matched")), failed="late")
    table = next(t for t in zero_labels.tables(Store(stored), "quick", None) if t.title.startswith("Time to"))
    assert table.rows[0][1:4] == ("4 (1 failed, 5 to do)", "3", "90 s") and "late" in table.notes[-1]
    nothing = next(t for t in zero_labels.tables(Store(stored / "none"), "quick", None) if t.title.startswith("Time"))
    assert nothing.rows[0][-1] == "60 s"


@pytest.mark.parametrize("name", list(TARGETS))
def test_every_cell_is_a_run_that_can_be_configured(name: str) -> None:
    wanted = {(*cell.settings, cell.model, cell.data): cell for cell in target(name).cells("quick", (0,))}
    for cell in wanted.values():
        if cell.home != "baselines":
            assert configure(cell.words()).seed == 0


def test_the_latest_of_a_run_with_and_without_a_generator(tmp_path: Path) -> None:
    whole = Cell("nemgan", "fmnist-5", 0, ("prior=matched",))
    for cell, acc in ((whole, 0.9), (whole.clusters_only(), 0.8), (Cell("nemgan", "fmnist-5", 1), 0.1), (whole, 0.7)):
        store_one(tmp_path, "quality", cell, acc=acc)
        wanted = {0.9: 0.9, 0.8: 0.8, 0.1: 0.8, 0.7: 0.7}[acc]
        assert Store(tmp_path).latest([whole]).mean("acc") == wanted
    assert Store(tmp_path).latest([Cell("nemgan", "mnist", 0)]).n == "0 (1 to do)"


def test_a_whole_run_that_failed_is_not_hidden_by_one_without_a_generator(stored: Path) -> None:
    store_one(stored, "quality", Cell("nemgan", "mnist-5", 0, ("gan.steps=0", "prior=matched")), acc=0.9)
    assert Store(stored).clusters([Cell("nemgan", "mnist-5", 0, ("prior=matched",))]).n == "0 (1 failed)"


def test_the_ablation_trains_a_generator_only_where_that_is_compared(tmp_path: Path) -> None:
    ablation = target("ablation")
    cells = {str(cell) for cell in ablation.cells("quick", (0,))}
    assert "nemgan mnist-5 s0 gan.steps=0 prior=matched" in cells
    assert {"nemgan mnist-2-3v5-90 s0 prior=matched", "nemgan mnist-2-3v5-90 s0 gan.joint=false prior=matched"} <= cells
    assert all("gan.steps=0" not in str(cell) for cell in ablation.cells("full", (0,)))
    store_one(tmp_path, "quality", Cell("nemgan", "mnist-5", 0, ("gan.steps=0", "prior=matched")), acc=0.98)
    bare = ("connect.augment=0", "gan.steps=0", "prior=matched")
    store_one(tmp_path, "quality", Cell("nemgan", "mnist-5", 0, bare), acc=0.9)
    other = tuple(word.replace("augment", "balance") for word in bare)
    store_one(tmp_path, "quality", Cell("nemgan", "mnist-5", 0, other), acc=0.8, code="b")
    table = next(each for each in ablation.tables(Store(tmp_path), "quick", None) if "mnist-5" in each.title)
    assert rows(table)["no augmentation"]["change of ACC"] == "-.080"
    assert rows(table)["no balance of the micro-modes"]["change of ACC"] == "", "it may be that of the code"
    store_one(tmp_path, "quality", Cell("nemgan", "mnist-5", 0, ("gan.steps=0", "prior=matched")), acc=0.7, code="b")
    table = next(each for each in ablation.tables(Store(tmp_path), "quick", None) if "mnist-5" in each.title)
    shown = rows(table)
    assert shown["all of it"]["ACC"] == ".700" and shown["no augmentation"]["all of it, same code"] == ".980"
    assert shown["no augmentation"]["change of ACC"] == "-.080"
    assert shown["no balance of the micro-modes"]["change of ACC"] == "+.100"


def test_records_of_several_versions_of_the_code_are_noticed(stored: Path) -> None:
    store_one(stored, "quality", Cell("nemgan", "fmnist-5", 2, ("prior=matched",)), acc=0.9, nmi=0.7, ari=0.7, code="b")
    clusters = zero_labels.tables(Store(stored), "quick", None)[0]
    assert "Runs of 2 versions of the code are mixed here." in clusters.notes


@pytest.mark.parametrize("budget", ["quick", "full"])
@pytest.mark.parametrize("name", list(TARGETS))
def test_every_target_renders_from_nothing_and_has_cells(name: str, budget: str, tmp_path: Path) -> None:
    chosen = target(name)
    for table in chosen.tables(Store(tmp_path), budget, (0, 1)):
        assert all(len(row) == len(table.header) for row in table.rows), table.title
        assert markdown(table, "figures").startswith(f"### {table.title}\n")
    cells = chosen.cells(budget, (0, 1))
    assert cells and len(set(cells)) == len(cells)
    assert chosen.cells(budget, None) != [] and {cell.seed for cell in cells} <= {0, 1}


def test_the_page_in_the_documentation_is_that_of_the_stored_records() -> None:
    root = Path(__file__).parents[3]
    text = render(
        TARGETS.values(), Store(root / "benchmarks" / "results"), "quick", None, "../benchmarks/results/figures"
    )
    again = "write it again: nemgan reproduce --write docs/reproduction.md"
    assert (root / "docs" / "reproduction.md").read_text("utf-8") == text, again


@pytest.mark.parametrize(
    ("data", "l1", "acc", "says"),
    [
        ("mnist-2-3v5-70", 0.02, 0.985, "met"),
        ("mnist-2-3v5-70", 0.05, 0.97, "short in masses, ACC"),
        ("cifar-2-70", 0.05, 0.90, "met"),
        ("cifar-2-70", 0.05, 0.88, "short in ACC"),
        ("mnist-5", 0.0, 1.0, "–"),
    ],
)
def test_what_is_asked_of_masses_learned(data: str, l1: float, acc: float, says: str) -> None:
    ours = Group(1, ({"acc": acc, "prior_l1": l1},))
    assert zero_labels._learned(data, ours, Group(1, ({"acc": 0.99},))) == says


def test_the_page_is_made_of_stored_records(stored: Path, tmp_path: Path) -> None:
    page = tmp_path / "docs" / "reproduction.md"
    done = CliRunner().invoke(app, ["reproduce", "--write", str(page), "--results", str(stored)])
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text == render(TARGETS.values(), Store(stored), "quick", None, "../figures")
    assert ".905 ± .007" in text and "| impossible |" in text and str(tmp_path) not in text
    for name in TARGETS:
        assert f"`nemgan reproduce {name}`" in text
    assert CliRunner().invoke(app, ["reproduce", "--write", str(page), "--results", str(stored)]).exit_code == 0
    page.write_text("# My own words\n")
    refused = CliRunner().invoke(app, ["reproduce", "--write", str(page), "--results", str(stored)])
    assert refused.exit_code == 2 and "is no page of results" in refused.output
    assert page.read_text() == "# My own words\n"


def test_the_command_shows_runs_and_refuses(stored: Path) -> None:
    def call(*words: str) -> Any:
        return CliRunner().invoke(app, ["reproduce", *words, "--results", str(stored)])

    shown = call("zero-labels", "--show")
    assert shown.exit_code == 0 and ".905 ± .007" in shown.output and "ours leads" in shown.output
    assert "did you mean 'zero-labels'" in call("zero-label", "--show").output
    assert "unknown budget 'quik': did you mean 'quick'" in call("--show", "--budget", "quik").output
    assert "write 0,1,2 or 0-4" in call("--show", "--seeds", "one").output
    assert "say what to run" in call().output
    before = json.dumps([path.read_text() for path in sorted(stored.iterdir())])
    assert before == json.dumps([path.read_text() for path in sorted(stored.iterdir())])


def test_seeds() -> None:
    assert parse_seeds("0-2,7,1") == (0, 1, 2, 7) and parse_seeds(None) is None
    for text in ("", "a", "3-1", "1,,2"):
        with pytest.raises(ConfigError):
            parse_seeds(text)


def test_what_is_short_of_what_is_asked_of_generated_samples_is_named(tmp_path: Path) -> None:
    record = {"model": "nemgan", "seed": 0, "settings": ["prior=matched"], "acc": 0.99, "judge_accuracy": 1.0}
    record |= {"mode_purity": 0.985, "generated_vs_found_l1": 0.01, "mode_diversity": [0.9, 1.0]}
    record |= {"generated_masses": [0.7, 0.3], "true_masses": [0.7, 0.3]}
    spoilt = {
        "met": {},
        "short in purity": {"mode_purity": 0.975},
        "short in masses beside the found, diversity": {"generated_vs_found_l1": 0.03, "mode_diversity": [0.7, 1.0]},
        "short in masses beside the true": {"generated_masses": [0.72, 0.28]},
    }
    for said, changes in spoilt.items():
        group = Group(1, ({**record, "data": "mnist-2-3v5-70", **changes},), ())
        assert generation({"mnist-2-3v5-70": group}).rows[0][-1] == said
    blurred = Group(
        1, ({**record, "data": "cifar-2-70", "acc": 0.9, "generated_masses": [0.8, 0.2], "mode_purity": 0.9},), ()
    )
    assert generation({"cifar-2-70": blurred}).rows[0][-1] == "met"
