"""Runs on a user's own data: a table, a file of few labels, spoilt pictures, images that stay on disk."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nemgan.cli import app
from nemgan.data import arrays, catalog, files, labels
from nemgan.errors import ConfigError, DataError
from nemgan.estimators.plan import settings_for
from nemgan.experiments import export, outputs
from nemgan.experiments import run as running
from nemgan.experiments.config import of_priors
from nemgan.experiments.export import export_run
from nemgan.experiments.outputs import cluster_number, predict_run, sample_run
from nemgan.experiments.prepare import prepare
from nemgan.experiments.run import configure, evaluate_run, model_card, resume_run, run


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "people.csv"
    rng = np.random.default_rng(0)
    lines = ["who,age,town,kind"]
    lines += [
        f"p{i},{30 * (i % 3) + rng.integers(9)},{['Graz', 'Linz', 'Wels'][i % 3]},{'abc'[i % 3]}" for i in range(90)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def of_table(table: Path, tiny_settings: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the table."""
    words = [*tiny_settings[1:], f"data={table}", "id_column=who", "label_column=kind"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMGAN_DATA", str(tmp_path_factory.mktemp("no-data")))
        patch.setattr(running, "judge_of", lambda *_: None)
        return run(configure(words), out=tmp_path_factory.mktemp("runs"), quiet=True)


def test_rows_of_a_table_are_clustered_by_their_own_names(of_table: Path, table: Path, tmp_path: Path) -> None:
    every = list(csv.DictReader(predict_run(of_table, table).splitlines()))
    assert [row["id"] for row in every] == [row["who"] for row in rows(table)]
    lines = table.read_text().splitlines()
    (tmp_path / "later.csv").write_text("\n".join(",".join(line.split(",")[1:3][::-1]) for line in lines))  # no names
    later = list(csv.DictReader(predict_run(of_table, tmp_path / "later.csv").splitlines()))
    assert [row["cluster"] for row in later] == [row["cluster"] for row in every] and later[5]["id"] == "5"


def test_samples_of_a_table_are_rows_of_it(of_table: Path, table: Path, tmp_path: Path) -> None:
    made = rows(sample_run(of_table, tmp_path / "new.csv", n=30))
    assert len(made) == 30 and list(made[0]) == ["age", "town", "cluster"]
    ages = [int(row["age"]) for row in rows(table)]
    assert all(min(ages) <= int(row["age"]) <= max(ages) and row["town"] in ("Graz", "Linz", "Wels") for row in made)
    assert {row["cluster"] for row in rows(sample_run(of_table, tmp_path / "one.csv", cluster=1, n=4))} == {"1"}
    assert predict_run(of_table, tmp_path / "new.csv").count("\n") == 31  # and may be clustered themselves
    with pytest.raises(ConfigError, match=r"rows of a table: give --out FILE\.csv"):
        sample_run(of_table, tmp_path / "x.npz")
    card = model_card(of_table)
    (of_table / "model.json").rename(of_table / "away")
    try:
        assert model_card(of_table) == card and card.table is not None  # the weights' file says it too
    finally:
        (of_table / "away").rename(of_table / "model.json")


@pytest.mark.usefixtures("no_judge")
def test_a_run_knows_which_columns_were_dropped(table: Path, tiny: list[str], tmp_path: Path) -> None:
    head, *lines = table.read_text().splitlines()
    dated, bare = tmp_path / "dated.csv", tmp_path / "bare.csv"
    dated.write_text(
        "\n".join([f"{head},day,name", *(f"{line},2024-01-{i % 40},n{i}" for i, line in enumerate(lines))])
    )
    words = [*tiny[1:], f"data={dated}", "id_column=who", "label_column=kind", "drop=day,name"]
    done = CliRunner().invoke(app, ["train", *words, "--dry-run"])
    assert "age (1 number), town (3 words)\n" in done.stdout
    folder = run(configure(words), out=tmp_path / "runs", quiet=True)
    assert predict_run(folder, dated) == predict_run(folder, table) and evaluate_run(folder).n_test == 18
    assert list(rows(sample_run(folder, tmp_path / "new.csv", n=3))[0]) == ["age", "town", "cluster"]
    dated.rename(bare)
    dated.write_text(table.read_text())  # the same without these columns
    assert evaluate_run(folder).n_test == 18 and resume_run(folder, quiet=True) == folder
    parquet, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    ages = [int(row["age"]) for row in rows(table)]
    made = {"age": ages, "town": [row["town"] for row in rows(table)], "day": pa.array(range(90), pa.timestamp("s"))}
    parquet.write_table(pa.table(made), tmp_path / "t.parquet")
    found = list(csv.DictReader(predict_run(folder, tmp_path / "t.parquet").splitlines()))
    assert [row["cluster"] for row in found] == [
        row["cluster"] for row in csv.DictReader(predict_run(folder, table).splitlines())
    ]


def test_own_data_are_read_once(table: Path, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load, calls = files.load, []

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return load(*args, **kwargs)

    monkeypatch.setattr(files, "load", counted)
    words = [*tiny[1:], f"data={table}", "id_column=who", "label_column=kind", f"--out={tmp_path}"]
    done = CliRunner().invoke(app, ["train", *words, "--dry-run"])
    assert "72 for training, 18 held out" in done.stdout and len(calls) == 1
    assert "age (1 number), town (3 words)\n" in done.stdout


def test_a_column_of_classes_that_nothing_names_is_seen_to_be_learned_from(
    table: Path, tiny: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    prepare(configure([*tiny[1:], f"data={table}", "id_column=who", "n_clusters=3"]))
    assert "columns that are learned from: age (1 number), town (3 words), kind (3 words)" in "\n".join(caplog.messages)


@pytest.mark.usefixtures("no_judge")
def test_a_changed_table_is_not_evaluated(of_table: Path, table: Path) -> None:
    before = table.read_text()
    found = evaluate_run(of_table)
    assert (found.n_train, found.n_test) == (72, 18)
    head, *lines = before.splitlines()
    doubled = [[who, str(2 * int(age)), *rest] for who, age, *rest in (line.split(",") for line in lines)]
    try:
        for now in (f"{before}p90,33,Graz,a\n", "\n".join([head, *map(",".join, doubled)])):
            table.write_text(now)  # grown: others would be held out; in other units: the same when standardised anew
            with pytest.raises(ConfigError, match=r"is not what .* was started with.*: restore it or start a new run"):
                evaluate_run(of_table)
    finally:
        table.write_text(before)


def test_other_data_than_a_table_is_refused(of_table: Path, finished: Path, table: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 4)))
    with pytest.raises(DataError, match="is no table"):
        predict_run(of_table, tmp_path / "x.npy")
    with pytest.raises(DataError, match="is a table"):
        predict_run(finished, table)
    with pytest.raises(ConfigError, match="no rows of a table"):
        sample_run(finished, tmp_path / "x.csv")


def test_few_labels_of_a_file(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = catalog.load("digits-demo").train
    shown = [int(i) for c in range(3) for i in np.flatnonzero(train.y == c)[:4]]
    few = tmp_path / "few.csv"
    few.write_text("row,class\n" + "".join(f"{i},{train.class_names[train.y[i]]}\n" for i in shown))
    found = prepare(configure([*tiny, f"labels={few}"]))
    assert found.card.labels_used == 12 and np.flatnonzero(found.train.y >= 0).tolist() == sorted(shown)
    assert (found.train.y[shown] == train.y[shown]).all() and (found.splits.train.y == train.y).all()
    with pytest.raises(ConfigError, match=r"labels 3 classes \(0, 4, 7\), but n_clusters=2"):
        prepare(configure([*tiny, f"labels={few}", "n_clusters=2"]))

    def refuse(*_: Any) -> Any:
        raise AssertionError("the zero-label track read a file of labels")

    for module, name in ((labels, "read_labels"), (labels, "codes")):
        monkeypatch.setattr(module, name, refuse)
    before = prepare(configure(tiny)).card
    few.write_text("spoilt")
    assert prepare(configure(tiny)).card == before and before.labels_used == 0
    with pytest.raises(AssertionError):
        prepare(configure([*tiny, f"labels={few}"]))


def test_some_kinds_without_any_label(table: Path, tiny: list[str], tmp_path: Path) -> None:
    """Clusters that were labelled have the names of their classes, others none."""
    few = tmp_path / "few.csv"
    few.write_text("p0,left\np3,left\np1,right\np4,right\n")
    words = [*tiny[1:], f"data={table}", "id_column=who", "label_column=kind", f"labels={few}", "n_clusters=3"]
    done = CliRunner().invoke(app, ["train", *words, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert all(name in done.output for name in ("left (cluster 0): ", "right (cluster 1): ", " cluster 2: "))
    page = next(tmp_path.glob("*/report.html")).read_text()
    assert "Cluster 0 · class left" in page and "Cluster 2 · class" not in page
    (folder,) = tmp_path.glob("0001*")
    card = json.loads(export_run(folder)[-1].read_text())
    assert card["cluster_names"] == ["left", "right", ""] and [each["name"] for each in card["columns"]] == [
        "age",
        "town",
    ]
    rows = list(csv.DictReader(predict_run(folder, table).splitlines()))
    assert all(row["class"] == ["left", "right", ""][int(row["cluster"])] for row in rows)
    assert len({row["cluster"] for row in rows}) > 1
    by_name, by_number = (sample_run(folder, tmp_path / f"{k}.csv", cluster=k, n=5) for k in ("right", 1))
    assert by_name.read_text() == by_number.read_text()
    drawn = list(csv.DictReader(sample_run(folder, tmp_path / "every.csv", n=40).read_text().splitlines()))
    assert list(drawn[0]) == ["age", "town", "cluster", "class"]
    assert {(row["cluster"], row["class"]) for row in drawn} >= {("0", "left"), ("2", "")}
    with pytest.raises(ConfigError, match="there is no cluster 'up': give its number, or one of left, right"):
        sample_run(folder, tmp_path / "up.csv", cluster="up")
    with pytest.raises(ConfigError, match="finds none without labels"):
        prepare(configure([*words[len(tiny) - 1 :], "preset=paper"]))
    masses = configure([*words[:-1], "prior=[.5,.3,.2]"])
    assert prepare(masses).card.n_clusters == 3


@pytest.fixture
def with_few(table: Path, tiny: list[str], tmp_path: Path) -> list[str]:
    """Words of a run of clusters alone on the table, with labels of two of its kinds that spell the other way round."""
    few = tmp_path / "few.csv"
    few.write_text("who,label\np0,usual\np3,usual\np6,usual\np1,rare\np4,rare\n")
    clusters = [word for word in tiny[1:] if not word.startswith("gan.")]
    head, *lines = table.read_text().splitlines()
    bare = tmp_path / "bare.csv"
    bare.write_text("\n".join(line.rpartition(",")[0] for line in [head, *lines]))
    return [*clusters, "gan.steps=0", f"data={bare}", "id_column=who", f"labels={few}"]


def test_labels_of_one_class_alone(with_few: list[str], table: Path, tmp_path: Path) -> None:
    """They name its cluster where n_clusters= says that there are others; else nothing could be told apart."""
    (tmp_path / "few.csv").write_text("who,label\np1,rare\np4,rare\n")
    with pytest.raises(ConfigError, match=r"labels one class alone .rare.: label .* at least two, or say n_clusters=2"):
        prepare(configure(with_few))
    done = CliRunner().invoke(app, ["train", *with_few, "n_clusters=2", "--dry-run"])
    assert "labels used     2 (rare 2)\n" in done.stdout
    longer = ["connect.steps=100", "connect.refine_steps=60", "connect.micro_modes=9", "latent.dim=9"]
    own = {word.partition("=")[0] for word in longer}
    words = [word for word in with_few if word.partition("=")[0] not in own]
    config = configure([*words, *longer, "n_clusters=2", "prior=rare:.3"])
    folder = run(config, out=tmp_path / "runs", quiet=True)
    assert model_card(folder).cluster_names == ("rare", "") and model_card(folder).prior == (0.3, 0.7)
    page = (folder / "report.html").read_text()
    assert "Cluster 0 · class rare" in page and "Cluster 1 · class" not in page
    found = list(csv.DictReader(predict_run(folder, table).splitlines()))
    assert {(row["cluster"], row["class"]) for row in found} == {("0", "rare"), ("1", "")}
    assert all(row["class"] == "rare" for row in found if row["id"] in ("p1", "p4"))


def test_masses_are_told_by_class(with_few: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A list is in the order of the classes, which is not that of the file."""
    done = CliRunner().invoke(app, ["train", *with_few, "--dry-run"])
    assert "labels used     5 (rare 2, usual 3)\n" in done.stdout
    told = {}
    for prior in (".9,.1", "usual:.9,rare:.1", "uniform"):
        done = CliRunner().invoke(app, ["train", *with_few, f"prior={prior}", "--dry-run"])
        told[prior] = next(line for line in done.stdout.splitlines() if line.startswith("prior"))
    assert [line.removeprefix("prior").strip() for line in told.values()] == [
        "rare 0.9, usual 0.1",
        "rare 0.1, usual 0.9",
        "rare 0.5, usual 0.5",
    ]
    done = CliRunner().invoke(app, ["train", *with_few, "prior=.2,.3,.5", "--dry-run"])
    assert "rare 0.2, usual 0.3, cluster 2 0.5\n" in done.stdout
    caplog.clear()
    folder = run(configure([*with_few, "prior=usual:.9,rare:.1"]), out=tmp_path / "runs", quiet=True)
    assert "nemgan: note: masses: rare 0.1, usual 0.9" in caplog.messages
    assert model_card(folder).prior == (0.1, 0.9) and evaluate_run(folder).prior == "usual:.9,rare:.1"
    assert resume_run(folder, quiet=True) == folder
    with pytest.raises(ConfigError, match="no mass of rare is given"):
        prepare(configure([*with_few, "prior=usual:1"]))


def test_a_name_that_is_a_number_comes_before_the_number(caplog: pytest.LogCaptureFixture) -> None:
    names = ("1", "2", "", "left")
    assert [cluster_number(k, names) for k in ("1", "2", "left", "0", "3", "cluster-2")] == [0, 1, 3, 0, 3, 2]
    assert "1 is taken for the class named 1, which is cluster 0; cluster 1 is 2" in caplog.text
    assert "cluster 2 is unnamed" in caplog.text
    with pytest.raises(ConfigError, match="one of 1, 2, left"):
        cluster_number("right", names)


def test_classes_without_a_disclosed_label_name_no_cluster(tiny: list[str]) -> None:
    card = prepare(configure([*tiny, "labels=0.01"])).card
    disclosed = prepare(configure([*tiny, "labels=0.01"])).train
    named = [name if (disclosed.y == c).any() else "" for c, name in enumerate(card.class_names)]
    assert list(card.cluster_names) == named and "" in named and any(named)
    assert prepare(configure(tiny)).card.cluster_names == ()


def test_labels_of_a_column_are_hidden_in_the_zero_label_track(table: Path, tiny: list[str], tmp_path: Path) -> None:
    turned = tmp_path / table.name
    head, *lines = table.read_text().splitlines()
    turned.write_text("\n".join([head, *(f"{line[:-1]}{'bca'['abc'.index(line[-1])]}" for line in lines)]))
    words = [*tiny[1:], "id_column=who", "label_column=kind"]
    one, other = (prepare(configure([*words, f"data={path}"])) for path in (table, turned))
    assert one.card.digest == other.card.digest and one.card.labels_used == 0 and (one.train.y == -1).all()
    assert (one.splits.train.y != other.splits.train.y).all()  # what they are scored by


def test_all_labels_of_a_column_of_few_are_used(table: Path, tiny: list[str], tmp_path: Path) -> None:
    head, *lines = table.read_text().splitlines()
    few = tmp_path / table.name
    few.write_text("\n".join([head, *(line if i < 26 else line[:-1] for i, line in enumerate(lines))]))
    words = [*tiny[1:], f"data={few}", "id_column=who", "label_column=kind"]
    assert prepare(configure([*words, "labels=1.0"])).card.labels_used == 26
    assert prepare(configure([*words, "labels=0.5"])).card.labels_used == 13
    few.with_name("labels.csv").write_text(few.read_text())  # the same table as a file of labels
    by_file = prepare(configure([*words, f"labels={few.with_name('labels.csv')}"]))
    by_column = prepare(configure([*words, "labels=1.0"]))
    assert by_file.card == by_column.card


def test_what_does_not_say_the_kinds_is_told(table: Path, tiny: list[str]) -> None:
    """Masses taken from labels that there are none of; a column of numbers as labels."""
    words = [*tiny[1:], f"data={table}", "id_column=who"]
    with pytest.raises(ConfigError, match=r"prior=matched takes the masses from .* has none: name .* label_column="):
        prepare(configure([*words, "prior=matched"]))
    head, *lines = table.read_text().splitlines()
    many = table.with_name("many.csv")
    many.write_text("\n".join([f"{head},paid", *(f"{line},{i}.5" for i, line in enumerate(lines))]))
    with pytest.raises(
        ConfigError, match=r"label_column=paid has 90 different values, .* is it the column of labels\?"
    ):
        prepare(configure([*tiny[1:], f"data={many}", "id_column=who", "label_column=paid"]))


def test_too_few_samples_are_told_of_in_the_users_words(tiny: list[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for n in (10, 180):
        np.save(tmp_path / f"{n}.npy", rng.integers(0, 255, (n, 28, 28), dtype=np.uint8))

    def why(n: int, *words: str) -> str:
        with pytest.raises(ConfigError) as error:
            prepare(configure([f"data={tmp_path / f'{n}.npy'}", *words]))
        return str(error.value)

    assert why(180, "n_clusters=100") == (
        "144 training samples are too few for n_clusters=100, which needs 200: lower n_clusters or give more data"
    )
    assert why(10, "n_clusters=3") == "8 training samples are too few: about 20 are needed, give more data"
    assert "n_clusters" not in why(10, "n_clusters=6") and "connect." not in why(10, "n_clusters=6")
    mine = why(180, "n_clusters=3", "connect.micro_modes=150", "latent.dim=150")
    assert mine.startswith("connect.micro_modes=150 and connect.neighbours=10 ask for more than the 144 training")


def test_few_samples_are_noted(tiny: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said = {}
    for n, m in ((124, 2), (125, 2), (125, 21)):  # a fifth is held out
        np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(n, 3)))
        caplog.clear()
        prepare(configure([*tiny[1:], f"data={tmp_path / 'x.npy'}", f"n_clusters={m}"]))
        said[n, m] = [line.partition(": note: ")[2] for line in caplog.messages]
    assert said[124, 2] == ["99 training samples are few for 2 clusters: what is found may change with the seed"]
    assert said[125, 2] == [] and said[125, 21][0].startswith("100 training samples are few for 21 clusters")


def test_shares_of_a_few_labels_are_no_true_masses(table: Path, tiny: list[str], tmp_path: Path) -> None:
    head, *lines = table.read_text().splitlines()
    partly = tmp_path / table.name
    partly.write_text("\n".join([head, *(line if i % 3 else line[:-1] for i, line in enumerate(lines))]))
    words = [*tiny[1:], "id_column=who", "label_column=kind", f"data={partly}"]
    with pytest.raises(ConfigError, match="prior=matched takes the masses from the labels"):
        prepare(configure([*words, "prior=matched"]))
    folder = run(configure(words), out=tmp_path / "runs", quiet=True)
    assert json.loads((folder / "result.json").read_text())["true_masses"] is None


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("labels=few.cvs", r"labels=few\.cvs is not allowed: it is no file that is there: give a \.csv"),
        ("labels=few", "share such as 0.01, or a .csv"),
        ("labels=2", "between 0 and 1"),
        ("impute=medain", "did you mean 'median'"),
    ],
)
def test_settings_that_are_not_allowed(tiny: list[str], word: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        configure([*tiny, word])


def test_words_of_priors() -> None:
    told = of_priors(["impute=mean", "skip_bad=true", "n_clusters=3", "threads=1"])
    assert told.reading.impute == "mean" and (told.n_clusters, told.threads, told.seed) == (3, 1, 0)
    for word, why in (
        ("labels=2", "share between 0 and 1"),
        ("restarts=5", "write --restarts 5"),
        ("n_cluster=3", "did you mean 'n_clusters'"),
        ("gan.steps=5", "no setting of nemgan priors: it takes impute"),
        ("n_clusters=1", "greater than or equal to 2"),
        ("photos", "write key=value"),
    ):
        with pytest.raises(ConfigError, match=why):
            of_priors([word])


def pictures(folder: Path, n: int = 12) -> Path:
    folder.mkdir()
    for i in range(n):
        size = (28, 28) if i < 8 else (30 + i, 40)
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3) if i % 2 else size).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


def test_pictures_that_cannot_be_read(tmp_path: Path, tiny: list[str], caplog: pytest.LogCaptureFixture) -> None:
    folder = pictures(tmp_path / "mine")
    for i in (1, 3, 5, 9):
        (folder / f"{i:02}.png").write_bytes((folder / f"{i:02}.png").read_bytes()[:60])
    words = [*tiny[1:], "n_clusters=2", "connect.neighbours=3", f"data={folder}"]
    with pytest.raises(DataError, match=r"4 of 12 pictures cannot be read \(01.png, 03.png, 05.png, …\).*--skip-bad"):
        prepare(configure(words))
    found = prepare(configure([*words, "skip_bad=true"]))
    assert len(found.train) + len(found.splits.test) == 8
    said = "\n".join(caplog.messages)
    assert "4 of 12 pictures cannot be read and are skipped" in said
    assert "28×28 (5), 40×38 (1), 40×40 (1)" in said and "L (6), RGB (2)" in said
    for path in folder.iterdir():
        path.write_text("broken")
    with pytest.raises(DataError, match=r"none of 12 pictures can be read; .*00\.png is not a readable"):
        prepare(configure([*words, "skip_bad=true"]))


def test_predict_skips_what_it_is_told_to(finished: Path, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "mine", 4)
    (folder / "02.png").write_text("broken")
    words = ["predict", str(finished), str(folder)]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2 and "02.png is not a readable picture" in refused.stderr
    told = CliRunner().invoke(app, [*words, "--skip-bad"])
    assert [line.split(",")[0] for line in told.stdout.splitlines()] == ["id", "00.png", "01.png", "03.png"]


def test_what_was_white_is_told_with_samples_and_exports(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sample_run(finished, tmp_path / "bytes.npz", n=2)
    assert "white" not in np.load(tmp_path / "bytes.npz") and not caplog.messages
    assert "white" not in json.loads(export_run(finished, out=tmp_path / "bytes")[-1].read_text())
    card = replace(model_card(finished), white=16.0)
    for module in (outputs, export):
        monkeypatch.setattr(module, "model_card", lambda _: card)
    made = np.load(sample_run(finished, tmp_path / "tones.npz", n=2))
    assert made["white"] == 16 and made["x"].dtype == np.uint8 and "multiply by 16 / 255" in caplog.text
    assert json.loads(export_run(finished, out=tmp_path / "tones")[-1].read_text())["white"] == 16


def test_a_run_on_images_that_stay_on_disk_is_the_run_in_memory(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", catalog.load("digits-demo").train.x[:200])
    words = [*tiny[1:], f"data={tmp_path / 'x.npy'}", "n_clusters=3", "connect.samples=100"]
    here = run(configure(words), out=tmp_path / "here", quiet=True)
    monkeypatch.setattr(arrays, "ON_DISK_FROM", 1)
    there = run(configure(words), out=tmp_path / "there", quiet=True)
    for name in ("model.safetensors", "pictures.npz"):
        a, b = (folder / name for folder in (here, there))
        if name.endswith("npz"):
            assert all(np.array_equal(np.load(a)[key], np.load(b)[key]) for key in np.load(a))
        else:
            from safetensors.numpy import load_file

            found, same = load_file(a), load_file(b)
            assert all(np.array_equal(found[key], same[key], equal_nan=True) for key in same)
    assert predict_run(here, tmp_path / "x.npy") == predict_run(there, tmp_path / "x.npy")


def test_few_images_are_connected_more_than_once(tmp_path: Path) -> None:
    """Not small ones, not many, not where the user says how often; a preset without such a stage is left alone."""
    for name, side in (("small", 8), ("usual", 28)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).integers(0, 255, (60, side, side), dtype=np.uint8))
    usual = [f"data={tmp_path / 'usual.npy'}", "n_clusters=2"]
    assert configure(usual).connect.restarts == 3
    assert configure([*usual, "connect.restarts=2"]).connect.restarts == 2
    assert configure([f"data={tmp_path / 'small.npy'}", "n_clusters=2"]).connect.restarts == 1
    assert configure([*usual, "preset=reference", "prior=uniform"]).connect.restarts == 1
    times = [settings_for("connected", (1, 28, 28), n, 2).connect.restarts for n in (300, 2999, 3000)]
    assert times == [3, 3, 1] and settings_for("connected", (3, 32, 32), 300, 2).connect.restarts == 1
