"""The command that repeats a run."""

from __future__ import annotations

import shlex

import pytest

from nemgan.report.repeat import command, flat


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
