"""Tables as data: what is read, what is refused, and rows that come back as they were."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemgan.data import columns, files
from nemgan.data.files import Reading
from nemgan.data.tables import Table, read_table, table_text
from nemgan.errors import DataError, MissingExtra

Rows = list[list[str]]
HEADING = ["age", "income", "town", "member", "kind"]


def write(path: Path, change: Callable[[Rows], object] | None = None, mark: str = ",", n: int = 60) -> Path:
    """A table of three kinds of people."""
    rows = [list(HEADING)]
    for i in range(n):
        k = i % 3
        income = f"{10_000 * k + i}.25"
        rows.append([str(20 + 20 * k + i % 5), income, ["Graz", "Linz", "Wels"][k], ["yes", "no"][k == 2], "abc"[k]])
    if change is not None:
        change(rows)
    path.write_text("\n".join(mark.join(row) for row in rows) + "\n", encoding="utf-8")
    return path


def column(at: int, values: list[str]) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for row, value in zip(rows[1:], values, strict=True):
            row[at] = value

    return change


def test_numbers_words_labels_and_names_of_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", column(3, [f"p{i}" for i in range(60)]))
    splits = files.load(path, 0, Reading(label_column="kind", id_column="member"))
    train = splits.train
    assert splits.columns is not None and train.shape == (5,) == (splits.columns.width,)
    assert train.class_names == ("a", "b", "c") and (len(train), len(splits.test)) == (48, 12)
    np.testing.assert_allclose(train.x[:, :2].mean(0), 0, atol=1e-6)  # of training rows alone
    np.testing.assert_allclose(train.x[:, :2].std(0), 1, atol=1e-6)
    assert (train.x[:, 2:].argmax(1) == train.y).all() and (train.x[:, 2:].sum(1) == 1).all()
    assert files.find(path, None, Reading(label_column="kind", id_column="member")).ids[7] == "p7"
    assert files.load(path, 0, Reading(id_column="member")).train.class_names == ()


def test_minus_one_is_no_label_and_none_is_one(tmp_path: Path) -> None:
    kinds = ["None", "scratch", "-1", "", "NA", "dent"] * 10

    def change(rows: Rows) -> None:
        column(4, kinds)(rows)
        column(3, [["NA", "null", "p"][i % 3] + str(i) * (i > 1) for i in range(60)])(rows)

    table = read_table(write(tmp_path / "t.csv", change), "kind", "member")
    assert table.labels is not None and list(table.labels[:6]) == ["None", "scratch", None, None, None, "dent"]
    assert table.ids[:3] == ("NA", "null", "p2") and "30 of 60 rows have no label in 'kind'" in table.notes[0]
    splits = files.load(tmp_path / "t.csv", 0, Reading(label_column="kind", id_column="member"))
    assert splits.train.class_names == ("None", "dent", "scratch") and (splits.train.y == -1).any()


def test_the_same_table_whatever_stands_between_its_values(tmp_path: Path) -> None:
    tables = [read_table(write(tmp_path / n, mark=m)) for n, m in (("a.csv", ","), ("b.csv", ";"), ("c.tsv", "\t"))]
    for table in tables:
        assert list(table.columns) == HEADING
        assert all((table.columns[name] == tables[0].columns[name]).all() for name in HEADING)


def test_a_first_column_without_a_name_names_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",x\nr1,1\nr2,2\n")
    found = files.find(path)
    assert found.ids == ("r1", "r2") and found.x.shape == (2, 1) and "names of rows" in found.notes[0]


def test_rows_come_back(tmp_path: Path) -> None:
    def change(rows: Rows) -> None:
        for i, row in enumerate(rows):
            row += ["same", "again"] if i == 0 else ["7", row[0]]

    path = write(tmp_path / "t.csv", change)
    table = read_table(path)
    learned, notes = columns.learn(table)
    assert learned.width == 1 + 1 + 3 + 1 + 3 and "constant" in notes[0] and "again (as age)" in notes[1]
    learned = columns.Columns.of_json(learned.to_json())
    assert table_text(learned.decode(learned.encode(table)[0])).splitlines() == path.read_text().splitlines()


def test_generated_numbers_have_as_many_decimals_as_the_tables() -> None:
    rng = np.random.default_rng(0)
    amounts, fine = rng.exponential(100, 50).round(2), rng.normal(size=50)
    learned, _ = columns.learn(Table("t", {"amount": amounts, "fine": fine}, tuple(map(str, range(50)))))
    rows = learned.decode(rng.normal(0, 1, (200, 2)).astype(np.float32))
    assert (rows["amount"] == rows["amount"].round(2)).all() and not (rows["amount"] == rows["amount"].round(1)).all()
    assert not (rows["fine"] == rows["fine"].round(3)).all()
    older = [{key: value for key, value in column.items() if key != "decimals"} for column in learned.to_json()]
    assert np.abs(columns.Columns.of_json(older).decode(np.zeros((1, 2)))["amount"] - amounts.mean()).max() < 1e-3


def test_generated_rows_stay_in_range_and_whole() -> None:
    table = Table("t", {"n": np.array(["1", "2", "9"], object), "x": np.array([0.5, 1.25, 2.0])}, ("0", "1", "2"))
    learned, _ = columns.learn(table)
    rows = learned.decode(np.random.default_rng(0).normal(0, 3, (200, 2)).astype(np.float32))
    assert set(rows["n"]) <= set(range(1, 10)) and rows["x"].min() == 0.5 and rows["x"].max() == 2.0


@given(st.lists(st.floats(-1e12, 1e12).filter(lambda v: abs(v) > 1e-12 or v == 0), min_size=2, max_size=20))
def test_any_numbers_come_back_to_a_millionth_of_their_spread(values: list[float]) -> None:
    x = np.array(values)
    if x.min() == x.max() or x.std() < 1e-9 * np.abs(x).max():
        return
    table = Table("t", {"x": x}, tuple(map(str, range(len(x)))))
    learned, _ = columns.learn(table)
    assert np.abs(learned.decode(learned.encode(table)[0])["x"] - x).max() <= 2e-5 * x.std()


def test_large_offsets_keep_their_digits() -> None:
    """Standardised in double precision before anything is float32: seconds since 1970 differ in the tenth digit."""
    x = 1.7e9 + np.arange(50.0)
    found = columns.learn(Table("t", {"x": x}, tuple(map(str, range(50)))))[0]
    encoded, _ = found.encode(Table("t", {"x": x}, tuple(map(str, range(50)))))
    assert len(np.unique(encoded)) == 50


@pytest.mark.parametrize(("impute", "number"), [("mean", 26.0), ("median", 2.0), ("most_frequent", 1.0)])
def test_missing_values_are_named_and_counted_or_imputed(tmp_path: Path, impute: columns.Impute, number: float) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,w\n1,a\n1,a\n3,b\n99,NA\n,\n")
    table = read_table(path)
    with pytest.raises(DataError, match=r"missing in x \(1\), w \(2\).*impute=.*most_frequent$"):
        columns.learn(table)[0].encode(table)
    learned, _ = columns.learn(table, impute)
    encoded, notes = learned.encode(table)
    assert notes == (f"{table.name}: missing values are imputed in x (1), w (2)",)
    rows = learned.decode(encoded)
    assert rows["x"][4] == number and rows["w"].tolist() == ["a", "a", "b", "a", "a"]
    later = Table("later", {"x": np.array([np.nan]), "w": np.array([None])}, ("0",))
    assert learned.decode(learned.encode(later)[0])["w"] == ["a"]


def test_a_column_of_words_that_is_mostly_empty_may_hold_labels(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,state\n1,cut\n2,\n,whole\n3,\n")
    with pytest.raises(DataError, match=r"x \(1\), state \(2\).*; if state holds labels, say label_column=state$"):
        files.find(path)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("is_fraud", "01", True),
        ("Class", ["yes", "no"], True),
        ("y", "01", True),
        ("y", "012", False),
        ("year", "01", False),
        ("member", "01", False),
    ],
)
def test_a_column_of_two_values_that_is_named_like_labels_is_asked_about(
    tmp_path: Path, name: str, values: list[str], told: bool
) -> None:
    def change(rows: Rows) -> None:
        column(3, [values[i % len(values)] for i in range(60)])(rows)
        rows[0][3] = name

    path = write(tmp_path / "t.csv", change)
    said = f"{path}: {name} has two values: if it is the label, say label_column={name}"
    assert (said in files.load(path).notes) == told
    assert not any("two values" in note for note in files.load(path, how=Reading(label_column=name)).notes)
    assert not any("two values" in note for note in files.load(path, how=Reading(label_column="kind")).notes)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (column(2, [f"person {i}" for i in range(60)]), r"column 'town' has \d+ different words .*id_column="),
        (column(1, [f"{i}" if i else "12kg" for i in range(60)]), "column 'income' .*'12kg'"),
        (column(1, ["inf"] + ["1", "2", "3", "4"] * 14 + ["1", "2", "3"]), "'income' has 1 infinite number: .* it"),
        (lambda rows: rows[0].__setitem__(1, "age"), "two columns named 'age'"),
        (lambda rows: rows[0].__setitem__(1, ""), "column 2 has no name"),
        (lambda rows: rows[5].append("x"), "line 6: 6 values where the heading has 5"),
        (lambda rows: rows.__delitem__(slice(1, None)), "no rows"),
        (lambda rows: rows.clear(), "is empty"),
        (lambda rows: [row.__setitem__(slice(None), list("12345")) for row in rows[1:]], "no column varies"),
        (lambda rows: [row.__setitem__(slice(None), ["1", "2"]) for row in rows], "no heading"),
    ],
)  # fmt: skip
def test_bad_tables(tmp_path: Path, change: Callable[[Rows], object], why: str) -> None:
    with pytest.raises(DataError, match=why) as error:
        files.load(write(tmp_path / "t.csv", change))
    assert "\n" not in str(error.value)


def test_all_columns_of_too_many_words_are_named(tmp_path: Path) -> None:
    def change(rows: Rows) -> None:
        column(0, [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(60)])(rows)
        column(2, [f"p {i}" for i in range(60)])(rows)
        column(3, [f"p {i}" for i in range(60)])(rows)

    with pytest.raises(DataError) as error:
        files.load(write(tmp_path / "t.csv", change))
    said = str(error.value)
    assert all(f"column '{name}' has " in said for name in ("age", "town", "member")) and "'income'" not in said
    assert "leave them out by drop=age,town,member, or name one with id_column=" in said and "and 45 more)" in said
    assert "dates (age) are not learned from: drop them, or turn them into numbers" in said and "\n" not in said
    columns_left = files.load(tmp_path / "t.csv", 0, Reading(drop=("age", "town", "member"))).columns
    assert columns_left is not None and columns_left.summary() == "income (1 number), kind (3 words)"


@pytest.mark.parametrize(
    "word", ["1.2.2024", "2024/1/31 08:15", "31-12-24", "2024-01-31T08:15:00Z", "2024-01", "1/2/2024"]
)
def test_dates_are_told_from_other_words(word: str) -> None:
    assert "dates (day) are not" in columns._without({"day": [word, "2023-12-31"]})
    assert "dates" not in columns._without({"day": [word, "12-341-5"]})
    assert "drop='a day'" in columns._without({"a day": [word]})


def test_columns_that_are_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv")
    left = files.load(path, 0, Reading(drop=("income", "town")))
    assert left.columns is not None and [c.name for c in left.columns.columns] == ["age", "member", "kind"]
    for drop, label, why in (
        (("incone",), "", "no column 'incone' for drop=: did you mean 'income'"),
        (("kind",), "kind", "'kind' cannot be both dropped and label_column="),
        (tuple(HEADING), "", "no column left"),
    ):
        with pytest.raises(DataError, match=why):
            files.load(path, 0, Reading(drop=drop, label_column=label))
    np.save(tmp_path / "x.npy", np.eye(5))
    with pytest.raises(DataError, match=r"no table: drop .*drop="):
        files.load(tmp_path / "x.npy", 0, Reading(drop=("a",)))
    less = write(tmp_path / "less.csv", lambda rows: [row.pop(2) for row in rows])
    assert (files.load(less, 0, Reading(drop=("town", "income")), None, left.columns).train.x == left.train.x).all()


def test_decimal_commas_are_recognised(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", column(1, [f"{i},5" for i in range(60)]), mark=";")
    with pytest.raises(DataError, match=r"'income' holds numbers with a decimal comma \(\d,5\)"):
        files.load(path)


def test_commas_between_thousands_are_not_decimal_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", column(1, [f"{i},500" for i in range(60)]), mark=";")
    with pytest.raises(DataError, match=r"'income' holds numbers with commas \(\d,500\): write thousands without them"):
        files.load(path)


def test_the_nearest_column_is_named_or_how_many_there_are(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(
        "\n".join([",".join(f"c{i}" for i in range(25))] + [",".join(str(i * j) for i in range(25)) for j in (1, 2, 3)])
    )
    with pytest.raises(DataError, match="no column 'c24x' for id_column=: did you mean 'c24'"):
        files.load(path, how=files.Reading(id_column="c24x"))
    with pytest.raises(DataError, match=r"no column 'patient' for id_column=: its columns are c0, .*, c19 and 5 more"):
        files.load(path, how=files.Reading(id_column="patient"))
    columns = files.find(path).columns
    assert columns is not None
    assert "c5 and 19 more (24 numbers)" in columns.summary()
    assert columns.summary(25).startswith("c1, c2, c3") and "more" not in columns.summary(25)


def test_another_table_is_read_as_the_first_was(tmp_path: Path) -> None:
    first = files.find(write(tmp_path / "t.csv"))
    assert first.columns is not None

    def change(rows: Rows) -> None:
        for row in rows:
            row.insert(0, "extra")
        rows[1][3] = "Steyr"

    later = files.find(write(tmp_path / "later.csv", change), (9,), None, first.columns)
    assert (later.x[1:] == first.x[1:]).all() and (later.x[0, 2:5] == 0).all() and "Steyr" in later.notes[0]
    bad = {
        r"lacks column town, which was learned from: add it": lambda rows: rows[0].__setitem__(2, "city"),
        r"'age' holds 'old' \(row 3\)": lambda rows: rows[4].__setitem__(0, "old"),
        r"missing in age \(1\)": lambda rows: rows[4].__setitem__(0, ""),
    }
    for why, spoil in bad.items():
        with pytest.raises(DataError, match=why):
            files.find(write(tmp_path / "bad.csv", spoil), (9,), None, first.columns)
    np.save(tmp_path / "x.npy", np.zeros((3, 9)))
    with pytest.raises(DataError, match="no table"):
        files.find(tmp_path / "x.npy", (9,), None, first.columns)
    with pytest.raises(DataError, match="is a table"):
        files.find(tmp_path / "t.csv", (9,))


def test_settings_of_tables_are_for_tables(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(5))
    with pytest.raises(DataError, match="no table: drop"):
        files.load(tmp_path / "x.npy", 0, Reading(impute="mean"))
    path = write(tmp_path / "t.csv")
    with pytest.raises(DataError, match="no column 'sort' for label_column=: its columns are age, income"):
        files.load(path, 0, Reading(label_column="sort"))
    with pytest.raises(DataError, match="cannot be both"):
        files.load(path, 0, Reading(label_column="kind", id_column="kind"))


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    words = pa.array(["a", None, "b"]).dictionary_encode()
    columns_of = {"n": [1, None, 3], "x": [0.5, 1.5, float("nan")], "yes": [True, False, None], "w": words}
    parquet.write_table(pa.table(columns_of), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    np.testing.assert_array_equal(table.columns["n"], [1, np.nan, 3])
    assert table.columns["yes"].tolist() == ["True", "False", None] and table.columns["w"].tolist() == ["a", None, "b"]
    parquet.write_table(pa.table({"t": pa.array([1, 2], pa.timestamp("s"))}), tmp_path / "time.parquet")
    with pytest.raises(DataError, match="column 't' holds timestamp"):
        read_table(tmp_path / "time.parquet")
    parquet.write_table(pa.table({"t": pa.array([1, 2], pa.timestamp("s")), "n": [1, 3]}), tmp_path / "time.parquet")
    assert list(read_table(tmp_path / "time.parquet", drop=("t",)).columns) == ["n"]
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot read"):
        read_table(tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"nemgan\[tables\]"):
        read_table(tmp_path / "t.parquet")


def test_parquet_as_data_frames_are_written(tmp_path: Path) -> None:
    """Names of rows come last there, to the last digit; columns may be numbered."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    ids = [1234567890123456789 + i for i in range(4)]
    parquet.write_table(pa.table({"a": [1.0, 2, 3, 5], "__index_level_0__": ids}), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table.ids == tuple(map(str, ids)) and list(table.columns) == ["a"]
    parquet.write_table(pa.table({"a": [1.0, 2, 3, 5], "id": ids}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", id_column="id").ids == tuple(map(str, ids))
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2, 5], "b": [3.5, 4, 1]})
    days = pd.DatetimeIndex(["2020-01-01", "2020-01-02", "2020-01-05"], name="day")
    for index, names in [
        (pd.Index([7, 9, 8], name="customer"), ("7", "9", "8")),
        (days, tuple(f"{day} 00:00:00" for day in ("2020-01-01", "2020-01-02", "2020-01-05"))),
        (pd.MultiIndex.from_tuples([("x", 1), ("y", 2), ("z", 0)]), ("x", "y", "z")),
    ]:
        frame.set_index(index).to_parquet(tmp_path / "t.parquet")
        table = read_table(tmp_path / "t.parquet")
        assert table.ids == names and list(table.columns) == ["a", "b"], table.ids
        assert "a data frame's index is taken for names of rows" in table.notes[0]
    assert read_table(tmp_path / "t.parquet", id_column="a").ids == ("1", "2", "5")
    parquet.write_table(pa.table({"0": [1.0, 2], "1": [4, 3]}), tmp_path / "t.parquet")
    assert list(read_table(tmp_path / "t.parquet").columns) == ["0", "1"]
    (tmp_path / "t.csv").write_text("0,1\n1.5,4\n2.5,3\n")
    assert list(read_table(tmp_path / "t.csv").columns) == ["0", "1"]


def test_columns_that_are_almost_numbers(tmp_path: Path) -> None:
    ages = [str(20 + i % 25) for i in range(60)]
    for i in (3, 40):
        ages[i] = "unknown"
    found = files.find(write(tmp_path / "t.csv", column(0, ages)))
    assert any("'age' is taken for words, since it holds 'unknown' among numbers" in note for note in found.notes)
    few = [f"{i % 7},5" for i in range(60)]
    found = files.find(write(tmp_path / "t.csv", column(0, few), mark=";"))
    assert any("'age' is taken for words: if its commas are decimal ones" in note for note in found.notes)
    months = [f"2020_{1 + i % 12:02d}" for i in range(60)]
    found = files.find(write(tmp_path / "t.csv", column(0, months)))
    assert found.columns is not None and found.columns.columns[0].kind == "words"


@pytest.mark.parametrize("impute", ["none", "median"])
def test_numbers_where_training_rows_had_words(impute: columns.Impute) -> None:
    learned, _ = columns.learn(Table("t", {"g": np.array(["A", "B", "B"], object)}, ("0", "1", "2")), impute)
    x, notes = learned.encode(Table("new", {"g": np.array([1.0, 2.0])}, ("0", "1")))
    assert (x == 0.5).all() and "1, 2" in notes[0]


def test_long_lists_of_columns_are_shortened() -> None:
    rng = np.random.default_rng(0)
    found = {f"x{i}": rng.random(9) for i in range(13)} | {"c": np.array(["a", "b", "c"] * 3, object), "k": np.ones(9)}
    learned, notes = columns.learn(Table("t", found, tuple(map(str, range(9)))))
    assert learned.summary() == "x0, x1, x2, x3, x4 and 8 more (13 numbers), c (3 words)"
    assert notes[-1] == f"t: columns that are learned from: {learned.summary()}"
