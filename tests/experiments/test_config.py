"""Overrides are typed, and what is wrong with one is said in a line that names the fix."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemgan.errors import ConfigError
from nemgan.experiments.config import Config, build, flat, keys, parse_overrides
from nemgan.settings import show


def made(*words: str) -> Config:
    return build(parse_overrides(words))


def test_overrides_are_typed() -> None:
    config = made("seed=3", "gan.lr=1e-4", "gan.betas=[0.5,.9]", "conditions.C1=false", "prior=.7,.3", "data=2024")
    assert (config.seed, config.gan.lr, config.gan.betas) == (3, 1e-4, (0.5, 0.9))
    assert config.conditions.C1 is False
    assert config.prior == (0.7, 0.3)
    assert config.data == "2024", "a path that looks like a number stays a word"


def test_overrides_lie_over_the_preset_and_the_preset_over_the_schema() -> None:
    config = build({"gan.steps": 7}, {"gan.steps": 5, "gan.batch": 9})
    assert (config.gan.steps, config.gan.batch, config.gan.loss) == (7, 9, "hinge")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("sed=1", "did you mean 'seed'"),
        ("steps=5", "connect.steps"),
        ("gan.stps=5", "did you mean 'gan.steps'"),
        ("gann.lr=1", "did you mean 'gan.lr'"),
        ("network=compact", "network.style"),
        ("zzz=1", "--print-config"),
        ("seed", "write key=value"),
        ("=1", "write key=value"),
        ("seed=x", "seed=x is not allowed: it should be a valid integer"),
        ("seed=-1", "greater than or equal to 0"),
        ("seed=1.5", "valid integer"),
        ("labels=500", "between 0 and 1"),
        ("latent.noise=nan", "number"),
        ("gan.lr=-1", "greater than 0"),
        ("gan.loss=hinje", "did you mean 'hinge'"),
        ("prior=lerned", "did you mean 'learned'"),
        ("prior=[.7,a]", "a list of masses"),
        ("gan.betas=[1,2]", "gan.betas"),
        ("n_clusters=1", "greater than or equal to 2"),
        ("conditions.C2=maybe", "boolean"),
        ("gan.lr={", "cannot read the value"),
    ],
)
def test_a_bad_override_is_refused_in_one_line(word: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(word)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message and len(message) < 250


def test_an_unknown_key_of_a_file_gets_its_closest_match_too() -> None:
    for key, close in (("gan.stpes", "gan.steps"), ("sed", "seed")):
        with pytest.raises(ConfigError, match=f"^{key} is not a setting of this release: did you mean '{close}'"):
            build({key: 3})


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed is given twice"):
        made("seed=1", "seed=2")


@given(st.text(max_size=30))
def test_any_word_is_read_or_refused(word: str) -> None:
    try:
        made(word)
    except ConfigError as error:
        assert "\n" not in str(error).replace(repr(word), "")


@given(st.sampled_from(keys()), st.text(max_size=12))
def test_any_value_is_read_or_refused(key: str, text: str) -> None:
    try:
        made(f"{key}={text}")
    except ConfigError as error:
        assert key in str(error)


def test_flat_and_back_is_the_same_configuration() -> None:
    config = made("prior=[.2,.8]", "gan.betas=.1,.2", "n_clusters=2", "threads=1", "data=my data.npz")
    assert build(flat(config)) == config
    assert made(*(f"{key}={show(value)}" for key, value in flat(config).items())) == config
    assert Config.model_validate_json(json.dumps(config.model_dump(mode="json"))) == config
    assert set(flat(config)) == set(keys())


def test_masses_by_class() -> None:
    pairs = (("1", 0.04), ("no, never", 0.96))
    for word in (
        "prior=1:0.04,no, never:0.96",
        "prior= 1: .04 , no, never : 96e-2",
        'prior={"1":0.04,"no, never":0.96}',
    ):
        assert made(word).given_by_class == pairs
    config = made("prior=fraud:0.04,legit:0.96")
    assert json.loads(config.model_dump_json())["prior"] == "fraud:0.04,legit:0.96"
    assert build(flat(config)) == made(f"prior={show(flat(config)['prior'])}") == config
    assert made("prior=.04,.96").given_by_class == made().given_by_class == ()
    for wrong in ("fraud:x", "fraud:.1,.9", ":.5"):
        with pytest.raises(ConfigError, match=r"not allowed: .*or class:mass such as a:\.7,b:\.3$"):
            made(f"prior={wrong}")


def test_names_of_columns() -> None:
    assert made().drop == () and made("drop=2020, day").drop == ("2020", "day") and made("drop=day").drop == ("day",)
    assert made('drop=["last, first","day"]').drop == ("last, first", "day")
    config = made('drop=["last, first","day"]')
    assert made(f"drop={show(flat(config)['drop'])}") == build(flat(config)) == config
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        made().seed = 3
