"""Run folders get numbers of their own, whoever else makes some at the same time, and say what is wrong with them."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from nemgan.data.dataset import Dataset
from nemgan.errors import CheckpointError, ConfigError
from nemgan.experiments import folder as folders
from nemgan.experiments.config import Config
from nemgan.experiments.folder import Card, new_folder, read_card, read_config, slug, write_card, write_json
from nemgan.experiments.outputs import write_new


def test_folders_are_numbered_and_never_reused(tmp_path: Path) -> None:
    config = Config(data="mnist-2-3v5-70")
    first = new_folder(tmp_path / "a" / "runs", config)
    assert first.name == "0001-nemgan-mnist-2-3v5-70-s0"
    assert new_folder(first.parent, config.model_copy(update={"seed": 7})).name.startswith("0002-")
    first.rmdir()
    (first.parent / "0041").mkdir()  # claimed by a start that died
    (first.parent / "notes.txt").touch()
    assert new_folder(first.parent, config).name == "0042-nemgan-mnist-2-3v5-70-s0"


def test_simultaneous_starts_get_different_numbers(tmp_path: Path) -> None:
    configs = [Config(seed=seed) for seed in range(24)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda config: new_folder(tmp_path, config), configs))
    assert len({path.name[:4] for path in made}) == len(configs)
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in made), "no claim is left behind"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("mnist-5", "mnist-5"),
        ("/some where/my data.npz", "my-data"),
        ("a b/..", "data"),
        ("./x/", "x"),
        ("Кошки и собаки", "Кошки-и-собаки"),
    ],
)
def test_the_name_of_any_data_fits_a_folder(data: str, name: str) -> None:
    assert slug(data) == name


def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is not a folder; choose another"):
        folders.check_writable(tmp_path / "file" / "runs")
    with pytest.raises(ConfigError, match="cannot make a run folder"):
        new_folder(tmp_path / "file" / "runs", Config())
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="no permission to write"):
        folders.check_writable(tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_config_and_card_come_back(tmp_path: Path) -> None:
    config, card = Config(prior=(0.7, 0.3)), Card((1, 8, 8), 2, (0.7, 0.3), 5, ("a", "b"), "0f")
    write_json(tmp_path / "config.json", config.model_dump(mode="json"))
    write_card(tmp_path, card)
    assert read_config(tmp_path) == config
    assert read_card(tmp_path) == card


def test_what_is_no_run_folder_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run folder"):
        read_config(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        read_config(tmp_path)
    for damaged in (b"", b"{", b'{"seed": "x"}', b'{"nothing": 1}', b"\xff\xfe", b"[]"):
        (tmp_path / "config.json").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"config\.json"):
            read_config(tmp_path)
    for damaged in (b"{}", b"[1]", b'{"shape": 3}'):
        (tmp_path / "model.json").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            read_card(tmp_path)


def test_a_generator_that_is_still_to_grow_is_not_finished(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / finished.name
    shutil.copytree(finished, run)
    config = json.loads((run / "config.json").read_text())
    for more, agreement in ((0, False), (1, True)):
        config["gan"]["steps"] += more  # what a resumed run writes before it trains
        (run / "config.json").write_text(json.dumps(config))
        assert (folders.overview(tmp_path)[0]["agreement"] == "not finished") is agreement
    (run / "model.safetensors").write_bytes(b"\xff" * 9)  # says nothing
    assert folders.overview(tmp_path)[0]["agreement"] != "not finished"


def test_a_damaged_record_hides_no_other_run(tmp_path: Path) -> None:
    records = ['{"acc": 0.91234, "agreement": 0.9996}', '{"acc": 0.9', "[]", "", '{"acc": 0.9, "n_generated": 0}']
    for i, record in enumerate(records):  # to the last a generator is being added
        run = tmp_path / f"000{i}-a-s0"
        run.mkdir()
        write_json(run / "config.json", Config().model_dump(mode="json"))
        write_card(run, Card((1, 8, 8), 2, (0.7, 0.3), 5, ("a", "b"), "0f"))
        if record:
            (run / "result.json").write_text(record)
    said = [(row["agreement"], row["accuracy"]) for row in folders.overview(tmp_path)]
    assert said == [(0.999, 0.912), *[("damaged", "damaged")] * 2, *[("not finished", "not finished")] * 2]
    (tmp_path / "0001-a-s0" / "config.json").write_text('{"from": "another release"}')
    rows = folders.overview(tmp_path)
    assert len(rows) == 5 and rows[1]["agreement"] == "unreadable" and rows[1]["data"] is None


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "a.json", {"old": 1})
    before = (tmp_path / "a.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_json(tmp_path / "a.json", {"new": 2})
    assert (tmp_path / "a.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_digest_sees_samples_and_disclosed_labels() -> None:
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    data = Dataset(x, np.array([0, 1, 0, 1, 0, 1]), ("a", "b"), "d")
    assert folders.digest(data) == folders.digest(data.take(np.arange(6)))
    assert folders.digest(data) != folders.digest(data.unlabelled())
    assert folders.digest(data) != folders.digest(data.take(np.arange(6)[::-1]))


def test_a_new_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_new(out := tmp_path / "new" / "table.csv", "id\n")
    with pytest.raises(FileExistsError):
        write_new(out, "other\n")
    assert out.read_text() == "id\n"

    def full(path: Path, text: str, **options: str) -> None:
        path.write_bytes(text.encode()[:2])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        write_new(tmp_path / "cut.csv", "id,cluster\n")
    assert not (tmp_path / "cut.csv").exists()
