"""What every model of the catalogue promises, on two steps of training."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from rivals import noise, tiny

from nemgan.data.pool import Pool
from nemgan.errors import ConfigError
from nemgan.experiments.config import build
from nemgan.experiments.prepare import configure, make_model, prepare
from nemgan.layers import STATISTICS, fresh_statistics
from nemgan.models import catalog
from nemgan.models.adversarial import Rival
from nemgan.models.base import Conditions, Model, at_rest
from nemgan.models.entry import PLANE
from nemgan.models.nemgan import NEMGAN
from nemgan.seeding import torch_generator
from nemgan.training.checkpoint import load_model, save_model
from nemgan.training.loop import Hook, train

SHAPES = [(2,), (1, 8, 8)]
MODELS = catalog.names()
RIVALS = [name for name in MODELS if name != "nemgan"]
WITHOUT_MODES = ["ali", "bigan", "catgan", "dcgan", "sngan", "veegan", "wgan", "wgan-gp"]
every = pytest.mark.parametrize("name", MODELS)
both = pytest.mark.parametrize("shape", SHAPES, ids=str)


@cache
def trained(name: str, shape: tuple[int, ...]) -> Model:
    """Trained for two steps; read it, do not change it."""
    model = tiny(name, shape)
    train(model, Pool.of(noise(shape)), seed=3)
    return model


def answers(model: Model) -> list[torch.Tensor]:
    x = model.encode(torch.from_numpy(noise(model.shape).x))
    with at_rest(model):
        return [model.posterior(x), model.features(x), model.masses(), *model.sample(9, torch_generator(0, "t"))]


def same(a: Model, b: Model) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[k].nan_to_num(), two[k].nan_to_num()) for k in one)


def test_the_paper_s_models_are_all_there() -> None:
    assert set(MODELS) >= {
        "nemgan", "wgan", "wgan-gp", "dcgan", "sngan", "deligan", "mad-gan", "ganmm", "bigan", "ali", "veegan",
        "catgan", "infogan", "clustergan", "slogan",
    }  # fmt: skip


@every
@both
def test_answers_have_their_shapes_and_ranges(name: str, shape: tuple[int, ...]) -> None:
    model = trained(name, shape)
    p, features, masses, x, clusters = answers(model)
    assert p.shape == (40, 3) and torch.allclose(p.sum(1), torch.ones(40), atol=1e-5) and (p >= 0).all()
    assert len(features) == 40 and features.ndim == 2
    assert masses.shape == (3,) and masses.sum().item() == pytest.approx(1, abs=1e-5) and (masses >= 0).all()
    assert x.shape == (9, *shape) and torch.isfinite(x).all()
    assert len(shape) == 1 or (x.min() >= 0 and x.max() <= 1)
    assert clusters.shape == (9,) and clusters.dtype == torch.int64 and clusters.min() >= 0 and clusters.max() < 3
    assert model.assigns_by and not model.scratch.keys() & model.state_dict().keys()


@every
def test_one_cluster_is_drawn_or_refused(name: str) -> None:
    model = trained(name, (2,))
    assert model.has_modes == model.conditions.C1 == catalog.entry(name).conditions["C1"]
    assert not (model.has_modes and name in WITHOUT_MODES)
    if model.has_modes:
        for k in range(3):
            with at_rest(model):
                x, clusters = model.sample(5, torch_generator(0, "t"), k)
            assert (clusters == k).all() and x.shape == (5, 2)
        return
    with pytest.raises(ConfigError, match=f"mode 1 .* model {name} .*has no modes.*clustergan, deligan, .*nemgan") as e:
        model.sample(5, torch_generator(0, "t"), 1)
    assert "\n" not in str(e.value)


@every
@both
def test_a_saved_model_gives_the_same_answers(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    model, again = trained(name, shape), tiny(name, shape, seed=1)
    save_model(model, tmp_path)
    load_model(again, tmp_path)
    for a, b in zip(answers(model), answers(again), strict=True):
        assert torch.equal(a, b)


@every
@both
def test_resumed_equals_uninterrupted_and_the_seed_decides(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def crash(moment: object, model: Model) -> None:
        raise Crash

    cut, rest = tiny(name, shape), tiny(name, shape)
    pool = Pool.of(noise(shape))
    with pytest.raises(Crash):
        train(cut, pool, seed=3, folder=tmp_path, checkpoint_every=1, hooks=[Hook(1, crash)])
    train(rest, pool, seed=3, folder=tmp_path, resume=True)
    assert same(trained(name, shape), rest)
    assert same(tiny(name, shape), tiny(name, shape)) and not same(tiny(name, shape), tiny(name, shape, seed=4))
    assert not same(cut, rest)


@every
def test_training_moves_what_its_phases_name_and_nothing_else(name: str) -> None:
    before, after = tiny(name), trained(name, (2,))
    stages = before.stages(Pool.of(noise((2,))))
    named = {part.split(".")[0] for stage in stages for phase in stage.phases for part in phase.trains}
    old = dict(before.named_parameters())
    moved = {key.split(".")[0] for key, value in after.named_parameters() if not torch.equal(value, old[key])}
    assert moved - {"prior"} == (named | {"generator_ema"}) - {"prior"}  # NEMGAN's merge sets its prior


@every
def test_the_catalogue_and_the_class_say_the_same(name: str) -> None:
    entry, model = catalog.entry(name), trained(name, (2,))
    assert model.conditions == type(model).conditions == Conditions(**entry.conditions)
    assert type(model).__name__ == entry.at[1] and getattr(type(model), "__final__", name == "nemgan")
    assert entry.title and entry.paper and entry.default_preset in entry.presets
    if name != "nemgan":
        assert set(entry.presets) == {"shared", "published"}


@pytest.mark.parametrize("name", RIVALS)
def test_presets_set_no_more_and_no_less_than_the_model_takes(name: str) -> None:
    entry = catalog.entry(name)
    for preset in entry.presets:
        for shape in [(1, 8, 8), (1, 28, 28), (3, 32, 32), (5,)]:
            if preset in entry.vectors_only and len(shape) == 3:
                continue
            defaults = entry.defaults(preset, shape)
            build(defaults)
            own = {key for key in defaults if key.startswith("rival.")}
            common = {"rival.optimiser", "rival.weight_decay", "rival.decay"}
            assert own - common == {key for key in entry.takes if key.startswith("rival.")} - common


def test_published_presets_train() -> None:
    for name in RIVALS:
        model = tiny(name, preset="published")
        train(model, Pool.of(noise((2,))), seed=0)
        assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_what_a_model_does_not_have_is_refused() -> None:
    for words, message in [
        (["model=wgan", "rival.sigma=.1"], r"rival.sigma is no setting of model wgan.*clustergan, deligan or slogan"),
        (["model=nemgan", "rival.clip=.1"], r"rival.clip is no setting of model nemgan.*ganmm or wgan"),
        (["model=sngan", "gan.loss=logistic"], r"gan.loss is no setting of model sngan"),
        (["model=dcgan", "connect.steps=5"], r"connect.steps is no setting of model dcgan.*use nemgan"),
        (["model=infogan", "conditions.C1=false"], "conditions.C1 is no setting of model infogan"),
        (["model=wgan", "labels=0.01"], "model wgan learns from no labels: use labels=0, or model nemgan"),
        (["model=infogan", "prior=matched"], "prior=matched is more than model infogan .*nemgan or slogan"),
        (["model=deligan", "prior=learned"], r"prior=learned is more than .*\(condition C3\): use prior=uniform"),
        (["model=deligan", "prior=[.7,.3]"], r"prior=\[0.7,0.3\] is more than model deligan"),
        (["model=veegan", "preset=published"], "preset published of veegan is for vectors.*its preset shared,.*bigan"),
        (["model=wgan", "preset=connected"], "unknown preset of wgan 'connected'"),
        (["model=wgann"], "did you mean 'wgan'"),
    ]:
        with pytest.raises(ConfigError, match=message) as error:
            configure(["data=digits-demo", *words])
        assert "\n" not in str(error.value), words
    with pytest.raises(ConfigError, match="prior is more than model wgan"):
        tiny("wgan", prior=np.array([0.7, 0.2, 0.1]))
    with pytest.raises(ConfigError, match="model wgan learns from no labels"):
        data = noise((2,))
        labelled = Pool(torch.from_numpy(data.x), torch.tensor([0]), torch.tensor([1]))
        train(tiny("wgan"), labelled, seed=0)
    with pytest.raises(ConfigError, match=r"rival.sigma is no setting of model wgan"):
        catalog.create("wgan", build({"rival.sigma": 0.1}), (2,), 3, None, 0)
    with pytest.raises(ConfigError, match="not for pairs"):
        tiny("ali", **{"gan.loss": "wgan-gp"})


def test_rivals_are_configured_without_more_words_than_their_name() -> None:
    for name in RIVALS:
        config = configure([f"model={name}", "data=digits-demo"])
        assert config.preset == "shared"
        assert config.prior == ("learned" if name == "slogan" else "uniform")
        assert prepare(config).card.n_clusters == 3
    config = configure(["model=slogan", "data=digits-demo", "prior=matched"])
    assert prepare(config).card.prior is not None


def test_every_setting_as_printed_can_be_given_again() -> None:
    from nemgan.experiments.config import flat
    from nemgan.settings import show

    for name in MODELS:
        config = configure([f"model={name}", "data=digits-demo"])
        assert configure([f"{key}={show(value)}" for key, value in flat(config).items()]) == config


def test_known_masses_are_slogan_s_own() -> None:
    model = tiny("slogan", prior=np.array([0.6, 0.3, 0.1]))
    train(model, Pool.of(noise((2,))), seed=0)
    assert model.masses().numpy() == pytest.approx([0.6, 0.3, 0.1], abs=1e-5)


def test_models_are_listed_without_torch() -> None:
    code = (
        "import sys, nemgan.cli\n"
        "try: nemgan.cli.main(['models', '--json'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert set(found) == set(MODELS)
    for each in found.values():
        assert set(each) >= {"name", "title", "conditions", "presets", "paper"}
        assert set(each["conditions"]) == {"C1", "C2", "C3"}
    assert NEMGAN.assigns_by


def test_the_smallest_model_is_small() -> None:
    """docs/extending.md proves by it that little is to be written."""
    root = Path(catalog.__file__).parent
    assert len((root / "unimodal.py").read_text("utf-8").splitlines()) <= 60


def test_the_model_of_the_guide_is_used_from_a_package_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/extending.md's example is a whole model, and its entry all that the catalogue needs."""
    guide = Path(__file__).parents[2] / "docs" / "extending.md"
    model, entry = (part.split("```")[0] for part in guide.read_text("utf-8").split("```python\n")[1:3])
    assert len(model.splitlines()) <= 60
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lsgan.py").write_text(model, "utf-8")
    (package / "entry.py").write_text(entry, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    wanted = ("my_package.entry:ENTRY", "my_package.none:ENTRY", "my_package.entry:rival")  # two that are no entries
    points = [EntryPoint(name, name, catalog.GROUP) for name in wanted]
    monkeypatch.setattr(catalog, "entry_points", lambda group: points if group == catalog.GROUP else [])
    catalog._entries.cache_clear()
    try:
        words = ["model=lsgan", "data=moons-80", "gan.steps=2", "gan.batch=6", "threads=1"]
        config = configure(words)
        assert config.gan.lr == PLANE["gan.lr"] and config.rival.noise == "normal"
        made = make_model(config, prepare(config).card)
        log = train(made, Pool.of(noise((2,))), seed=0)
        assert log.steps == 2 and answers(made)[0].shape[1] == 2 and "lsgan" in catalog.names()
        assert not any("spectral" in type(each).__name__.lower() for each in made.modules())
    finally:
        catalog._entries.cache_clear()


@pytest.mark.parametrize("name", ["deligan", "infogan", "clustergan", "slogan"])
def test_the_logistic_loss_has_r1(name: str) -> None:
    """As much of it as ``gan.penalty`` says; none in published presets of that loss."""
    published = catalog.entry(name).defaults("published", (2,))
    assert published["gan.penalty"] == (0.0 if published["gan.loss"] == "logistic" else 10.0)
    losses = []
    for penalty in (0.0, 1.0):
        model = tiny(name, gan__loss="logistic", gan__penalty=penalty)
        found = model.critic_loss(Pool.of(noise((2,))), torch.Generator().manual_seed(0))  # type: ignore[operator]
        losses.append((float(found.loss.detach()), "r1" in found.logs))
    assert losses[0][0] < losses[1][0] and [has for _, has in losses] == [False, True]


@every
def test_samples_are_made_with_the_averages_own_batch_statistics(name: str) -> None:
    """Not those that the weights had whose average it is: of 1,500 steps they are far off."""
    model = trained(name, (1, 8, 8))
    norms = [each for each in model.generator_ema.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    kept = [each.running_var.clone() for each in norms if each.running_var is not None]
    assert norms and len(kept) == len(norms) and not any(each.training for each in norms)
    copied = dict(model.generator.named_buffers())
    assert any(not torch.equal(value, copied[key]) for key, value in model.generator_ema.named_buffers())
    rng = torch.Generator().manual_seed(0)
    draw = model.generate if isinstance(model, Rival) else lambda network, z, mode: network(z)
    with fresh_statistics(model.generator_ema), torch.no_grad():
        for _ in range(STATISTICS):
            draw(model.generator_ema, *model.latent.sample(6, rng))
    for norm, before in zip(norms, kept, strict=True):
        assert norm.momentum == 0.1 and norm.running_var is not None
        assert torch.allclose(norm.running_var, before, rtol=0.5, atol=1e-3)
