"""NEMGAN as a whole, on small made data: what it promises, not how."""

from itertools import islice, product

import numpy as np
import pytest
import torch
from blobs import MASSES, blobs, make

from nemgan.data.dataset import Dataset
from nemgan.data.pool import Pool
from nemgan.errors import ConfigError
from nemgan.experiments.config import build, flat
from nemgan.models import catalog
from nemgan.models.connected import Connection
from nemgan.models.nemgan import NEMGAN
from nemgan.seeding import torch_generator
from nemgan.training.loop import Hook, train

GAN = {"connect.steps": 0, "connect.refine_steps": 0, "gan.steps": 5, "gan.joint": False}


@pytest.mark.parametrize("shape", [(5,), (1, 8, 8), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("n_clusters", [2, 10, 21, 60])
def test_there_are_micro_modes_to_merge_however_many_clusters(shape: tuple[int, ...], n_clusters: int) -> None:
    for preset in ("connected", "thorough"):
        defaults = catalog.entry("nemgan").defaults(preset, shape, n_clusters)
        assert catalog.create("nemgan", build(defaults), shape, n_clusters, None, 0).n_modes >= 2 * n_clusters


def table(model: NEMGAN, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of each class (rows) in each cluster (columns)."""
    with torch.no_grad():
        found = model.posterior(model.encode(torch.from_numpy(x))).argmax(1).numpy()
    return np.array([[np.mean((y == i) & (found == j)) for j in range(model.n_clusters)] for i in range(y.max() + 1)])


def test_clusters_and_masses_are_found_without_labels(trained):
    model, x, y = trained
    assert table(model, x, y).max(1).sum() > 0.99
    assert np.sort(model.masses().numpy())[::-1] == pytest.approx(MASSES, abs=0.02)
    assert model.masses().sum() == pytest.approx(1) and model.confidence > 0.8


def test_posteriors_are_distributions_and_latents_have_their_shape(trained):
    model, x, _ = trained
    inputs = model.encode(torch.from_numpy(x[:7]))
    p = model.posterior(inputs)
    assert p.shape == (7, 3) and torch.allclose(p.sum(1), torch.ones(7), atol=1e-5) and (p >= 0).all()
    assert model.invert(inputs).shape == (7, 20)


def test_sampling_follows_the_prior_or_the_cluster_asked_for(trained):
    model, _, _ = trained
    with torch.no_grad():
        x, clusters = model.sample(4000, torch_generator(0, "t"))
        assert x.shape == (4000, 2)
        shares = torch.bincount(clusters, minlength=3) / 4000
        assert torch.allclose(shares, model.masses(), atol=0.03)
        for k in range(3):
            assert (model.sample(50, torch_generator(0, "t"), k)[1] == k).all()
        again = model.sample(4000, torch_generator(0, "t"))[0]
    assert torch.equal(x, again)


def test_micro_modes_have_the_masses_of_the_samples_they_are_likeliest_for(trained):
    """Else the critic of pairs is never shown a mode that the generator is asked for."""
    model, x, _ = trained
    with torch.no_grad():
        modes = model.inverter.logits(model.encode(torch.from_numpy(x))).argmax(1)
        found = torch.bincount(modes, minlength=model.n_modes) / len(x)
        assert torch.allclose(model.prior.masses(), found, atol=0.02)


def test_generated_points_lie_in_their_clusters():
    data, _ = blobs()
    preset = catalog.entry("nemgan").defaults("connected", (2,), 3)
    model = make({**preset, "gan.steps": 500, "connect.restarts": 1})
    train(model, Pool.of(data), seed=0)
    with torch.no_grad():
        made, cluster = model.sample(1000, torch_generator(0, "t"))
        found = model.posterior(made).argmax(1)
    centres = torch.tensor([[0.0, 0], [6, 0], [0, 6]])
    assert (found == cluster).float().mean() > 0.99
    assert (torch.cdist(model.decode(made), centres).amin(1) < 4 * 0.4).float().mean() > 0.95


def test_restarts_keep_the_cheapest_and_doubt_it_where_another_is_nearly_as_cheap(monkeypatch):
    """Three merges of 100 images: the second costs least, the third hardly more and puts ten samples elsewhere."""
    x = np.random.default_rng(0).integers(0, 255, (100, 1, 16, 16), dtype=np.uint8)
    pool = Pool.of(Dataset(x, np.full(100, -1), ("a", "b"), "noise"))
    model = make({"connect.restarts": 3, "connect.metric": "cosine"}, (1, 16, 16), 2)
    connection = Connection(model, pool)
    connection.look(torch_generator(0, "t"))
    half = torch.arange(100) < 50
    answers = [(half, 0.9), (half, 0.2), (~half ^ (torch.arange(100) >= 90), 0.24)]

    def merge(rng):
        clusters, cost = answers.pop(0)
        model.scratch["votes"] = torch.stack([clusters, ~clusters], 1).float()
        model.agreement.fill_(1.0)
        model.groups.fill_(0)[: 3 - len(answers)] = 1
        torch.nn.init.constant_(model.inverter.mode.bias, 3 - len(answers))
        return {"cost": cost}

    monkeypatch.setattr(connection, "merge", merge)
    for run in range(3):
        logs = connection.finish(run, torch_generator(0, "t"))
    assert logs["best"] == pytest.approx(0.2) and logs["agreement"] == pytest.approx(0.9)
    assert torch.equal(model.scratch["votes"][:, 0].bool(), half)
    assert model.groups.sum() == 2 and (model.inverter.mode.bias == 2).all()  # h and clusters are the second's too
    assert not [key for key in model.scratch if "/" in key]


@pytest.mark.parametrize(
    ("asked", "masses", "n", "found"),
    [
        *[(10, None, 200, 10), (10, None, 50, 5), (10, None, 8, 2), (1, None, 8, 1), (10, None, 2, 1)],
        *[(10, [0.995, 0.005], 600, 2), (10, [0.9, 0.1], 600, 10), (1, [0.9, 0.1], 600, 1), (3, [0.5, 0.5], 600, 3)],
    ],
)
def test_no_more_neighbours_than_asked_for_and_than_a_small_cluster_has(asked, masses, n, found):
    model = make({"connect.neighbours": asked}, n_clusters=2, prior=None if masses is None else np.array(masses))
    assert Connection(model, Pool.of(blobs()[0])).neighbours(n) == found


def test_known_masses_name_the_clusters():
    data, y = blobs()
    model = make({}, prior=MASSES[[2, 0, 1]])
    train(model, Pool.of(data), seed=0)
    assert table(model, data.x, y).argmax(1).tolist() == [1, 2, 0]
    assert model.masses().numpy() == pytest.approx(MASSES[[2, 0, 1]], abs=1e-3)


def test_of_known_masses_the_larger_cluster_has_the_larger_unless_labels_say_whose_they_are(trained):
    model = make({}, prior=np.array([0.3, 0.1, 0.6]))
    model.load_state_dict(trained[0].state_dict())
    sizes, first = torch.tensor([100, 700, 200]), model.groups.clone()
    for labelled, order in (([0], [0, 1, 2]), ([], [2, 0, 1])):
        pool = Pool.of(blobs()[0])
        pool = Pool(pool.x, torch.tensor(labelled, dtype=torch.long), torch.zeros(len(labelled), dtype=torch.long))
        model.scratch["votes"] = torch.eye(3)
        assert Connection(model, pool).name_by_size(sizes).tolist() == order
        assert model.scratch["votes"].tolist() == torch.eye(3)[:, order].tolist()
        assert (torch.tensor(order)[model.groups] == first).all()


def test_two_trainings_of_one_seed_are_equal_and_of_another_are_not():
    data, _ = blobs(300)
    states = []
    for seed in (0, 0, 1):
        model = make(
            {"connect.partitions": 2, "gan.steps": 5, "connect.steps": 12, "connect.refine_steps": 4}, seed=seed
        )
        train(model, Pool.of(data), seed=seed)
        states.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


SHORTER = {
    "connect.partitions": 2,
    "connect.steps": 60,
    "connect.refresh": 20,
    "connect.refine_steps": 30,
    "gan.steps": 30,
}


@pytest.fixture(scope="module")
def uninterrupted() -> NEMGAN:
    model = make(SHORTER)
    train(model, Pool.of(blobs(300)[0]), seed=0)
    return model


@pytest.mark.parametrize("stop", [3, 25, 60, 95, 110])
def test_resumed_anywhere_equals_uninterrupted(tmp_path, stop, uninterrupted):
    """Also after the neighbours were looked up anew in features that no longer exist."""
    data, _ = blobs(300)

    class Crash(Exception):
        pass

    def crash(moment, model):
        if moment.step == stop:
            raise Crash

    cut, rest = make(SHORTER), make(SHORTER)
    with pytest.raises(Crash):
        train(cut, Pool.of(data), seed=0, folder=tmp_path, checkpoint_every=7, hooks=[Hook(1, crash)])
    train(rest, Pool.of(data), seed=0, folder=tmp_path, checkpoint_every=7, resume=True)
    for (name, a), b in zip(uninterrupted.state_dict().items(), rest.state_dict().values(), strict=True):
        assert torch.equal(a, b) or (a.isnan().all() and b.isnan().all()), name


@pytest.mark.parametrize(
    ("shape", "usual"),
    [
        ((2,), {}),
        ((1, 16, 16), {"contrast.steps": 5, "contrast.below": 1.0, "connect.steps": 20}),
        ((3, 16, 16), {"network.inverter_style": "pooled", "contrast.steps": 5, "connect.steps": 0}),
    ],
    ids=["vectors", "two networks", "pooled"],
)
def test_clusters_do_not_depend_on_what_generates_from_them(shape, usual):
    data = Dataset(np.random.default_rng(0).integers(0, 255, (60, *shape)).astype(np.uint8), np.full(60, -1), (), "any")
    found = []
    for words in ({"latent.dim": 20}, {"latent.dim": 90, "network.width": 8, "gan.inversion_of": "clusters"}):
        model = make({"gan.steps": 0, "contrast.fit_steps": 5, **usual, **words}, shape)
        log = train(model, Pool.of(data), seed=0)
        assert ("contrast" in {row["stage"] for row in log.rows if row["kind"] == "train"}) == bool(usual)
        with torch.no_grad():
            found.append(model.posterior(model.encode(torch.from_numpy(data.x))))
    assert torch.equal(*found)


def test_few_labels_name_the_clusters():
    data, y = blobs(labelled=30)
    model = make({})
    train(model, Pool.of(data), seed=0)
    assert np.trace(table(model, data.x, y)) > 0.99


@pytest.mark.parametrize("loss", ["wgan-gp", "hinge", "logistic"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2,)], ids=str)
def test_the_paper_s_own_model_trains_with_every_loss(loss, shape):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (40, *shape)).astype(np.uint8 if len(shape) == 3 else np.float32)
    data = Dataset(x, np.full(40, -1), ("a", "b"), "noise")
    model = make(GAN | {"gan.loss": loss}, shape, 2, np.array([0.7, 0.3]))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, Pool.of(data), seed=0)
    changed = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"inverter", "critic", "generator", "generator_ema"}
    assert model.masses().numpy() == pytest.approx([0.7, 0.3], abs=1e-4)


def test_labels_that_h_is_quite_wrong_about_still_teach_it():
    data, _ = blobs(labelled=30)
    model = make({"gan.steps": 0, "connect.micro_modes": 6, "connect.balance": 0.0, "connect.micro_weight": 0.0})
    model.stages(pool := Pool.of(data))
    with torch.no_grad():
        model.inverter.mode.bias.copy_(torch.where(model.groups == 0, 60.0, -60.0))
    connection, rng = Connection(model, pool), torch_generator(0, "labels")
    connection.look(rng)
    model.scratch["votes"] = torch.full((len(data.x), 2), 0.5)
    found = connection.refine_loss(rng)
    assert found.logs["supervised"] > 10  # by a probability of 1e-52; held to be 1e-8, it would be 3
    assert found.logs["disagreement"] < 1e-6  # so that the gradient is that of the labels
    found.loss.backward()
    assert model.inverter.mode.bias.grad.abs().sum() > 0.1  # and this would be 0


def test_logits_of_clusters_are_those_of_their_modes_together():
    model = make({"gan.steps": 0, "connect.micro_modes": 7})
    model.groups.copy_(torch.tensor([2, 0, 1, 1, 0, 2, 1]))
    x = (60 * torch.randn(9, 7, generator=torch_generator(0, "x"))).requires_grad_()
    wanted = torch.stack([x[:, model.groups == k].logsumexp(1) for k in range(3)], 1)
    found = model.merged_logits(x)
    torch.testing.assert_close(found, wanted)
    (a,), (b,) = (torch.autograd.grad((y**2).sum(), x) for y in (found, wanted))
    torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-4)


def test_so_many_clusters_that_no_other_number_is_tried():
    n = 104
    data = Dataset(np.random.default_rng(0).normal(size=(2 * n, 3)).astype(np.float32), np.full(2 * n, -1), (), "any")
    model = make({"gan.steps": 0, "connect.micro_modes": n, "latent.dim": n, "connect.steps": 5}, (3,), n)
    train(model, Pool.of(data), seed=0)
    assert model.counts.isnan().all() and model.agreement > 0 and len(model.groups.unique()) == n


def test_labels_of_one_kind_alone_do_not_hide_the_others():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), [40, 200, 200, 200])
    x = (rng.normal(0, 0.4, (len(y), 6)) + 4 * np.eye(4, 6)[y]).astype(np.float32)
    labels = np.where(y == 0, 0, -1)
    data = Dataset(x, labels, ("a", "b", "c", "d"), "blobs")
    model = make({"gan.steps": 0, "connect.refine_steps": 300}, (6,), 4, seed=1)
    train(model, Pool.of(data), seed=1)
    assert table(model, x, y).max(0).sum() > 0.99
    assert model.masses()[0] == pytest.approx(40 / 640, abs=0.01)  # a batch of labels alone made it .18


def test_eq_5_fits_the_prior_from_few_labels():
    data, _ = blobs(labelled=60)
    model = make(GAN | {"gan.steps": 250, "gan.batch": 16})
    train(model, Pool.of(data), seed=0)
    assert model.masses().numpy() == pytest.approx(MASSES, abs=0.12)
    assert model.masses()[0] > 0.45


def test_switched_off_conditions():
    assert str(make({"conditions.C2": False}).conditions) == "C1 Ĉ2 C3"
    assert make({"conditions.C3": False}, prior=MASSES).masses().numpy() == pytest.approx(np.full(3, 1 / 3), abs=1e-4)
    make({"conditions.C1": False, "latent.noise": 0.8})
    assert not make({"conditions.C2": False}).joint


def test_what_cannot_be_built_or_trained_is_refused():
    with pytest.raises(ConfigError, match="modes overlap"):
        make({"latent.noise": 0.5})
    with pytest.raises(ConfigError, match="cannot hold 20 modes"):
        make({"latent.dim": 10})
    with pytest.raises(ConfigError, match="micro_modes=2"):
        make({"connect.micro_modes": 2})
    with pytest.raises(ConfigError, match=r"nothing that ties samples to their modes: set gan\.inversion=1"):
        make({"gan.joint": False, "gan.inversion": 0.0})
    make({"gan.joint": False, "gan.inversion": 0.0, "conditions.C2": False})
    with pytest.raises(ConfigError, match="by the connected inverter alone"):
        train(make(GAN), Pool.of(blobs()[0]), seed=0)


def test_presets_build_for_every_kind_of_sample():
    for preset in catalog.entry("nemgan").presets:
        for shape in [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (5,)]:
            config = build({}, catalog.entry("nemgan").defaults(preset, shape))
            model = catalog.create("nemgan", config, shape, 3, np.full(3, 1 / 3), 0)
            assert all(torch.isfinite(p).all() for p in islice(model.parameters(), 5))


def test_thorough_is_more_of_what_is_usual():
    for shape, clusters in product([(2,), (1, 8, 8), (1, 28, 28), (3, 32, 32)], [2, 5]):
        usual, more = (
            flat(build({}, catalog.entry("nemgan").defaults(preset, shape, clusters)))
            for preset in ("connected", "thorough")
        )
        changed = {key for key in more if more[key] != usual[key]}
        assert changed and all(more[key] >= 2 * usual[key] for key in changed)


def test_masses_are_those_of_all_samples_not_of_those_learned_from():
    """Labelled ones are always learned from: half of them are of the rare class here, and a sixth of all that are."""
    data, y = blobs(1200)
    shown = np.concatenate([np.flatnonzero(y == c)[:100] for c in range(3)])
    known = np.full(len(y), -1)
    known[shown] = y[shown]
    model = make({"connect.samples": 400, "gan.steps": 0})
    train(model, Pool.of(Dataset(data.x, known, data.class_names, "blobs")), seed=0)
    assert np.abs(model.masses().numpy() - MASSES).sum() < 0.02


@pytest.mark.parametrize(("told", "asked"), [(0, 2), (599, 2), (600, 0)])
def test_how_many_clusters_is_asked_once_and_not_where_labels_of_all_say_it(monkeypatch, told, asked):
    data, y = blobs()
    seen = []
    monkeypatch.setattr("nemgan.models.settling.evidence", lambda graph, sizes, most, draw: seen.append(most) or [])
    model = make({"connect.restarts": 2, "connect.steps": 20, "connect.refine_steps": 5, "gan.steps": 0})
    train(model, Pool(torch.from_numpy(data.x), torch.arange(told), torch.from_numpy(y[:told])), seed=0)
    assert len(seen) == asked and "partitions" not in model.scratch  # of two partitions, after both restarts
    assert model.counts.isnan().all()
