"""The page as its reader has it: complete, self-contained, escaped, and refused where the run is damaged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import CONFIG, UNLABELLED, record

from nemgan import report
from nemgan.counting import Count
from nemgan.errors import CheckpointError
from nemgan.evaluation.result import Fidelity, Modes
from nemgan.report import figures
from nemgan.report.figures import cards, evidence

MakeRun = Callable[..., Path]
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """A page's tags, attributes and text; complains where tags do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(folder: Path) -> Page:
    path = report.write(folder)
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_says_what_was_found(make_run: MakeRun) -> None:
    found = page(make_run())
    assert "3 clusters: 52 % / 29 % / 19 %" in found.text
    assert "98.5 % of the held-out samples" in found.text and "97.2 % of the generated samples" in found.text
    for word in ("digits-demo", "zero labels", "masses unknown, learned", "seed 7"):
        assert word in found.text
    assert found.text.index("Cluster 2 · class zero") < found.text.index("Cluster 0 · class one")  # heaviest first


def test_every_figure_comes_with_its_full_name(make_run: MakeRun) -> None:
    found = page(make_run())
    for figure in ("0.985", "0.931", "0.951", "0.978", "0.972", "0.030", "83.4 s", "31.5 s", "5,100"):
        assert figure in found.text
    assert "Hungarian accuracy, natural test split, n=200" in found.text
    for mass in ("0.5151", "0.5000", "0.5300", "0.2949", "0.3000", "0.2800", "0.1900", "0.2000"):
        assert mass in found.text


def test_is_self_contained_and_accessible(make_run: MakeRun) -> None:
    folder = make_run()
    found, html = page(folder), (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html and "http:" not in html and "https:" not in html and "url(" not in html
    assert not found.all("link") and "@import" not in html
    images = found.all("img")
    assert len(images) == 6 + 12 and all(each["src"].startswith("data:image/png;base64,") for each in images)
    assert all(each["alt"] for each in images)
    drawings = found.all("svg")
    assert drawings and all(each["role"] == "img" and each["aria-label"] for each in drawings)
    assert found.all("html")[0]["lang"] == "en"
    assert "width=device-width" in [each.get("content", "").split(",")[0] for each in found.all("meta")]
    assert len(found.all("h1")) == 1
    assert "@media print" in html and "prefers-color-scheme: dark" in html


def test_confusion_has_matched_clusters_on_the_diagonal(make_run: MakeRun) -> None:
    folder = make_run()
    page(folder)
    html = (folder / "report.html").read_text(encoding="utf-8")
    cells = re.findall(r'<td( class="hit")? style="--share:([\d.]+)">([\d,]+)<small>', html)
    assert [int(count) for _, _, count in cells] == [99, 1, 0, 0, 59, 1, 0, 1, 39]
    assert [bool(hit) for hit, _, _ in cells] == [row == column for row in range(3) for column in range(3)]
    assert cells[0][1] == "0.990"


def test_a_thousand_clusters_do_not_make_a_table_of_a_million_cells(make_run: MakeRun, monkeypatch: Any) -> None:
    monkeypatch.setattr(figures, "MOST_SHOWN", 2)
    folder = make_run()
    assert (
        "Too many for a table here" in page(folder).text and 'class="hit"' not in (folder / "report.html").read_text()
    )


def test_without_labels_nothing_is_said_of_classes(make_run: MakeRun) -> None:
    folder = make_run(**UNLABELLED, class_names=())
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        for key in ("acc", "nmi", "ari"):
            row.pop(key, None)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = page(folder)
    for word in ("Accuracy", "NMI", "Mode purity", "Classes and clusters", "Learned and true", "None", "none of"):
        assert word not in found.text
    assert "3 clusters: 52 % / 29 % / 19 %" in found.text
    assert "No labels" in found.text and "Masses of the clusters" in found.text


def test_masses_are_said_to_be_of_the_training_samples(make_run: MakeRun) -> None:
    found = page(make_run(**UNLABELLED, class_names=()))
    assert "Masses are shares of 700 training samples. 200 test samples were held out" in found.text
    assert "Mass 52 % (about 361 of 700 training samples) · holds 50 % of the test split" in found.text
    assert "(about 361 of 700 training samples)" in page(make_run("plane")).text
    given = page(make_run(**UNLABELLED, class_names=(), prior=(0.3, 0.2, 0.5)))
    assert "Found in 700 training samples; masses were given, not found." in given.text
    assert "about 361" not in given.text


def test_how_sure_has_one_name_and_says_what_it_does_not_tell(make_run: MakeRun) -> None:
    found = page(make_run(agreement=0.97))
    said = "How sure: different partitions of the data agree on 97.0 % of the samples; below 90 % another answer"
    assert said in found.text and "nemgan compare RUN RUN" in found.text and "How sure (agreement) 97.0 %" in found.text
    assert found.text.index(said) < found.text.index("Key figures")
    assert "How sure" not in page(make_run()).text


def test_a_generator_that_was_trained_for_less_than_usual_is_told(make_run: MakeRun) -> None:
    folder = make_run()

    def text(steps: int) -> str:
        config = {**CONFIG, "gan": {**CONFIG["gan"], "steps": steps}}
        (folder / "config.json").write_text(json.dumps(config))
        return page(folder).text

    assert "The generator was trained for 300 steps, 1500 are usual" in text(300)
    assert "nemgan train --resume RUN gan.steps=1500." in text(300)
    assert "The generator was trained for" not in text(1500)


def test_the_least_certain_samples_are_named_with_both_clusters(make_run: MakeRun) -> None:
    found = page(make_run())
    assert "3.5 % of the test samples have a margin below 0.5" in found.text
    assert "1 · class two or 2 · class zero margin 0.070 digits/001.png" in found.text
    found = page(make_run("vector", **UNLABELLED, class_names=()))
    assert "1 or 2 margin 0.070 digits/001.png" in found.text and not found.all("img")


def test_the_evidence_for_the_number_of_clusters_is_shown(make_run: MakeRun) -> None:
    assert [said for _, said in evidence(record())] == ["", "asked for, fits best", ""]
    assert [said for _, said in evidence(record(n_clusters=4))] == ["", "fits best", "asked for"]
    near = (Count(2, 0.1, 0.33), Count(3, 0.1, 0.3), Count(4, 0.1, 0.2))
    assert [said for _, said in evidence(record(counts=near))] == ["about as good", "asked for", ""]
    assert [said for _, said in evidence(record(counts=near, n_clusters=4))] == ["a coarser level", "", "asked for"]
    assert [said for _, said in evidence(record(counts=near[:1]))] == ["fits best"]
    assert [said for _, said in evidence(record(counts=(Count(2, 0.3, 0.2), Count(3, 0.3, 0.1))))] == ["", "asked for"]
    found = page(make_run())
    assert "3 0.010 0.300 30.0 asked for, fits best" in found.text
    assert "0 · class one 1 · class two 0.020 0.120" in found.text  # cluster, the closest, cut between, own split
    assert "How many clusters?" not in page(make_run(counts=(), separation=None)).text


@pytest.mark.parametrize("kind", ["plane", "vector"])
def test_vectors_are_scatter_plots(make_run: MakeRun, kind: str) -> None:
    found = page(make_run(kind))
    assert not found.all("img")
    assert "Generated samples, by mode" in found.text
    assert ("first two principal components" in found.text) == (kind == "vector")
    assert ("in two dimensions" in found.text) == (kind == "vector")  # a plane is its own picture


def test_a_cluster_without_samples_is_said_to_be_empty(make_run: MakeRun) -> None:
    folder = make_run(found_masses=(0.0, 0.4, 0.6))
    with np.load(folder / "pictures.npz") as file:
        arrays = dict(file)
    np.savez(folder / "pictures.npz", **{**arrays, "real_count": np.array([0, 3, 12])})
    found = page(folder)
    assert "No test sample was put here." in found.text and "Clusters that are nearly empty" in found.text
    assert len(found.all("img")) == 5 + 12


def test_more_clusters_than_classes(make_run: MakeRun) -> None:
    found = page(
        make_run(
            class_names=("zero", "one"),
            class_of_cluster=(1, -1, 0),
            confusion=((1, 30, 69), (59, 41, 0)),
            true_masses=(0.5, 0.5),
            learned_prior=(0.5151, 0.2949, 0.19),
            generated_masses=(0.6, 0.4),
        )
    )
    assert "Cluster 1 · no class" in found.text and "Cluster 1, no class" in found.text


def test_names_from_outside_are_escaped(make_run: MakeRun) -> None:
    bad = "<img src=x onerror=alert(1)>"
    folder = make_run(class_names=(bad, "a&b", '"q"'), data=bad, versions={bad: bad})
    (folder / "config.json").write_text(json.dumps({**CONFIG, "data": bad}))
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps({"stage": bad, "step": step, f"{bad}/loss": 1.0}) + "\n" for step in (1, 2))
    )
    found = page(folder)
    assert all(each["src"].startswith("data:image/png") for each in found.all("img"))
    assert bad in found.text


@pytest.mark.parametrize("name", ["result.json", "config.json"])
def test_needs_the_record_and_the_configuration(make_run: MakeRun, name: str) -> None:
    folder = make_run()
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}"):
        report.write(folder)
    (folder / name).write_text("{")
    with pytest.raises(CheckpointError):
        report.write(folder)
    assert not (folder / "report.html").exists()


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run folder"):
        report.write(tmp_path / "nothing")


def test_does_without_curves_and_pictures(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "pictures.npz").unlink()
    (folder / "metrics.jsonl").unlink()
    found = page(folder)
    assert "Learning curves" not in found.text and not found.all("img")
    assert "Run it again" in found.text


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", b"\x80\x04cos\nsystem\n"])
def test_damaged_pictures_are_named(make_run: MakeRun, damage: bytes) -> None:
    folder = make_run()
    (folder / "pictures.npz").write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"pictures\.npz is damaged: make it anew with nemgan train --resume"):
        report.write(folder)


def test_objects_in_the_pictures_are_refused_not_run(make_run: MakeRun, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    folder = make_run()
    np.savez(folder / "pictures.npz", real=np.array([Trap()], dtype=object))
    with pytest.raises(CheckpointError, match="damaged"):
        report.write(folder)
    assert not (tmp_path / "sprung").exists()


def test_metrics_cut_short_by_a_crash(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text()[:-30])
    assert "Learning curves" in page(folder).text


def test_a_failed_write_leaves_the_old_page(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run()
    before = report.write(folder).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        report.write(folder)
    assert (folder / "report.html").read_bytes() == before


def test_same_files_same_page(make_run: MakeRun) -> None:
    folder = make_run()
    assert report.write(folder).read_bytes() == report.write(folder).read_bytes()


def test_needs_no_torch(make_run: MakeRun) -> None:
    code = "import sys; from nemgan.report import write; write(sys.argv[1]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(make_run())], timeout=60).returncode == 0


def test_distances_and_modes_have_cards_that_name_extractor_and_count() -> None:
    fidelity = Fidelity("judge", 0.99, 2000, 1.234, 0.05, 0.01, 0.9, 0.8, 0.95, None, 2.5, (2.5,), (0.9,), (500,))
    made = record(fidelity=(fidelity,), modes=Modes(7, 8, 0.02, 0.96, 2500, "the nearest centre"))
    found = {short: (value, full) for short, value, full in cards(made)}
    value, full = found["Fréchet, judge"]
    assert value == "1.23" and "judge features, 2,000 samples" in full and "training samples: 0.05" in full
    assert "recall 0.8" in full and "icfd 2.5" in full and "coverage" not in full
    assert found["Modes covered"][0] == "7 of 8" and "2,500" in found["Modes covered"][1]
    assert "Modes covered" not in {short for short, *_ in cards(record())}
