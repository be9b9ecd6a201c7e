"""The command that repeats a run."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from nemgan.experiments.config import Config
from nemgan.experiments.prepare import changed, configure, prepare
from nemgan.report.repeat import command
from nemgan.settings import dotted


def repeated(words: list[str]) -> tuple[Config, str]:
    """A configuration and the command that its report would show."""
    config = configure(words)
    prepared = prepare(config)
    return config, command(config.model_dump(mode="json"), changed(config, prepared.card, len(prepared.train)))


def test_the_command_repeats_the_run() -> None:
    words = ["data=digits-demo", "seed=3", "gan.steps=77", "gan.betas=[0.5,0.9]", "prior=.7,.2,.1", "labels=.25"]
    config, line = repeated(words)
    assert line == (
        "nemgan train model=nemgan data=digits-demo preset=connected seed=3 labels=0.25 'prior=[0.7,0.2,0.1]' "
        "gan.steps=77 'gan.betas=[0.5,0.9]'"
    )
    assert configure(shlex.split(line)[2:]) == config


@pytest.mark.parametrize("preset", ["connected", "reference", "paper"])
def test_the_command_stands_on_the_preset(preset: str) -> None:
    words = ["data=digits-demo", "prior=uniform", "gan.critic_steps=3", "gan.joint=false", "threads=2"]
    config, line = repeated([f"preset={preset}", *words, "train.log_every=7"])
    whole = command(config.model_dump(mode="json"), None)
    assert configure(shlex.split(line)[2:]) == config == configure(shlex.split(whole)[2:])
    assert len(line) < len(whole)


def test_few_images_of_ones_own_have_another_preset(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (60, 28, 28)).astype(np.uint8))
    own = [f"data={tmp_path / 'x.npy'}", "n_clusters=5"]
    for words in ([], ["connect.restarts=1"], ["contrast.steps=50"]):
        config, line = repeated([*own, *words])
        assert configure(shlex.split(line)[2:]) == config
        assert all(word in line for word in words) and ("connect.restarts" in line) == (words == ["connect.restarts=1"])


def test_dotted_lists_top_settings_first() -> None:
    assert list(dotted({"a": {"b": 1, "c": {"d": 2}}, "e": 3})) == ["e", "a.b", "a.c.d"]
