from __future__ import annotations

import numpy as np
import pytest
import torch
from blobs import blobs, make
from torch.nn import functional as F

from nemgan.data.dataset import Dataset
from nemgan.data.pool import Pool
from nemgan.models.connected import Connection
from nemgan.models.generating import Adversary
from nemgan.models.shown import Shown
from nemgan.seeding import torch_generator
from nemgan.training.loop import train


def test_the_critic_is_shown_changed_copies_under_their_own_modes():
    x = np.random.default_rng(0).integers(0, 255, (40, 1, 16, 16), dtype=np.uint8)
    pool = Pool.of(Dataset(x, np.full(40, -1), ("a", "b"), "noise"))
    seen = {}
    for strength in (0.0, 1.0):
        model = make({"gan.augment": strength, "gan.batch": 16}, (1, 16, 16), 2)
        adversary = Adversary(model, pool, None)
        adversary._shown = Shown(torch.arange(40) % model.n_modes, torch.ones(40), 0, torch.ones(model.n_modes))
        adversary.frozen = True
        seen[strength] = adversary.real(torch_generator(0, "real"))
    (plain, plain_modes), (changed, changed_modes) = seen[0.0], seen[1.0]
    assert torch.equal(plain_modes, changed_modes) and plain.shape == changed.shape
    assert all((a != b).float().mean() > 0.5 for a, b in zip(plain, changed, strict=True))
    assert any(torch.equal(plain[0], model.encode(row)) for row in pool.x)
    assert not adversary.augment.flip  # of noise a mirror image lies among the others, of its class it may not


def test_modes_are_shown_by_chance_and_their_samples_evenly_but_for_the_doubtful_ones():
    modes = torch.tensor([0] * 6 + [1] * 4 + [3] * 5)
    margins = torch.tensor([1, 0.4, 0.9, 0.5, 0.6, 1] + [0.1, 0.2, 0.0, 0.3] + [1.0] * 5)
    shown = Shown(modes, margins, 0.5, torch.tensor([0.2, 0.5, 0.2, 0.3]))
    assert sorted(shown.positions.tolist()) == [0, 2, 3, 4, 5, 7, 9, 10, 11, 12, 13, 14]  # of mode 1 the surer half
    drawn = shown.draw(20_000, torch_generator(0, "shown"))
    counts = torch.bincount(drawn, minlength=15) / 20_000
    of_modes = torch.bincount(modes[drawn], minlength=4) / 20_000
    assert of_modes.tolist() == pytest.approx([0.2, 0.5, 0, 0.3], abs=0.02)  # none is drawn of a mode without samples
    assert counts[7].item() == pytest.approx(0.25, abs=0.02) and counts[10].item() == pytest.approx(0.06, abs=0.01)
    assert torch.equal(shown.draw(3, torch_generator(0, "a")), shown.draw(3, torch_generator(0, "a")))


@pytest.mark.parametrize(("even", "rare"), [(0.0, 0.1), (0.5, 0.05 + 0.5 / 3), (1.0, 1 / 3)])
def test_rare_clusters_are_drawn_as_often_as_asked(trained, even, rare):
    model = make({"gan.even": even, "gan.batch": 3000})
    model.eval().load_state_dict(trained[0].state_dict())
    pool, rng = Pool.of(blobs()[0]), torch_generator(0, "even")
    adversary, cluster = Adversary(model, pool, Connection(model, pool)), int(model.masses().argmin())
    real, mode = adversary.real(rng)
    assert (model.posterior(real).argmax(1) == model.groups[mode.argmax(1)]).float().mean() > 0.99
    for shown in (mode.argmax(1), adversary.fake(rng)[2]):
        assert (model.groups[shown] == cluster).float().mean().item() == pytest.approx(rare, abs=0.03)


def test_labelled_samples_are_shown_under_their_own_cluster(trained):
    model, pool = trained[0], Pool.of(blobs()[0])
    wrong = Pool(pool.x, torch.tensor([0, 1]), torch.full((2,), int(model.masses().argmin())))
    shown = Adversary(model, wrong, Connection(model, wrong))._look(Connection(model, wrong))
    assert (model.groups[shown.modes[:2]] == model.masses().argmin()).all()
    assert set(range(2)) <= set(shown.positions.tolist())


def test_labelled_samples_are_shown_however_doubtful(trained, monkeypatch):
    model, pool = trained[0], Pool.of(blobs()[0])
    modes = torch.zeros(len(pool), dtype=torch.int64)
    last = torch.arange(len(pool) - 2, len(pool))  # of equals the first are shown
    labelled = Pool(pool.x, last, model.groups[0].repeat(2))
    connection = Connection(model, labelled)
    monkeypatch.setattr(connection, "asked", lambda _: (torch.full((len(pool), 3), 1 / 3), modes.clone()))
    model.inverter.eval()
    adversary = Adversary(model, labelled, connection)
    adversary.gan = adversary.gan.model_copy(update={"margin": 0.5})
    assert set(last.tolist()) <= set(adversary._look(connection).positions.tolist())


def test_modes_are_drawn_in_the_shares_that_the_critic_is_shown():
    """Labelled samples that h would put elsewhere: their own cluster's modes have them, in prior and critic alike."""
    data, y = blobs()
    at = torch.arange(len(y))
    foreign = (y == 0) & (np.arange(len(y)) % 3 == 0)  # a third of blob 0 is of class 1
    labels = torch.from_numpy(np.where(foreign, 1, y))
    model = make({})
    pool = Pool(torch.from_numpy(data.x), at, labels)
    train(model, pool, seed=0)
    modes = Adversary(model, pool, Connection(model, pool))._look(Connection(model, pool)).modes
    shares = torch.bincount(modes, minlength=model.n_modes) / len(pool)
    in_cluster = lambda p, k: torch.where(model.groups == k, p, 0) / p[model.groups == k].sum()  # noqa: E731
    for k in range(3):
        torch.testing.assert_close(in_cluster(model.prior.masses(), k), in_cluster(shares, k), atol=1e-3, rtol=0)


def test_h_that_went_on_learning_has_its_own_masses():
    data, _ = blobs()
    model = make({"gan.train_inverter": True, "gan.joint": False, "gan.steps": 40})
    pool = Pool.of(data)
    train(model, pool, seed=0)
    found = model.posterior(model.encode(pool.x)).mean(0)
    torch.testing.assert_close(model.masses(), found, atol=1e-4, rtol=0)


def test_numbers_are_as_frequent_as_in_the_real_ones_of_the_cluster_if_asked(monkeypatch):
    data, _ = blobs(n=600)
    far = {}
    for asked in (False, True):
        model, pool = make({"gan.marginals": asked}), Pool.of(data)
        train(model, pool, seed=0)
        x, at = model.encode(pool.x), torch.tensor([0.1, 0.5, 0.9])
        found = model.posterior(x).argmax(1)
        quantiles = [
            (model.once(1000, torch_generator(0, "draw"), k)[0].quantile(at, 0), x[found == k].quantile(at, 0))
            for k in range(3)
        ]
        far[asked] = max(float((made - real).abs().max()) for made, real in quantiles)
    assert far[True] < 0.05 < far[False]  # of 30 steps
    whole = model.once(1000, torch_generator(0, "draw"), 0)[0]
    monkeypatch.setattr("nemgan.models.nemgan.PART", 100)  # of wide vectors a few at a time
    assert torch.equal(model.once(1000, torch_generator(0, "draw"), 0)[0], whole)


def test_a_cluster_of_a_few_samples_keeps_what_is_generated(trained):
    model = make({"gan.marginals": True})
    model.eval().load_state_dict(trained[0].state_dict(), strict=False)
    data, y = blobs()
    few = Pool.of(data.take(np.flatnonzero(y != 2).tolist() + np.flatnonzero(y == 2)[:10].tolist()))
    connection = Connection(model, few)
    Adversary(model, few, connection).fit_marginals(torch_generator(0, "marginals"))
    moved = model.marginals[1].abs().amax((1, 2)) > 0
    rare = int(torch.bincount(model.groups[connection.asked(few)[1]], minlength=3).argmin())
    assert moved.sum() == 2 and not moved[rare]


def test_a_cluster_without_samples_is_not_generated(trained):
    model = make({"gan.even": 1.0, "gan.batch": 500})
    model.eval().load_state_dict(trained[0].state_dict())
    adversary = Adversary(model, Pool.of(blobs()[0]), None)
    adversary.frozen, full = True, model.groups != 2
    modes = full.nonzero().flatten()
    adversary._shown = Shown(modes, torch.ones(len(modes)), 0, torch.ones(model.n_modes))
    drawn = adversary.points(torch_generator(0, "points"))[1]
    assert full[drawn].all() and adversary._shown.of_clusters(model.groups).bool().tolist() == full.tolist()


def test_a_resumed_stage_draws_as_an_uninterrupted_one(trained):
    data, y = blobs()
    pool = Pool.of(data.take(y != 2))  # of one cluster there is no sample
    model = make({"gan.even": 1.0, "gan.batch": 500})
    model.eval().load_state_dict(trained[0].state_dict())
    new, seen = (Adversary(model, pool, Connection(model, pool)) for _ in range(2))
    seen.real(torch_generator(0, "real"))
    drawn = [each.points(torch_generator(0, "points"))[1] for each in (new, seen)]
    assert torch.equal(*drawn) and len(model.groups[drawn[0]].unique()) == 2


def test_what_strays_from_its_cluster_is_drawn_again_under_the_same_mode(monkeypatch):
    model = make({"gan.redraws": 3}).eval()
    once, clusters = model.once(200, torch_generator(0, "draw"))
    asked = []

    def posterior(x):
        """The last 50 go astray, and are back when they are drawn again."""
        asked.append(len(x))
        of = clusters[-len(x) :].clone()
        if len(x) == 200:
            of[150:] = (of[150:] + 1) % 3
        return F.one_hot(of, 3).float()

    monkeypatch.setattr(model, "posterior", posterior)
    seen = []
    monkeypatch.setattr(model.latent, "at", lambda y, rng, at=model.latent.at: seen.append(y.argmax(1)) or at(y, rng))
    again, same = model.sample(200, torch_generator(0, "draw"))
    assert asked == [200, 50] and torch.equal(clusters, same) and torch.equal(once[:150], again[:150])
    assert (once[150:] != again[150:]).all() and torch.equal(seen[0][150:], seen[1])


@pytest.mark.parametrize(("settings", "asked"), [({}, 0), ({"gan.redraws": 3}, 3)])
@pytest.mark.parametrize("inverted", [True, False])
def test_no_sample_is_drawn_again_more_often_than_asked(monkeypatch, settings, asked, inverted):
    model = make(settings | {"conditions.C2": inverted}).eval()
    calls = []

    def never(x):
        calls.append(len(x))
        return F.one_hot(torch.full((len(x),), 2), 3).float()

    monkeypatch.setattr(model, "posterior", never)
    x, clusters = model.sample(40, torch_generator(0, "never"), cluster=1)
    assert len(x) == 40 and (clusters == 1).all() and calls == [40] * asked * inverted
