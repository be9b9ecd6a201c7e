"""The contrastive inverter on stripes, lying or standing, anywhere: pixels mislead, features do not."""

import copy

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
from nemgan.models.contrast import Contrast
from nemgan.seeding import torch_generator
from nemgan.training.loop import train

SHAPE, MASSES = (3, 16, 16), np.array([0.7, 0.3])
SETTINGS = {
    "contrast.steps": 120,
    "contrast.batch": 64,
    "contrast.fit_steps": 150,
    "connect.partitions": 3,
    "connect.micro_modes": 12,
    "network.inverter_width": 8,
    "latent.dim": 16,
    "gan.steps": 3,
    "gan.batch": 16,
}


def data_of(n: int = 500) -> Dataset:
    rng, y, mask = stripes(n, 1.2, 2.2)
    x = np.where(mask, 200, 50) + rng.uniform(-20, 20, (n, 3, 1, 1))
    return Dataset(x.astype(np.uint8), y, ("lying", "standing"), "stripes")


def made(prior: np.ndarray | None = MASSES, **more: object):
    defaults = catalog.entry("nemgan").defaults("connected", SHAPE)
    return catalog.create("nemgan", build({**SETTINGS, **more}, defaults), SHAPE, 2, prior, 0)


@pytest.fixture(scope="module")
def trained():
    data, model = data_of(), made()
    train(model, Pool.of(data.unlabelled()), seed=0)
    return data, model


def test_clusters_are_the_stripes_directions_and_have_their_masses(trained):
    data, model = trained
    found = predict(model, data.x).argmax(1)
    assert scores(data.y, found).acc > 0.9
    assert np.bincount(found, minlength=2) / len(found) == pytest.approx(MASSES, abs=0.02)
    assert model.masses().numpy() == pytest.approx(MASSES, abs=1e-4)
    assert 0.5 < float(model.agreement) <= 1 and set(model.scratch) == {"own_neighbours", "own_weights", "votes"}


def test_each_cluster_has_its_share_of_the_modes(trained):
    _, model = trained
    assert torch.bincount(model.groups).tolist() == [9, 3] or torch.bincount(model.groups).tolist() == [8, 4]
    x, cluster = model.sample(20, torch.Generator().manual_seed(0), cluster=1)
    assert x.shape == (20, *SHAPE) and (cluster == 1).all()


def test_features_are_centred_directions(trained):
    data, model = trained
    with torch.no_grad():
        features = model.features(model.encode(torch.from_numpy(data.x)))
    assert features.norm(dim=1).numpy() == pytest.approx(features.shape[1] ** 0.5, rel=1e-4)


def test_labels_that_are_known_are_kept(trained):
    data, _ = trained
    model = made(prior=None)
    shown = np.where(np.arange(len(data)) % 25 == 0, 1 - data.y, -1)  # named the other way round
    train(model, Pool.of(Dataset(data.x, shown, data.class_names, "few")), seed=0)
    assert (predict(model, data.x).argmax(1) == 1 - data.y).mean() > 0.85


@pytest.mark.parametrize("labels", [(35, 15), (25, 25)])
def test_labels_decide_where_votes_do_not(labels):
    """Whether they were drawn at random or picked by class; where all votes agree they count for more."""
    rng, y = np.random.default_rng(0), np.arange(200) >= 140
    shown = np.full(200, -1)
    shown[np.concatenate([np.arange(labels[0]), 199 - np.arange(labels[1])])] = [0] * labels[0] + [1] * labels[1]
    data = data_of(200)
    model = made(prior=None)
    contrast = Contrast(model, Pool.of(Dataset(data.x, shown, data.class_names, "few")))
    model.scratch["features"] = torch.from_numpy(rng.normal(size=(200, 64)) + 1.5 * y[:, None]).float()
    votes = torch.from_numpy(np.eye(2)[y.astype(int)]).float()
    votes[100:180] = torch.tensor([0.51, 0.49])  # of both kinds
    heard = contrast._labels_heard(votes.clone())
    assert heard.sum(1).numpy() == pytest.approx(np.ones(200), abs=1e-5)
    assert (heard.argmax(1).numpy() == y).mean() > 0.97 and (votes.argmax(1).numpy() == y).mean() == 0.8
    votes = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(100, 1)
    votes[shown >= 0] = torch.from_numpy(np.eye(2)[shown[shown >= 0]]).float()
    assert (contrast._labels_heard(votes).argmax(1) == votes.argmax(1)).float().mean() > 0.8


def test_what_labels_say_leaves_the_masses_alone():
    """Votes that are right on average and not sure, features that tell nothing: the rare class stays as rare."""
    rng, n = np.random.default_rng(0), 1000
    shown = np.full(n, -1)
    shown[:80] = np.arange(80) >= 72
    data = data_of(n)
    model = made(prior=None)
    contrast = Contrast(model, Pool.of(Dataset(data.x, shown, data.class_names, "few")))
    model.scratch["features"] = torch.from_numpy(rng.normal(size=(n, 32))).float()
    heard = contrast._labels_heard(torch.tensor([0.9, 0.1]).repeat(n, 1))
    assert float(heard[80:, 1].mean()) == pytest.approx(0.1, abs=0.03)


def test_masses_are_those_that_votes_decide_on_however_doubtful_they_are():
    """The votes' mean is .45, .55, their decisions are .8, .2."""
    data = data_of(300)
    model = made(None, **{"contrast.steps": 5})
    train(model, Pool.of(data.unlabelled()), seed=0)
    connection = Contrast(model, Pool.of(data.unlabelled()))
    votes = torch.tensor([[0.55, 0.45], [0.05, 0.95]])[(torch.arange(300) % 5 == 0).long()]
    features = connection.over_pool(model.inverter.features)
    model.scratch.update(votes=votes, features=features, modes=torch.zeros(300))
    model.eval()
    with torch.no_grad():
        connection.settle(torch_generator(0, "t"))
    found = predict(model, data.x).argmax(1)
    assert np.bincount(found, minlength=2) / 300 == pytest.approx([0.8, 0.2], abs=0.03)


def test_sure_votes_stay_sure_of_many_clusters():
    m, data = 12, data_of(240)
    shown = np.where(np.arange(240) < 24, np.arange(240) % m, -1)
    model = catalog.create(
        "nemgan", build(SETTINGS, catalog.entry("nemgan").defaults("connected", SHAPE)), SHAPE, m, None, 0
    )
    contrast = Contrast(model, Pool.of(Dataset(data.x, shown, tuple(map(str, range(m))), "few")))
    model.scratch["features"] = torch.from_numpy(np.random.default_rng(0).normal(size=(240, 32))).float()
    heard = contrast._labels_heard(torch.eye(m).repeat(20, 1))
    assert float(heard.max(1).values.mean()) == pytest.approx(0.95, abs=0.02)


def test_a_cluster_without_labels_is_found_all_the_same():
    data = data_of()
    shown = np.where((np.arange(len(data)) % 25 == 0) & (data.y == 0), 0, -1)
    model = made(prior=None)
    train(model, Pool.of(Dataset(data.x, shown, data.class_names, "few")), seed=0)
    assert scores(data.y, predict(model, data.x).argmax(1)).acc > 0.85


def test_a_pooled_inverter_is_told_the_views_apart():
    with pytest.raises(ConfigError, match=r"network\.inverter_style=pooled"):  # nor has it any other neighbours
        made(**{"network.inverter_style": "same"})
    with pytest.raises(ConfigError, match=r"gan\.train_inverter needs neighbours in pixels"):
        made(**{"gan.train_inverter": True})
    model = made()
    assert isinstance(model.projector, torch.nn.Module)
    assert [stage.name for stage in Contrast(model, Pool.of(data_of(40))).stages()] == ["contrast", "fit"]


def swapped(model, data, shown):
    """Share of the samples for which the second look says the opposite of h, once it has learned with labels shown."""
    model = copy.deepcopy(model)
    connection = Contrast(model, Pool.of(Dataset(data.x, shown, data.class_names, "few")))
    model.second.learned = False
    model.eval()
    first = predict(model, data.x).argmax(1)
    assert connection.look_again(torch_generator(0, "t"))
    with torch.no_grad():
        said = model.second(torch.from_numpy(data.x).float() / 255).argmax(1).numpy()
    return (said != first).mean()


def test_a_second_look_learns_from_labels_of_every_cluster_else_from_h(trained):
    data, model = trained
    assert model.second.learned
    none = np.full(len(data), -1)
    other, one = none.copy(), none.copy()
    other[::10] = 1 - data.y[::10]  # those who label call the kinds the other way round
    one[-20:] = 0  # of one cluster alone
    assert swapped(model, data, other) > 0.8
    assert swapped(model, data, none) < 0.2 and swapped(model, data, one) < 0.2


@pytest.mark.parametrize("told", [False, True])
def test_a_second_lesson_weighs_what_was_said_with_masses(told, trained, monkeypatch):
    data, model = trained
    model = copy.deepcopy(model)
    shown = np.where(told & (np.arange(len(data)) % 10 == 0), data.y, -1)
    heard = []

    class Said:
        """Lessons that lean to the rare cluster by half a nat, and of the first sample by four."""

        def __init__(self, *_):
            pass

        def learn(self, clusters, strength, weights):
            heard.append(clusters)
            return np.stack([np.zeros(len(clusters)), np.where(np.arange(len(clusters)) == 0, 4.0, 0.5)], 1)

    monkeypatch.setattr("nemgan.models.settling.Lessons", Said)
    model.second.learned = False
    model.eval()
    Connection(model, Pool.of(Dataset(data.x, shown, data.class_names, "few"))).look_again(torch_generator(0, "t"))
    _, second = heard
    if told:  # with h's own logits, by which most stay what they are
        assert 0.2 < second.mean() < 0.4
    else:  # with the log ratio of .7 and .3, which is .85
        assert second.tolist() == [1] + [0] * (len(second) - 1)


@pytest.mark.parametrize(
    ("kind", "masses", "labels", "times"),
    [
        (Contrast, MASSES, False, 2),
        (Contrast, None, False, 2),
        (Contrast, None, True, 1),  # labels of every cluster may know better than what was voted
        (Connection, MASSES, False, 1),  # borders of grey images stay where samples are few
        (Connection, None, False, 0),
    ],
)
def test_whether_masses_are_met_again_after_the_second_look(kind, masses, labels, times, trained, monkeypatch):
    data, model = trained
    model = copy.deepcopy(model)
    model.known, model.scratch["seen_neighbours"] = masses, model.scratch["own_neighbours"]
    model.scratch["votes"] = torch.eye(2)[torch.from_numpy(data.y)]
    shown = np.where(labels & (np.arange(len(data)) % 10 == 0), data.y, -1)
    met = []
    monkeypatch.setattr(kind, "meet", lambda *_: met.append(1))
    monkeypatch.setattr(kind, "look_again", lambda *_: True)
    if kind is Contrast:
        model.scratch |= {"features": torch.zeros(1), "modes": torch.zeros(1)}
    model.eval()
    with torch.no_grad():
        kind(model, Pool.of(Dataset(data.x, shown, data.class_names, "few"))).settle(torch_generator(0, "t"))
    assert len(met) == times


def test_clusters_of_unknown_masses_are_numbered_from_the_largest_after_all(trained, monkeypatch):
    data, model = trained
    model = copy.deepcopy(model)
    model.known, model.scratch["votes"] = None, torch.eye(2)[torch.from_numpy(data.y)]  # the first is the larger
    model.scratch |= {"features": torch.zeros(1), "modes": torch.zeros(1)}
    second = model.groups == 1
    with torch.no_grad():
        model.inverter.mode.bias[second] += 50  # but in the end nearly all are of the second
    monkeypatch.setattr(Contrast, "meet", lambda *_: None)
    monkeypatch.setattr(Contrast, "look_again", lambda *_: False)
    model.eval()
    with torch.no_grad():
        logs = Contrast(model, Pool.of(data.unlabelled())).settle(torch_generator(0, "t"))
    assert model.masses()[0] > 0.9 and logs["masses"] == model.masses().tolist()
    assert (model.groups == 0).equal(second) and (predict(model, data.x).argmax(1) == 0).mean() > 0.9
    assert model.scratch["votes"].argmax(1).equal(torch.from_numpy(1 - data.y))


def test_h_alone_is_what_is_trained(trained):
    _, model = trained
    x = torch.rand(4, *model.shape)
    own, decided = model.inverter.logits(x), model.logits(x)
    assert torch.equal(model.inverter(x)[1], own) and not torch.allclose(own, decided)
    within = [part.log_softmax(1) for part in (own[:, model.groups == 0], decided[:, model.groups == 0])]
    assert torch.allclose(*within, atol=1e-4)  # modes of one cluster are h's to tell apart
    said = model.merged_logits(own) + model.second(x)
    assert torch.allclose(model.posterior(x), said.softmax(1), atol=1e-4)


def test_a_resumed_training_has_the_second_look_that_was_learned_before(tmp_path):
    data, short = data_of(200), {"contrast.steps": 5, "contrast.fit_steps": 5}
    pool = Pool.of(data.unlabelled())
    whole, resumed = made(**short), made(**short)
    train(whole, pool, seed=0, folder=tmp_path)
    assert not resumed.second.learned
    train(resumed, pool, seed=0, folder=tmp_path, resume=True)
    assert resumed.second.learned
    assert np.array_equal(predict(whole, data.x), predict(resumed, data.x))
