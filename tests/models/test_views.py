"""Contrastive neighbours beside those in pixels, on grey stripes, lying or standing."""

import numpy as np
import pytest
import torch
from stripes import stripes

from nemgan.data.dataset import Dataset
from nemgan.data.pool import Pool
from nemgan.errors import ConfigError
from nemgan.evaluation.clustering import scores
from nemgan.evaluation.inference import predict
from nemgan.experiments.config import build
from nemgan.models import catalog
from nemgan.models.connected import Connection
from nemgan.seeding import torch_generator
from nemgan.training.loop import Hook, train

SHAPE, MASSES = (1, 16, 16), np.array([0.7, 0.3])
SETTINGS = {
    "contrast.steps": 120,
    "contrast.batch": 64,
    "contrast.width": 8,
    "contrast.below": 2.0,
    "connect.steps": 80,
    "connect.refine_steps": 40,
    "connect.augment": 0,
    "connect.partitions": 3,
    "connect.micro_modes": 12,
    "network.inverter_width": 8,
    "latent.dim": 16,
    "gan.steps": 2,
    "gan.batch": 16,
}


def data_of(n: int = 500) -> Dataset:
    """Under noise: without learning, a network's features mix the two kinds."""
    rng, y, mask = stripes(n, 0.5, 2.6)
    x = np.where(mask, 200, 50) + rng.normal(0, 60, (n, 1, 16, 16))
    return Dataset(np.clip(x, 0, 255).astype(np.uint8), y, ("lying", "standing"), "stripes")


def made(shape: tuple[int, ...] = SHAPE, **more: object):
    defaults = catalog.entry("nemgan").defaults("connected", shape)
    return catalog.create("nemgan", build({**SETTINGS, **more}, defaults), shape, 2, MASSES, 0)


@pytest.fixture(scope="module")
def trained():
    data, model = data_of(), made()
    train(model, Pool.of(data.unlabelled()), seed=0)
    return data, model


def test_they_come_after_the_others_and_stay(trained):
    data, model = trained
    names = [stage.name for stage in model.stages(Pool.of(data.unlabelled()))]
    assert names == ["connect", "contrast", "refine", "generate"]
    assert {"raw_neighbours", "own_neighbours", "seen_neighbours", "seen_weights"} <= set(model.scratch)


def seen_purity(data: Dataset, model) -> float:
    return float((data.y[model.scratch["seen_neighbours"].numpy()] == data.y[:, None]).mean())


def test_their_neighbours_are_of_one_kind_once_they_are_learned(trained):
    data, model = trained
    assert seen_purity(data, model) > 0.95 and scores(data.y, predict(model, data.x).argmax(1)).acc > 0.95
    unlearned = made(**{"contrast.lr": 1e-9})
    train(unlearned, Pool.of(data.unlabelled()), seed=0)
    assert seen_purity(data, unlearned) < 0.85


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_their_share_is_the_share_of_all_neighbours(trained, share):
    data, trained_model = trained
    model = made(**{"contrast.share": share})
    model.scratch.update(trained_model.scratch)
    neighbours, weights = Connection(model, Pool.of(data.unlabelled())).joined({"raw": 0.5, "own": 0.5})
    k = model.scratch["raw_neighbours"].shape[1]
    assert neighbours.shape == weights.shape == (len(data), 3 * k)
    alone = sum(float(model.scratch[f"{name}_weights"].sum()) * part for name, part in (("raw", 0.5), ("own", 0.5)))
    assert float(weights[:, : 2 * k].sum()) == pytest.approx((1 - share) * alone, rel=1e-4)
    assert float(weights[:, 2 * k :].sum()) == pytest.approx(
        share * float(model.scratch["seen_weights"].sum()), rel=1e-4
    )


def test_without_doubt_they_are_left_out():
    data, model = data_of(200), made(**{"contrast.below": 0.0})
    log = train(model, Pool.of(data.unlabelled()), seed=0)
    assert [row["stage"] for row in log.rows if row["kind"] == "left out"] == ["contrast"]
    assert "seen_neighbours" not in model.scratch and log.steps == 80 + 40 + 2


def test_doubt_is_less_agreement_than_the_limit():
    model = made(**{"contrast.below": 0.85})
    connection = Connection(model, Pool.of(data_of(40).unlabelled()))
    for agreement, doubtful in ((0.84, True), (0.86, False)):
        model.agreement.fill_(agreement)
        assert connection.doubtful() is doubtful


def test_of_merges_of_one_family_those_are_heard_that_views_cut_least():
    data, model = data_of(200), made(**{"contrast.below": 0.9, "contrast.judged": 0.99})
    connection = Connection(model, Pool.of(data.unlabelled()))
    connection.look(torch_generator(0, "t"))
    model.agreement.fill_(0.95)
    assert not connection.unsettled()  # nobody has voted
    y = torch.from_numpy(data.y)
    wrong = y.clone()
    wrong[:20] = 1 - wrong[:20]
    model.scratch["voters"] = torch.stack([y] * 4 + [wrong] * 4)
    assert connection.divided() and not connection.doubtful() and connection.unsettled()
    kin = np.stack([np.flatnonzero(data.y == kind)[:6] for kind in data.y])  # what views have learned: kinds
    model.eval()
    with torch.no_grad():
        logs = connection.judge((kin, np.ones(kin.shape, np.float32)))
    assert len(logs["judged"]) == 8 and model.scratch["votes"].argmax(1).equal(y)
    assert model.scratch["votes"].max(1).values.min() == 1 and "seen_neighbours" not in model.scratch
    for sure in ([y] * 8, [y, y, wrong]):  # of one mind, or so few that all would be heard
        model.scratch["voters"] = torch.stack(sure)
        assert not connection.unsettled()


def test_masses_are_met_only_where_they_are_known_in_doubt_and_without_labels(trained):
    data, model = trained
    few = Dataset(data.x, np.where(np.arange(len(data)) % 25 == 0, data.y, -1), data.class_names, "few")
    shares = torch.tensor([0.5, 0.5])
    unlabelled, labelled = (Connection(model, Pool.of(each)) for each in (data.unlabelled(), few))
    assert unlabelled.target(shares).tolist() == pytest.approx(MASSES) and labelled.target(shares) is None
    sure = made()
    assert Connection(sure, Pool.of(data.unlabelled())).target(shares) is None


@pytest.mark.parametrize("limit", ["below", "judged"])
@pytest.mark.parametrize("at", [3, 6, 7, 11])
def test_a_training_that_stopped_before_in_or_after_it_ends_the_same(tmp_path, at, limit):
    limits = {"contrast.below": 0.0, "contrast.judged": 0.0, f"contrast.{limit}": 1.5}
    short = {"connect.steps": 6, "contrast.steps": 4, "connect.refine_steps": 3, "connect.partitions": 4, **limits}
    data, whole, broken, resumed = data_of(80), made(**short), made(**short), made(**short)
    train(whole, Pool.of(data.unlabelled()), seed=0)

    def fail(moment, model):
        if moment.step == at:
            raise RuntimeError("the machine went down")

    with pytest.raises(RuntimeError, match="went down"):
        train(
            broken,
            Pool.of(data.unlabelled()),
            seed=0,
            folder=tmp_path,
            checkpoint_every=1,
            hooks=[Hook(1, fail)],
        )
    train(resumed, Pool.of(data.unlabelled()), seed=0, folder=tmp_path, resume=True)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0, equal_nan=True, msg=name)


def test_what_they_need():
    with pytest.raises(ConfigError, match=r"contrast\.steps needs images"):
        made((5,))
    with pytest.raises(ConfigError, match=r"learns h from views alone, without connect\.steps"):
        made(**{"network.inverter_style": "pooled"})
    assert made(**{"connect.steps": 0, "connect.refine_steps": 0}).viewer is None
    assert made(**{"contrast.steps": 0}).viewer is None and made(**{"gan.train_inverter": True}).viewer is not None


def test_known_masses_are_met_where_merges_disagree(trained):
    """Of 500 samples, which are .7 and .3, as many as are said to be: h's borders are in doubt."""
    data, _ = trained
    model = made()
    model.known = np.array([0.6, 0.4])
    train(model, Pool.of(data.unlabelled()), seed=0)
    found = np.bincount(predict(model, data.x).argmax(1), minlength=2) / len(data)
    assert found == pytest.approx([0.6, 0.4], abs=0.01)


def test_many_kinds_of_grey_images_have_them_and_few_images_do_not():
    many = catalog.entry("nemgan").defaults("connected", (1, 28, 28), 10)
    assert many["contrast.steps"] > 0
    assert catalog.entry("nemgan").defaults("connected", (1, 28, 28), 2).get("contrast.steps", 0) == 0
    assert catalog.restarted(many, (1, 28, 28), 500)["contrast.steps"] == 0
    assert catalog.restarted(many, (1, 28, 28), 5000) == many
