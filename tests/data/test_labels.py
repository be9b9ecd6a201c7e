"""A file of few labels: what it says, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nemgan.cli import masses
from nemgan.data import catalog, files
from nemgan.data.arrays import classes
from nemgan.data.labels import codes, in_order, read_labels
from nemgan.errors import DataError


@pytest.mark.parametrize("heading", ["", "id,label\n", "File,class\n", "row,kind\n", "\ufeffid,label\n"])
def test_reads_lines(tmp_path: Path, heading: str) -> None:
    (tmp_path / "few.csv").write_text(heading + "b, two\n\na,one\na,one\n", encoding="utf-8")
    assert read_labels(tmp_path / "few.csv", ["a", "b", "c"]) == ["one", "two", None]


def test_the_column_of_ids_is_a_heading_too(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("Patient,kind\na,one\n")
    assert read_labels(tmp_path / "few.csv", ["a", "b"], "patient") == ["one", None]
    with pytest.raises(DataError, match=r"'Patient' matches no sample.*a heading starts with"):
        read_labels(tmp_path / "few.csv", ["a", "b"])


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("heading", [True, False])
def test_reads_what_spreadsheets_write(tmp_path: Path, mark: str, heading: bool) -> None:
    lines = [["file", "class"]] * heading + [['"a,1;2,3.png"', "one"], ["b", "two"]]
    (tmp_path / "few.csv").write_text("".join(f"{mark.join(line)}\n" for line in lines))
    assert read_labels(tmp_path / "few.csv", ["a,1;2,3.png", "b"]) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id;label\n0,a\n", "'0,a' has 1 columns: give two columns, id and label .* with semicolons between"),
        ("9,a\n8,a\n", r"id '9' matches no sample \(nor does 1 other\); ids look like 0, 1"),
        ("0,a\n0,b\n", "id '0' comes twice, as a and b"),
        ("0\n", "has 1 columns: give two columns"),
        ("0,a,x\n", "has 3 columns"),
        ("0,\n1,\n", "no labels"),
        ("id,age,kind\n0,7,a\n1,x\n", "has 3 columns: .* id_column= and label_column="),
        ("id,label\n", "no labels"),
    ],
)
def test_refuses(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "few.csv").write_text(text)
    with pytest.raises(DataError, match=why):
        read_labels(tmp_path / "few.csv", ["0", "1"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file of labels .*few\.csv: check the path"):
        read_labels(tmp_path / "few.csv", ["0", "1"])


def test_minus_one_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("id,label\na,1\nb,-1\nc,0\n")
    assert read_labels(path, ["a", "b", "c", "d"]) == ["1", None, "0", None]


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "<NA>", "null", "?", "-1", "-1.0"])
def test_words_that_say_there_is_no_label(tmp_path: Path, word: str) -> None:
    (tmp_path / "few.csv").write_text(f"id,label\na,one\nb,{word}\nc,None\n")
    assert read_labels(tmp_path / "few.csv", ["a", "b", "c"]) == ["one", None, "None"]
    rows = "".join(f"{i},{i % 7},{label}\n" for i, label in enumerate(["one", word, "two"] * 10))
    (tmp_path / "t.csv").write_text("a,b,kind\n" + rows)
    splits = files.load(tmp_path / "t.csv", how=files.Reading(label_column="kind"))
    assert splits.train.class_names == ("one", "two") and (splits.train.y == -1).any()
    y = np.array(["one", word, "two", ""])
    known, names = classes(y, 4, tmp_path / "x.npz")
    assert known.tolist() == [0, -1, 1, -1] and names == ("one", "two")


def test_lines_without_a_label_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("id,label\na,\nb,two\nc, \n")
    assert read_labels(tmp_path / "few.csv", ["a", "b", "c"]) == [None, "two", None]
    (tmp_path / "few.csv").write_text("id,label\nz,\nb,two\n")  # a name that is none is none, labelled or not
    with pytest.raises(DataError, match="'z' matches no sample"):
        read_labels(tmp_path / "few.csv", ["a", "b", "c"])


def test_two_of_more_columns_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "parts.csv"
    path.write_text("state,age,part\n,7,a\ncut,8,b\nwhole,9,c\n")
    assert read_labels(path, ["a", "b", "c"], "part", "state") == [None, "cut", "whole"]
    for names in (("part", ""), ("", "state"), ("part", "kind")):
        with pytest.raises(DataError, match="has 3 columns"):
            read_labels(path, ["a", "b", "c"], *names)
    path.write_text("state,age,part\ncut,8\n")
    with pytest.raises(DataError, match="has 2 values where the heading has 3"):
        read_labels(path, ["a", "b", "c"], "part", "state")
    np.save(tmp_path / "x.npy", np.arange(20.0)[:, None] * [1, 2])
    path.write_text("row,seen,kind\n" + "".join(f"{i},x,{'ab'[i % 2]}\n" for i in range(6)))
    how = files.Reading(id_column="row", label_column="kind")
    few = files.load(tmp_path / "x.npy", 0, how, path).few
    assert few is not None and (few >= 0).sum() == 6
    with pytest.raises(DataError, match="no table: drop label_column="):
        files.load(tmp_path / "x.npy", 0, how)


def test_the_column_of_labels_may_be_in_their_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, path = tmp_path / "few.csv", tmp_path / "t.csv"
    path.write_text("who,x\n" + "".join(f"p{i},{i}\n" for i in range(20)))
    few.write_text("who,seen,kind\n" + "".join(f"p{i},x,{'ab'[i % 2]}\n" for i in range(6)))
    splits = files.load(path, 0, files.Reading(id_column="who", label_column="kind"), few)
    assert splits.few is not None and (splits.few >= 0).sum() == 6 and splits.train.class_names == ("a", "b")
    shown: list[str | None] = []
    monkeypatch.setattr(masses, "estimate_priors", lambda _, y, **__: shown.extend(y) or splits)
    with pytest.raises(AttributeError, match="to_dict"):
        masses.priors_of(str(path), few, how=files.Reading(id_column="who", label_column="kind"))
    assert shown == ["a", "b"] * 3 + [None] * 14
    with pytest.raises(DataError, match="no column 'kid' for label_column=: did you mean 'kind'"):
        files.load(path, 0, files.Reading(id_column="who", label_column="kid"), few)
    with pytest.raises(DataError, match="no column 'seen' for id_column="):
        files.load(path, 0, files.Reading(id_column="seen", label_column="kind"), few)


@pytest.mark.parametrize("rest", ["label", "seen,kind"])
def test_the_column_that_names_samples_is_told(tmp_path: Path, rest: str) -> None:
    few, path = tmp_path / "few.csv", tmp_path / "t.csv"
    path.write_text("id,x,town\n" + "".join(f"{i + 1},{i % 7},{i % 2}\n" for i in range(20)))
    few.write_text(f"id,{rest}\n" + "".join(f"{i},{'ab'[i % 2]}{',c' * ('seen' in rest)}\n" for i in range(1, 6)))
    with pytest.raises(DataError, match=r"few\.csv names samples by 'id', which is a column of .*: say id_column=id$"):
        files.load(path, 0, None, few)
    few.write_text("town,label\n0,a\n1,b\n")  # which names no row
    with pytest.raises(DataError, match="'town' matches no sample"):
        files.load(path, 0, None, few)


def test_a_name_of_several_samples(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("a,x\nb,y\n")
    with pytest.raises(DataError, match="'a' is the name of several"):
        read_labels(tmp_path / "few.csv", ["a", "a", "b"])


def test_classes() -> None:
    assert in_order(["10", "9", None, "-1", "b", "a"]) == ("-1", "9", "10", "a", "b")
    assert codes(["b", None, "a"], ("a", "b"), "f").tolist() == [1, -1, 0]
    for given, why in ((["c", "a"], "'c' is no class of the data, which are a, b"), (["a"], "no sample is labelled b")):
        with pytest.raises(DataError, match=why):
            codes(given, ("a", "b"), "f")
    assert codes(["a", None], ("a",), "f").tolist() == [0, -1]


def test_labelled_samples_are_held_out_last(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(100.0)[:, None] * [1, 2])
    (tmp_path / "few.csv").write_text("".join(f"{i},{'ab'[i % 2]}\n" for i in range(30)))
    splits = files.load(tmp_path / "x.npy", 0, None, tmp_path / "few.csv")
    assert splits.few is not None and (splits.few >= 0).sum() == 30 and (splits.test.x[:, 0] >= 30).all()
    assert (splits.few[splits.few >= 0] == splits.train.x[splits.few >= 0, 0] % 2).all()
    assert (splits.train.y == -1).all() and splits.train.class_names == ("a", "b")  # to be scored by: nothing
    (tmp_path / "few.csv").write_text("".join(f"{i},{'ab'[i % 2]}\n" for i in range(95)))
    assert len(files.load(tmp_path / "x.npy", 0, None, tmp_path / "few.csv").test) == 20


def test_few_labels_of_a_column_are_held_out_last_where_they_are_used(tmp_path: Path) -> None:
    lines = [f"{i},{i % 7},{'ab'[i % 2] if i < 26 else ''}" for i in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["x,w,kind", *lines]) + "\n")
    how = files.Reading(label_column="kind")
    zero, used = (files.load(tmp_path / "t.csv", 0, how, sparing=sparing) for sparing in (False, True))
    assert 0 < (zero.train.y >= 0).sum() < 26 and (used.train.y >= 0).sum() == 26 and (used.test.y == -1).all()
    assert "labels are used, and 26 of 100 samples have one: these are held out last" in used.notes
    assert set(zero.test.ids[zero.test.y < 0]) <= set(used.test.ids)  # the rest are held out as they were
    (tmp_path / "t.csv").write_text("\n".join(["x,w,kind", *(f"{i},{i % 7},{'ab'[i % 2]}" for i in range(100))]))
    zero, used = (files.load(tmp_path / "t.csv", 0, how, sparing=sparing) for sparing in (False, True))
    assert zero.test.ids.tolist() == used.test.ids.tolist()  # where most are labelled nothing is spared


def test_classes_of_the_data_and_of_the_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(20.0)[:, None], y=np.arange(20) % 2)
    (tmp_path / "few.csv").write_text("0,0\n1,1\n")
    own = files.load(tmp_path / "x.npz", 0, None, tmp_path / "few.csv")
    assert own.train.class_names == ("0", "1") and (own.train.y >= 0).all() and own.few is not None
    assert (own.few >= 0).sum() == 2
    (tmp_path / "few.csv").write_text("0,left\n1,right\n")
    other = files.load(tmp_path / "x.npz", 0, None, tmp_path / "few.csv")
    assert other.train.class_names == ("left", "right") and (other.train.y == -1).all() and "not 0, 1" in other.notes[0]


def test_named_sets_go_by_row(tmp_path: Path) -> None:
    train = catalog.load("digits-demo").train
    at = [int(np.flatnonzero(train.y == c)[0]) for c in range(3)]
    (tmp_path / "few.csv").write_text("".join(f"{i},{train.class_names[c]}\n" for c, i in enumerate(at)))
    few = catalog.load("digits-demo", few=tmp_path / "few.csv").few
    assert few is not None and few[at].tolist() == [0, 1, 2] and (few >= 0).sum() == 3
