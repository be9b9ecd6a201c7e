from __future__ import annotations

import json
import re
import shlex
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
from nemgan.evaluation.result import Fidelity, Modes, Separation
from nemgan.report.charts import Line, line_chart, scatter, short, ticks
from nemgan.report.curves import curves, settled
from nemgan.report.diagnosis import _by_chance, diagnose, percent
from nemgan.report.figures import cards, evidence
from nemgan.report.repeat import command, flat

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


def test_the_least_certain_samples_are_named_with_both_clusters(make_run: MakeRun) -> None:
    found = page(make_run())
    assert "3.5 % of the test samples have a margin below 0.5" in found.text
    assert "1 · class two or 2 · class zero margin 0.070 digits/001.png" in found.text
    found = page(make_run("vector", **UNLABELLED, class_names=()))
    assert "1 or 2 margin 0.070 digits/001.png" in found.text and not found.all("img")


def test_the_evidence_for_the_number_of_clusters_is_shown(make_run: MakeRun) -> None:
    assert [said for _, said in evidence(record())] == ["", "asked for, fits best", ""]
    assert [said for _, said in evidence(record(n_clusters=4))] == ["", "fits best", "asked for"]
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
    with pytest.raises(CheckpointError, match=r"pictures\.npz is damaged"):
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
    subprocess.run([sys.executable, "-c", code, str(make_run())], check=True, timeout=60)


# diagnosis


def titles(**changes: Any) -> list[str]:
    return [finding.title for finding in diagnose(record(**changes))]


def test_a_good_run_is_said_to_be_good() -> None:
    assert titles() == ["Nothing stands out"]


def test_merged_and_split_modes_are_named() -> None:
    merged = diagnose(record(confusion=((0, 0, 100), (5, 0, 55), (0, 40, 0))))
    assert merged[0].title == "Clusters that merge classes"
    assert merged[0].text == "Cluster 2 consists of zero (65\u00a0%) and one (35\u00a0%)."
    split = diagnose(record(confusion=((0, 0, 100), (35, 25, 0), (0, 40, 0))))
    assert "Class one lies in clusters 0 (58\u00a0%) and 1 (42\u00a0%)." in [finding.text for finding in split]


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"found_masses": (0.004, 0.4, 0.596)}, "Clusters that are nearly empty"),
        ({"confidence": 0.5}, "Low confidence"),
        ({"agreement": 0.7}, "The clusters are not certain"),
        ({"counts": (Count(2, 0.1, 0.9), Count(3, 0.1, 0.2))}, "Another number of clusters fits better"),
        (
            {"separation": Separation((1, 0, None), (0.1, 0.1, None), (0.05, None, None)), "counts": ()},
            "Clusters that may be merged or split",
        ),
        ({"doubtful": 0.3}, "Many samples lie between clusters"),
        ({**UNLABELLED, "mode_returns": (0.96, None, 0.6)}, "Modes that generate other clusters too"),
        ({"mode_purities": (0.96, None, 0.6)}, "Modes that generate other classes too"),
        ({"mode_diversity": (0.2, None, 1.0)}, "Modes that generate nearly the same sample"),
        ({"judge_accuracy": 0.8}, "The judge errs"),
        ({"generated_vs_found_l1": 0.3}, "Generated masses differ from those found"),
        ({"found_masses": (0.2, 0.3, 0.5)}, "The prior does not match the clusters found"),
        ({"generated_masses": (0.8, 0.2, 0.0)}, "Generated classes do not follow the prior"),
        ({"prior_l1": 0.3}, "The masses are off"),
        (UNLABELLED, "No labels"),
    ],
)
def test_trouble_is_said_in_words(changes: dict[str, Any], title: str) -> None:
    assert title in titles(**changes)


def test_another_number_of_clusters_names_those_it_speaks_against() -> None:
    counts = (Count(2, 0.1, 0.9), Count(3, 0.1, 0.2), Count(4, 0.1, 0.9))
    fewer, more = (diagnose(record(counts=some))[0].text for some in (counts[:2], counts[1:]))
    assert "may be too many" in fewer and "Clusters 0 and 1 are the least apart" in fewer and "n_clusters=2" in fewer
    assert "may be too few" in more and "Cluster 1 falls in two most easily" in more and "n_clusters=4" in more


def test_generated_masses_that_differ_name_the_cluster() -> None:
    found = diagnose(record(generated_vs_found_l1=0.3, generated_found=(0.3, 0.35, 0.35)))
    assert "cluster 1: 35\u00a0% of the generated samples, 20\u00a0% of the real ones" in found[0].text


def test_small_test_splits_differ_by_chance() -> None:
    """Of 60 samples in shares of .5, .3 and .2, the shares drawn are .14 off in the mean."""
    off = {"found_masses": (0.36, 0.2, 0.44), "generated_vs_found_l1": 0.2}
    assert set(titles(**off, n_test=2000)) >= {"The prior does not match the clusters found"}
    assert titles(**off, n_test=60) == ["Nothing stands out"]
    drawn = np.random.default_rng(0).multinomial(60, [0.5, 0.3, 0.2], 2000) / 60
    assert np.abs(drawn - [0.5, 0.3, 0.2]).sum(1).mean() == pytest.approx(
        _by_chance(record(found_masses=(0.5, 0.3, 0.2), n_test=60)), rel=0.03
    )


def test_masses_that_still_move_at_the_end_are_said_to() -> None:
    def rows(moves_until: int) -> list[dict[str, Any]]:
        return [{"step": s, "found": [0.5, 0.5] if s > moves_until else [0.7, 0.3]} for s in range(10, 101, 10)]

    assert settled(rows(0), 2) == 0.0 and settled(rows(50), 2) == 0.6 and settled(rows(90), 2) == 1.0
    assert settled(rows(90), 3) is None and settled(rows(0)[:4], 2) is None
    assert "The masses had not settled" in [each.title for each in diagnose(record(), 1.0)]
    assert [each.title for each in diagnose(record(), 0.5)] == ["Nothing stands out"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (1, "100 %"), (0.5151, "52 %"), (0.041, "4.1 %"), (0.995, "99.5 %"), (0.1, "10 %")]
)
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text.replace(" ", "\u00a0")


# the command


def test_the_command_repeats_the_run() -> None:
    from nemgan.experiments.prepare import configure

    words = ["data=digits-demo", "seed=3", "gan.steps=77", "gan.betas=[0.5,0.9]", "prior=.7,.2,.1", "labels=.25"]
    config = configure(words)
    line = command(config.model_dump(mode="json"), (1, 8, 8))
    assert line.startswith("nemgan train model=nemgan data=digits-demo preset=connected seed=3 labels=0.25 ")
    assert "gan.steps=77" in line and "gan.loss" not in line and "network.width" not in line
    assert configure(shlex.split(line)[2:]) == config


@pytest.mark.parametrize("preset", ["connected", "reference", "paper"])
def test_the_command_stands_on_the_preset(preset: str) -> None:
    from nemgan.experiments.prepare import configure

    config = configure([f"preset={preset}", "data=digits-demo", "prior=uniform", "gan.critic_steps=3", "threads=2"])
    for shape in ((1, 8, 8), None):
        line = command(config.model_dump(mode="json"), shape)
        assert configure(shlex.split(line)[2:]) == config
    assert len(command(config.model_dump(mode="json"), (1, 8, 8))) < len(line)


def test_flat_lists_top_settings_first() -> None:
    assert list(flat({"a": {"b": 1, "c": {"d": 2}}, "e": 3})) == ["e", "a.b", "a.c.d"]


# charts


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks(-3, 7) == [-2, 0, 2, 4, 6]
    assert ticks(1234, 1234) == [1234]
    for low, high in [(0.013, 0.0172), (-5e6, 3e6), (0, 5100), (1e-9, 2e-9)]:
        found = ticks(low, high)
        assert 2 <= len(found) <= 6 and low <= found[0] and found[-1] <= high * (1 + 1e-9)


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.25"), (12000, "12k"), (3e-5, "3e-5"), (0, "0"), (2.5e6, "2.5M"), (-1.5, "-1.5")]
)
def test_short(value: float, text: str) -> None:
    assert short(value) == text


def test_curves_stay_in_their_frame() -> None:
    drawing = line_chart([Line("loss", [0, 50, 100], [3.0, 1.0, 2.0])], "loss")
    path = re.findall(r'class="line plain" d="([^"]+)"', drawing)[0]
    points = np.array([pair.split() for pair in path[1:].split("L")], float)
    assert points[0, 0] == 40 and points[-1, 0] == 340 - 16
    assert points[1, 1] > points[2, 1] > points[0, 1]  # SVG's y runs down
    assert (points >= 0).all() and (points <= [340, 190]).all()
    assert "3 at step 0, 2 at step 100" in drawing


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.0, 0.0]])
def test_flat_and_single_curves_are_drawn(values: list[float]) -> None:
    assert "nan" not in line_chart([Line("loss", list(range(len(values))), values)], "loss")


def test_long_curves_are_thinned_but_keep_their_end() -> None:
    steps = list(range(10_001))
    drawing = line_chart([Line("loss", steps, [float(step) for step in steps])], "loss")
    assert drawing.count("L") < 320
    assert re.findall(r'L([\d.]+) [\d.]+"/>', drawing) == ["324.0"]


def test_curves_group_losses_by_stage() -> None:
    rows = [
        {"stage": "a", "step": 1, "phase/loss": 1.0, "phase/same": 1.0},
        {"stage": "a", "step": 2, "phase/loss": 0.5, "phase/same": 0.5, "acc": 0.4, "masses": [0.5, 0.5]},
        {"stage": "b", "step": 3, "stage_step": 1, "other/loss": 0.5, "acc": None},
        {"stage": "b", "step": 4, "stage_step": 2, "other/loss": 0.4, "acc": 0.9, "masses": [0.6, 0.4]},
        {"step": "x"},
        {},
    ]
    found = curves(rows, 2)
    assert [chart.title for chart in curves([{**rows[1], "found": [0.1, 0.9]}], 2).whole][2:] == [
        "Shares found in held-out samples"
    ]
    assert [chart.title for chart in found.whole] == ["Held-out agreement with the classes", "Masses of the clusters"]
    assert [(stage, [chart.title for chart in charts]) for stage, charts in found.stages] == [
        ("a", ["phase · loss"]),
        ("b", ["other · loss"]),
    ]
    assert curves([], 2) == ([], [])


def test_scatter_keeps_aspect_and_marks_the_odd() -> None:
    points = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    drawing = scatter(points, np.array([0, 0, 1, 9]), "four points", odd=np.array([False, True, False, False]))
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)[0])
    assert (width - 24) / (height - 24) == pytest.approx(2, rel=0.01)
    assert drawing.count("<circle") == 1 and 'class="dots c1"' in drawing  # colour 9 comes round to 1
    assert [int(tag) for tag in re.findall(r">(\d+)</text>", drawing)] == [0, 1, 9]


def test_distances_and_modes_have_cards_that_name_extractor_and_count() -> None:
    fidelity = Fidelity("judge", 0.99, 2000, 1.234, 0.05, 0.01, 0.9, 0.8, 0.95, None, 2.5, (2.5,), (0.9,), (500,))
    made = record(fidelity=(fidelity,), modes=Modes(7, 8, 0.02, 0.96, 2500, "the nearest centre"))
    found = {short: (value, full) for short, value, full in cards(made)}
    value, full = found["Fréchet, judge"]
    assert value == "1.23" and "judge features, 2,000 samples" in full and "training samples: 0.05" in full
    assert "recall 0.8" in full and "icfd 2.5" in full and "coverage" not in full
    assert found["Modes covered"][0] == "7 of 8" and "2,500" in found["Modes covered"][1]
    assert "Modes covered" not in {short for short, *_ in cards(record())}
