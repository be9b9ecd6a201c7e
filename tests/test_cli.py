"""The command line as a user meets it: what it prints where, and one line for everything that can be wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from nemgan import __version__
from nemgan.cli import app
from nemgan.data import catalog
from nemgan.training.runtime import Stopped

DEMO = catalog.entry("digits-demo")
M = len(DEMO.masses)


def masses(values: Sequence[float]) -> str:
    return "[" + ",".join(f"{value:g}" for value in values) + "]"


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: object) -> str:
    """The error line of a command that must fail with exactly one on stderr and nothing on stdout."""
    done = call(*words)
    assert done.exit_code == 2, (done.output, done.exception)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("nemgan: error: ")
    return lines[0]


def test_help_names_every_verb() -> None:
    done = call("--help")
    assert done.exit_code == 0
    for word in (
        "demo",
        "data",
        "models",
        "train",
        "evaluate",
        "sample",
        "predict",
        "compare",
        "priors",
        "export",
        "report",
        "reproduce",
        "doctor",
        "--version",
    ):
        assert word in done.stdout


def test_version() -> None:
    assert call("--version").stdout.strip() == f"nemgan {__version__}"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_output_that_is_not_utf8_is_no_traceback(encoding: str) -> None:
    def nemgan(*words: str) -> subprocess.CompletedProcess[bytes]:
        env = os.environ | {"PYTHONIOENCODING": encoding}
        return subprocess.run([sys.executable, "-m", "nemgan", *words], capture_output=True, env=env)

    shown = nemgan("sample", "--help")
    assert shown.returncode == 0 and "0 … 255" in " ".join(shown.stdout.decode().split())
    refused = nemgan("predict", "no-run", "data ν")
    assert refused.returncode == 2 and b"Traceback" not in refused.stderr


def test_data_lists_every_set_with_its_masses() -> None:
    found = json.loads(call("data", "--json").stdout)
    assert [each["name"] for each in found] == catalog.names()
    for each in found:
        assert sum(each["masses"]) == pytest.approx(1, abs=2e-3)
        assert {"n_train", "n_test", "source", "licence", "on_disk", "shape"} <= each.keys()
        assert each["name"] in call("data").stdout
    assert json.loads(call("data", "digits-demo", "--json").stdout)["on_disk"] is True
    assert "digits-demo" in call("data", "digits-demo").stdout
    assert "did you mean 'mnist-5'" in refused("data", "mnist5")


def test_models_lists_presets_and_conditions() -> None:
    found = {each["name"]: each for each in json.loads(call("models", "--json").stdout)}
    assert {"connected", "paper", "reference"} <= set(found["nemgan"]["presets"])
    assert found["nemgan"]["conditions"] == {"C1": True, "C2": True, "C3": True}
    assert "nemgan" in call("models").stdout
    assert "gan.reconstruction" in call("models", "clustergan").stdout
    assert "rival.codes" in json.loads(call("models", "infogan", "--json").stdout)["takes"]


def test_print_config_prints_words_that_train_takes() -> None:
    done = call("train", "seed=3", "prior=.5,.3,.2", "--print-config")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert "seed=3" in lines and "prior=[0.5,0.3,0.2]" in lines
    assert call("train", *lines, "--print-config").stdout == done.stdout


def test_dry_run_checks_and_leaves_nothing(tiny: list[str], tmp_path: Path) -> None:
    done = call("train", *tiny, "--dry-run", "--out", tmp_path / "runs")
    assert done.exit_code == 0, done.output
    assert "digits-demo" in done.stdout and str(DEMO.n_train) in done.stdout
    assert not (tmp_path / "runs").exists()


BAD_SETTINGS = [
    ("sed=1", "did you mean 'seed'"),
    ("seed", "write key=value"),
    ("model=nemgam", "did you mean 'nemgan'"),
    ("preset=conected", "did you mean 'connected'"),
    ("data=digits-dem", "did you mean 'digits-demo'"),
    ("data=./absent", "check the path"),
    (f"prior={masses([1 / (M + 1)] * (M + 1))}", f"{M + 1} masses are given for {M} clusters"),
    (f"prior={masses([0.9 / M] * M)}", "sum to 0.9"),
    (f"prior={masses([1 / (M - 1)] * (M - 1) + [0])}", "not above zero"),
    (f"n_clusters={DEMO.n_train + 1}", f"{DEMO.n_train + 1} clusters but only {DEMO.n_train} training samples"),
    ("latent.noise=.5", "noise"),
    ("device=cudda", "did you mean 'cuda'"),
    ("labels=1e-9", "discloses no label"),
    ("connect.steps=0", "prior=learned without labels"),
]


@pytest.mark.parametrize(("word", "says"), BAD_SETTINGS, ids=[word for word, _ in BAD_SETTINGS])
@pytest.mark.parametrize("dry", [True, False], ids=["dry", "run"])
def test_bad_settings_are_refused_before_anything_is_made(
    word: str, says: str, dry: bool, tiny: list[str], tmp_path: Path
) -> None:
    words = [each for each in tiny if each.partition("=")[0] != word.partition("=")[0]]
    assert says in refused("train", *words, word, "--out", tmp_path / "runs", *(["--dry-run"] if dry else []))
    assert not (tmp_path / "runs").exists()


def test_more_settings_at_odds_with_each_other(tiny: list[str], tmp_path: Path) -> None:
    out = tmp_path / "runs"
    assert "one mass a class" in refused("train", *tiny, "prior=matched", f"n_clusters={M + 1}", "--out", out)
    assert "needs one cluster a class" in refused("train", *tiny, "labels=.5", f"n_clusters={M + 1}", "--out", out)
    assert "seed is given twice" in refused("train", *tiny, "seed=1", "seed=2", "--out", out)
    assert "give either" in refused("train", "--resume", tmp_path, "--dry-run")
    assert "drop --out" in refused("train", "--resume", tmp_path, "--out", out)
    assert not out.exists()


def test_a_bare_path_and_a_setting_as_an_option_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pics").mkdir()
    assert refused("train").startswith("nemgan: error: which data?")
    assert "Missing argument 'DATA'" in call("priors").stderr
    assert refused("train", "pics", "n_clusters=3") == "nemgan: error: which data? say data=pics"
    assert refused("train", "seed=1", "digits-demo").endswith("say data=digits-demo")
    assert "say data=FOLDER" in refused("train", "pic", "n_clusters=3")
    said = "there is no option {}: settings are words, n_clusters=3"
    for words in (["--n_clusters", "3"], ["--n-clusters=3"]):
        assert said.format(words[0].partition("=")[0]) in refused("train", "data=pics", *words)
        assert said.format(words[0].partition("=")[0]) in refused("priors", "pics", *words)
    assert "seed=…" in refused("train", "data=pics", "--seed")
    assert "No such option" in call("train", "--clusters", "3").stderr


def test_missing_and_broken_data_are_named(tiny: list[str], tmp_path: Path) -> None:
    def refuse(data: object) -> str:
        words = [each for each in tiny if not each.startswith("data=")]
        return refused("train", f"data={data}", "n_clusters=2", *words, "--out", tmp_path / "runs")

    assert "mnist-2-3v5-70" in (line := refuse("mnist-2-3v5-70")) or "MNIST" in line
    (tmp_path / "empty").mkdir()
    assert "empty" in refuse(tmp_path / "empty")
    np.save(tmp_path / "nan.npy", np.full((30, 8, 8), np.nan, np.float32))
    assert "NaN" in refuse(tmp_path / "nan.npy")
    np.save(tmp_path / "objects.npy", np.array([{}, {}], object), allow_pickle=True)
    assert "objects" in refuse(tmp_path / "objects.npy")
    assert not (tmp_path / "runs").exists()


def test_no_permission_is_found_before_training(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in refused("train", *tiny, "--out", tmp_path / "file" / "runs")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "no permission" in refused("train", *tiny, "--out", tmp_path / "runs")


@pytest.mark.usefixtures("no_judge")
def test_train_prints_the_run_folder_last_and_alone_when_quiet(tiny: list[str], tmp_path: Path) -> None:
    done = call("train", *tiny, "--quiet", "--out", tmp_path / "runs")
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.stdout == f"{tmp_path / 'runs' / '0001-nemgan-digits-demo-s0'}\n"
    again = call("train", *tiny, "seed=5", "--out", tmp_path / "runs")
    assert again.stdout.splitlines()[-1] == str(tmp_path / "runs" / "0002-nemgan-digits-demo-s5")
    assert "accuracy" in again.stdout and "masses" in again.stdout


@pytest.mark.usefixtures("no_judge")
def test_demo_says_where_the_report_is(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nemgan.experiments import prepare

    configure = prepare.configure
    monkeypatch.setattr(
        prepare,
        "configure",
        lambda words: configure([*tiny, *(w for w in words if not w.startswith(("data=", "threads=")))]),
    )
    done = call("demo", "--seed", "1", "--out", tmp_path)
    assert done.exit_code == 0, (done.output, done.exception)
    report = tmp_path / "0001-nemgan-digits-demo-s1" / "report.html"
    assert done.stdout.splitlines()[-1] == f"open {report}"
    assert report.is_file()
    assert "no labels used" in done.stdout
    assert all(f": {mass:.3f}".replace("0.", ".") in done.stdout for mass in DEMO.masses)


def test_resume_refuses_what_it_cannot_do(finished: Path, tmp_path: Path) -> None:
    line = refused("train", "--resume", finished, "seed=1")
    assert "seed=1" in line and "seed=0" in line
    assert "no run folder" in refused("train", "--resume", tmp_path / "absent")
    assert "config.json" in refused("train", "--resume", tmp_path)


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_ends_with_the_shells_status(
    number: int, code: int, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nemgan.experiments import run

    def stop(*_: object, **__: object) -> None:
        raise Stopped("stopped after step 3; resume to go on", number)

    monkeypatch.setattr(run, "train", stop)
    done = call("train", *tiny, "--out", tmp_path)
    assert done.exit_code == code
    folder = tmp_path / "0001-nemgan-digits-demo-s0"
    assert done.stderr == f"nemgan: stopped after step 3; go on with: nemgan train --resume {folder}\n"


def test_an_unexpected_error_says_where_the_run_is(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nemgan.experiments import run

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(run, "train", fail)
    done = call("train", *tiny, "--out", tmp_path)
    assert isinstance(done.exception, ZeroDivisionError)
    assert done.exception.__notes__ == [f"run folder: {tmp_path / '0001-nemgan-digits-demo-s0'}"]


def test_evaluate_prints_the_runs_own_record(finished: Path) -> None:
    record = json.loads((finished / "result.json").read_text())
    again = json.loads(call("evaluate", finished, "--json").stdout)
    assert again == record
    assert "accuracy" in call("evaluate", finished).stdout
    assert "unknown extractor 'incepton': did you mean 'inception'?" in refused(
        "evaluate", finished, "--extractor", "incepton"
    )


def test_sample_writes_an_array_a_picture_or_a_folder(finished: Path, tmp_path: Path) -> None:
    done = call("sample", finished, "--cluster", "1", "-n", "7", "--out", tmp_path / "a.npz", "--seed", "4")
    assert done.exit_code == 0, (done.output, done.exception)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert found["x"].shape == (7, 1, 8, 8) and found["x"].dtype == np.uint8
        assert set(found["cluster"]) == {1}
    call("sample", finished, "--mode", "cluster-1", "-n", "7", "--out", tmp_path / "b.npz", "--seed", "4")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert call("sample", finished, "-n", "9", "--out", tmp_path / "all").exit_code == 0
    pictures = sorted((tmp_path / "all").iterdir())
    assert len(pictures) == 9
    with Image.open(pictures[0]) as picture:
        assert picture.size == (8, 8)
    assert call("sample", finished, "-n", "9", "--out", tmp_path / "grid.png").exit_code == 0
    with Image.open(tmp_path / "grid.png") as picture:
        picture.verify()


def test_runs_are_listed(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "0001-a")
    shutil.copytree(finished, tmp_path / "0002-b", ignore=shutil.ignore_patterns("result.json"))
    (tmp_path / "notes").mkdir()
    first, second = json.loads(call("runs", tmp_path, "--json").stdout)
    assert first["run"] == "0001-a" and first["data"] == "digits-demo" and first["clusters"] == M
    assert 0 <= first["accuracy"] <= 1 and second["accuracy"] == "not finished"
    assert "2 runs in" in call("runs", tmp_path).stdout
    shutil.copytree(finished, tmp_path / "more" / "0001-a")
    assert "\n1 run in" in call("runs", tmp_path / "more").stdout
    assert "is no folder" in refused("runs", tmp_path / "none")


def test_sample_overwrites_nothing(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("mine")
    assert "nothing is overwritten" in refused("sample", finished, "--out", tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_text() == "mine"
    assert "not empty" in refused("sample", finished, "--out", tmp_path)
    line = refused("sample", finished, "--mode", M, "--out", tmp_path / "b.npz")
    assert f"no cluster {M}" in line and f"clusters 0 … {M - 1}" in line
    assert "FILE.npz" in refused("sample", finished, "--out", tmp_path / "b.jpeg")
    assert sorted(os.listdir(tmp_path)) == ["a.npz"]


def rows(text: str) -> Sequence[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_predict_gives_a_row_a_sample(finished: Path, tmp_path: Path) -> None:
    test = catalog.load("digits-demo").test
    np.save(tmp_path / "x.npy", test.x)
    found = rows(call("predict", finished, tmp_path / "x.npy").stdout)
    assert len(found) == len(test)
    for row in found:
        p = [float(row[f"p{k}"]) for k in range(M)]
        assert sum(p) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == p[int(row["cluster"])] == max(p)
        assert float(row["margin"]) == pytest.approx(max(p) - p[int(row["second"])], abs=2e-6)
    done = call("predict", finished, tmp_path / "x.npy", "--out", tmp_path / "new" / "x.csv")
    assert done.exit_code == 0
    assert rows((tmp_path / "new" / "x.csv").read_text()) == found
    assert sum(int(part.rpartition(": ")[2]) for part in done.stderr.strip().split(", ")) == len(test)
    assert "nothing is overwritten" in refused(
        "predict", finished, tmp_path / "x.npy", "--out", tmp_path / "new" / "x.csv"
    )


def test_a_tilde_is_the_home_folder_and_a_place_that_cannot_be_is_named(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", catalog.load("digits-demo").test.x[:3])
    assert call("predict", finished, "~/x.npy", "--out=~/x.csv").exit_code == 0
    assert (tmp_path / "x.csv").is_file()
    assert "x.npy/y.csv" in refused("predict", finished, "~/x.npy", "--out=~/x.npy/y.csv")


def test_a_run_on_a_relative_path_says_where_to_go(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"digits-demo"', '"my/pictures"'))
    assert "was started on my/pictures, which is not in the current folder: go where it is" in refused(
        "evaluate", folder
    )


def test_the_built_in_data_are_not_taken_in_silence(tiny: list[str], tmp_path: Path) -> None:
    words = [word for word in tiny if not word.startswith("data=")]
    assert "which data? say data=FOLDER" in refused("train", *words, "--dry-run")
    assert call("train", *words, "--print-config").exit_code == 0


def test_predict_reads_a_folder_of_pictures(finished: Path, tmp_path: Path) -> None:
    for i, picture in enumerate(catalog.load("digits-demo").test.x[:3]):
        Image.fromarray(picture[0]).save(tmp_path / f"{i}.png")
    found = rows(call("predict", finished, tmp_path).stdout)
    assert [row["id"] for row in found] == ["0.png", "1.png", "2.png"]
    into = tmp_path.parent / f"{tmp_path.name}-sorted"
    done = call("predict", finished, tmp_path, "--sort-into", into)
    assert rows(done.stdout) == found and str(into) in done.stderr and "cluster " in done.stderr
    copies = {path.relative_to(into).as_posix() for path in into.rglob("*.png")}
    assert copies == {f"cluster-{row['cluster']}/{row['id']}" for row in found}
    assert "is not empty: give another --sort-into" in refused("predict", finished, tmp_path, "--sort-into", into)
    assert "would hold them twice" in refused("predict", finished, tmp_path, "--sort-into", tmp_path / "sorted")
    assert "copies the pictures of a folder" in refused(
        "predict", finished, tmp_path / "0.png", "--sort-into", tmp_path / "new"
    )


def test_predict_refuses_bad_input(finished: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((4, 1, 28, 28), np.uint8))
    assert "wide.npy" in refused("predict", finished, tmp_path / "wide.npy")
    np.savez(tmp_path / "objects.npz", x=np.array([{}], object))
    assert "objects" in refused("predict", finished, tmp_path / "objects.npz")
    np.save(tmp_path / "nan.npy", np.full((4, 8, 8), np.nan))
    assert "NaN" in refused("predict", finished, tmp_path / "nan.npy")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:40])
    assert "cut.png" in refused("predict", finished, tmp_path / "cut.png")
    (tmp_path / "none").mkdir()
    assert "none" in refused("predict", finished, tmp_path / "none")


def test_a_run_that_has_not_finished_or_is_none(finished: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    for name in ("config.json", "model.json"):
        (half / name).write_bytes((finished / name).read_bytes())
    for verb in (["evaluate", half], ["sample", half, "--out", tmp_path / "x.npz"], ["predict", half, tmp_path]):
        assert "no trained model" in refused(*verb)
    assert "checkpoint" in refused("train", "--resume", half)
    for verb in (["evaluate"], ["report"], ["sample", "--out", tmp_path / "x.npz"], ["predict", tmp_path]):
        assert "no run folder" in refused(verb[0], tmp_path / "absent", *verb[1:])


def test_a_pickle_in_place_of_a_model_is_refused_and_not_run(finished: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "executed"),)

    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "model.json"):
        (run / name).write_bytes((finished / name).read_bytes())
    (run / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    assert "model.safetensors" in refused("evaluate", run)
    (run / "model.safetensors").unlink()
    (run / "model.pt").write_bytes(pickle.dumps(Bomb()))
    refused("evaluate", run)
    assert not (tmp_path / "executed").exists()


def test_report_is_written_again(finished: Path, tmp_path: Path) -> None:
    done = call("report", finished)
    assert done.exit_code == 0, (done.output, done.exception)
    assert Path(done.stdout.strip()) == finished / "report.html"


def test_doctor_tells_what_a_question_needs() -> None:
    found = json.loads(call("doctor", "--json").stdout)
    assert {"nemgan", "torch", "threads", "data root", "data on disk"} <= found.keys()
    assert "digits-demo" in found["data on disk"]
    assert "torch" in call("doctor").stdout
