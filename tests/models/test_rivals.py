"""What makes each rival that model, on three blobs and a few seconds of training at most."""

from __future__ import annotations

import math

import pytest
import torch
from rivals import SMALL, blobs, centre_of, fit, make, noise
from torch import Tensor, nn

from nemgan.data.pool import Pool
from nemgan.losses.categorical import conditional_entropy, marginal_entropy
from nemgan.models.adversarial import fall
from nemgan.models.base import Model, at_rest
from nemgan.models.centres import Centres
from nemgan.seeding import torch_generator
from nemgan.training.loop import train


def real(model: Model) -> Tensor:
    return model.encode(torch.from_numpy(blobs().x))


def draw(model: Model, n: int = 300) -> tuple[Tensor, Tensor]:
    with at_rest(model):
        return model.sample(n, torch_generator(0, "t"))


def agreement(mode: Tensor, found: Tensor) -> float:
    """Share of samples whose ``found`` is the commonest of their mode, each found belonging to one mode."""
    table = torch.zeros(3, 3).index_put_((mode, found), torch.ones(len(mode)), accumulate=True)
    assert len(set(table.argmax(1).tolist())) == 3
    return float(table.max(1).values.sum() / table.sum())


def test_wgan_keeps_its_weights_in_range() -> None:
    model = fit("wgan", 10)
    assert max(float(p.detach().abs().max()) for p in model.critic.parameters()) == pytest.approx(0.1)
    assert all((p.abs() <= 0.0101).all() for p in fit("wgan", 3, **{"rival.clip": 0.01}).critic.parameters())


def test_wgan_gp_s_gradient_has_norm_one() -> None:
    model = fit("wgan-gp", 150, **{"gan.critic_steps": 3})
    t = torch.rand(300, 1, generator=torch_generator(0, "t"))
    x = (t * real(model)[:300] + (1 - t) * draw(model)[0]).requires_grad_()
    norms = torch.autograd.grad(model.critic(x).sum(), x)[0].norm(dim=1)
    assert norms.mean().item() == pytest.approx(1, abs=0.2)


def test_dcgan_starts_small_and_its_logistic_loss_stays_finite() -> None:
    model = make("dcgan", (1, 16, 16))
    weights = [layer.weight for layer in model.generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert weights and all(float(weight.detach().std()) == pytest.approx(0.02, abs=0.002) for weight in weights)
    model = make("dcgan", **{**SMALL, "gan.steps": 60})
    log = train(model, Pool.of(blobs()), seed=0, log_every=10)
    losses = [row["generator/loss"] for row in log.rows if row["kind"] == "train"]
    assert len(losses) == 6 and all(0 < loss < 20 for loss in losses)


def test_sngan_s_layers_have_spectral_norm_one() -> None:
    model = fit("sngan", 100).eval()
    layers = [layer for layer in model.critic.modules() if isinstance(layer, nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) <= 1.05


def test_deligan_s_deviations_stay_positive_and_its_components_move_apart() -> None:
    before, model = make("deligan", **SMALL), fit("deligan", 250)
    assert (model.latent.log_sigma.exp() > 0).all() and (model.latent.log_sigma.exp() > 0.2).float().mean() > 0.9
    assert (model.latent.mean - before.latent.mean).abs().mean() > 0.05
    x, mode = draw(model)
    assert agreement(mode, centre_of(x, model)) > 0.9


def test_mad_gan_s_critic_tells_its_generators_apart() -> None:
    model = make("mad-gan", **{**SMALL, "gan.steps": 250})
    log = train(model, Pool.of(blobs()), seed=0, log_every=50)
    right = [row["critic/identified"] for row in log.rows if row["kind"] == "train"]
    assert right[-1] > 0.9
    x, mode = draw(model)
    assert agreement(mode, model.critic(x)[:, :3].argmax(1)) > 0.9


def test_mad_gan_s_generators_share_their_first_layer_alone() -> None:
    model = make("mad-gan", **SMALL)
    z = torch.randn(4, model.latent.dim, generator=torch_generator(0, "t"))
    made = model.generator(z.repeat(3, 1), torch.arange(3).repeat_interleave(4)).chunk(3)
    for k, head in enumerate(model.generator.heads):
        assert torch.equal(made[k], head(model.generator.stem(z)))
    assert not torch.equal(made[0], made[1]) and len(model.generator.stem) == 2


def test_ganmm_s_responsibilities_sharpen() -> None:
    model = make("ganmm", **{**SMALL, "gan.steps": 120, "rival.pretrain": 60, "gan.batch": 24})
    with at_rest(model):
        before = conditional_entropy(model.posterior(real(model)))
    train(model, Pool.of(blobs()), seed=0)
    with at_rest(model):
        p = model.posterior(real(model))
    assert conditional_entropy(p) < 0.5 * before
    x, mode = draw(model)
    assert agreement(mode, centre_of(x, model)) > 0.9


def test_ganmm_s_batches_take_the_share_of_assigned_samples_that_its_schedule_says() -> None:
    model = make("ganmm", **{**SMALL, "gan.batch": 200})
    model.fit_scale(torch.from_numpy(blobs().x))
    pool = Pool.of(blobs())
    model.posterior = lambda x: torch.tensor([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0]])[(x[:, 0] > 0).long()]
    for step, share in [(1, 0.5), (500, 0.5), (501, 0.8), (1500, 0.9), (5000, 0.96)]:
        model.scratch["em"] = torch.tensor(float(step))
        first = model.assigned(pool, torch_generator(0, "t"))[0]
        left = (first[:, 0] <= 0).float().mean().item()  # assigned, or drawn: .6·2/(.6·2 + .4·1) of the rest
        assert left == pytest.approx(share + (1 - share) * 0.75, abs=0.06)


def test_bigan_s_encoder_leads_back_to_the_sample() -> None:
    model = fit("bigan", 300, **{"latent.dim": 2})
    x = real(model)
    with at_rest(model):
        back = model.generator_ema(model.invert(x))
    assert ((back - x) ** 2).mean() < 0.4 * x.var()


def test_ali_s_encoder_is_random_and_its_points_look_like_noise() -> None:
    model = fit("ali", 300, **{"latent.dim": 2})
    x = real(model)
    with at_rest(model):
        one, two = (model.draw(x, torch_generator(k, "t")) for k in range(2))
    assert not torch.equal(one, two)
    assert one.mean(0).abs().max() < 0.6 and one.std(0).min() > 0.5 and one.std(0).max() < 1.7


def test_veegan_reconstructs_the_noise() -> None:
    model = fit("veegan", 300, **{"latent.dim": 2})
    z = torch.randn(500, 2, generator=torch_generator(0, "t"))
    with at_rest(model):
        error = ((model.invert(model.generator(z)) - z) ** 2).mean()
    assert error < 0.4  # 1 by chance


def test_catgan_grows_certain_of_real_samples_and_uses_its_classes_evenly() -> None:
    before, after = make("catgan", **SMALL), fit("catgan", 250)
    after_p, before_p = after.posterior(real(after)), before.posterior(real(after))
    assert conditional_entropy(after_p) < 0.93 * conditional_entropy(before_p)
    assert marginal_entropy(after_p) > 0.95 * math.log(3)


def test_infogan_s_codes_are_found_in_generated_samples() -> None:
    model = fit("infogan", 300)
    x, mode = draw(model)
    assert (model.posterior(x).argmax(1) == mode).float().mean() > 0.9
    z, _ = model.latent.sample(500, torch_generator(0, "t"))
    with at_rest(model):
        codes = model.read(model.generator(z))[1]
    assert ((codes - z[:, -2:]) ** 2).mean() < 0.9 / 3  # the variance of a code is a third


def test_clustergan_s_one_hot_is_found_and_its_clusters_are_numbered_as_its_modes() -> None:
    model = fit("clustergan", 300)
    x, mode = draw(model)
    with at_rest(model):
        assert (model.inverter(x)[1].argmax(1) == mode).float().mean() > 0.95
        assert (model.posterior(x).argmax(1) == mode).float().mean() > 0.9


def test_slogan_s_means_and_masses_move() -> None:
    before, model = make("slogan", **SMALL), fit("slogan", 400)
    assert (model.latent.mean - before.latent.mean).abs().mean() > 0.05
    assert model.latent.log_sigma.exp().min() > 0.1  # at ten times that rate it vanishes on images
    assert (model.masses() - 1 / 3).abs().max() > 1e-3


def test_slogan_s_gradients_are_those_of_implicit_reparameterisation() -> None:
    model = make("slogan", **SMALL)
    mixture, rng = model.latent, torch_generator(0, "t")
    with torch.no_grad():
        z, _ = mixture.sample(50, rng)
        weight, r = torch.randn(8, generator=rng), mixture.responsibilities(z)
    attached = model.attached(z)
    assert torch.allclose(attached, z)
    mean, log_sigma = torch.autograd.grad((attached @ weight).mean(), [mixture.mean, mixture.log_sigma])
    assert torch.allclose(mean, r.mean(0)[:, None] * weight, atol=1e-6)
    scaled = (z[:, None] - mixture.mean) / mixture.log_sigma.exp()
    by_hand = (r[:, :, None] * scaled * weight).mean(0) * mixture.log_sigma.exp()  # ∂σ/∂log σ = σ
    assert torch.allclose(log_sigma, by_hand, atol=1e-5)
    loss = model.mass_loss(torch_generator(1, "t")).loss
    (found,) = torch.autograd.grad(loss, [mixture.prior.alpha])
    with torch.no_grad():
        fake, z, _ = model.fake(torch_generator(1, "t"))
        cost = -model.critic(fake)
        r = mixture.responsibilities(z)
        wanted = ((r - mixture.masses()) * (cost - cost.mean())[:, None]).mean(0)
    assert torch.allclose(found, wanted, atol=1e-4)


# what they share


def test_centres_are_k_means_and_follow_the_modes() -> None:
    centres, x = Centres(3, 2), torch.from_numpy(blobs().x)
    assert torch.allclose(centres(x), torch.full((600, 3), 1 / 3))
    centres.fit(x, 0)
    mode = torch.arange(600) % 3
    centres.follow(x, (mode + 1) % 3)
    assert (centres(x).argmax(1) == (mode + 1) % 3).all()
    assert centres.spread == pytest.approx(2 * 0.4**2, rel=0.1)


def test_learning_rates_fall_over_the_share_asked_for() -> None:
    assert [fall(1.0, at) for at in (0, 0.25, 0.75)] == [1, 0.75, 0.25]
    assert [fall(0.5, at) for at in (0, 0.5, 0.75)] == [1, 1, 0.5]


def test_entropies() -> None:
    p = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1 / 3, 1 / 3, 1 / 3]])
    assert conditional_entropy(p).item() == pytest.approx(math.log(3) / 4, abs=1e-5)
    assert marginal_entropy(p).item() == pytest.approx(math.log(3), abs=1e-5)


def test_deligan_s_published_critic_compares_the_samples_of_a_batch() -> None:
    model = make("deligan", preset="published", **{"gan.steps": 2, "gan.batch": 8})
    closeness = model.critic.closeness
    x = torch.zeros(4, model.critic.size)
    assert torch.equal(closeness(x)[:, -32:], torch.full((4, 32), 3.0))  # three others, all at distance 0
    assert make("deligan").critic.closeness is None
    train(model, Pool.of(noise((2,))), seed=0)
