"""What a step does, checked against torch's own optimisers and against arithmetic by hand."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_model import Toy, mlp, observe, run, same_state, timeless, toy_pool

import nemgan.training.checkpoint as checkpoint
from nemgan.data.pool import Pool
from nemgan.errors import CheckpointError, ConfigError, DivergedError, NemganError
from nemgan.layers import ConvTranspose2d
from nemgan.models.base import LossResult, Optimiser, Phase, Stage
from nemgan.seeding import isolated
from nemgan.training.loop import Hook, train


class Custom(Toy):
    """A toy with stages given from outside."""

    def __init__(self, *stages: Stage) -> None:
        super().__init__()
        self.given = list(stages)

    def stages(self, pool: Pool) -> list[Stage]:
        return self.given


def custom(**changes: object) -> Custom:
    """One stage ``only`` of four steps with one phase ``fit``, which draws h towards zero."""
    model = Custom()

    def loss(rng):
        x = toy_pool().x[toy_pool().draw(8, rng)]
        return LossResult(model.h(x).square().mean(), {"first": x[0, 0]})

    stage = {key: changes.pop(key) for key in ("begin", "end", "steps") if key in changes}
    phase = Phase("fit", ("h",), loss, Optimiser(0.01))
    model.given = [Stage("only", **{"steps": 4, "phases": (replace(phase, **changes),), **stage})]
    return model


def test_same_seed_same_result_and_the_callers_generators_stay():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    (a, log), (b, again) = run(), run()
    torch.testing.assert_close(torch.get_rng_state(), states[2])
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    torch.manual_seed(2)
    c, _ = run()
    assert same_state(a, b)
    assert same_state(a, c)
    assert timeless(log.rows) == timeless(again.rows)
    assert not same_state(a, run(seed=6)[0])
    assert not a.training


def test_hooks_do_not_change_the_result():
    def nosy(moment, model):
        torch.manual_seed(moment.step)
        assert not torch.is_grad_enabled()
        assert not any(module.training for module in model.modules())
        assert all(module.rng is None for module in model.modules() if hasattr(module, "rng"))
        model.train()
        np.testing.assert_allclose(model.masses().sum(), 1, rtol=1e-6)

    with_hooks, log = run(hooks=[Hook(1, nosy), Hook(3, observe)])
    without, bare = run(hooks=[])
    assert same_state(with_hooks, without)
    assert timeless([row for row in log.rows if row["kind"] != "hook"]) == timeless(bare.rows)


def test_a_hook_that_changes_the_model_is_caught():
    def spoil(moment, model):
        model.train()
        model.h(torch.ones(4, 4))  # moves the batch norm's buffers

    with pytest.raises(NemganError, match="a hook changed the model"):
        run(hooks=[Hook(2, spoil)])


def test_hooks_fire_on_time_and_after_the_end_of_a_stage():
    seen = []

    def note(moment, model):
        seen.append((moment.stage, moment.stage_step, moment.step, model.alpha.abs().sum().item() > 0))
        assert (moment.stage_steps, moment.total_steps) == ({"split": 5, "gan": 7}[moment.stage], 12)
        return {"kind": "note", "step": "taken", "found": np.float32(0.5)}

    _, log = run(hooks=[Hook(2, note)])
    split = [("split", 2, 2, False), ("split", 4, 4, False), ("split", 5, 5, True)]
    assert seen == [*split, *[("gan", k, 5 + k, True) for k in (2, 4, 6, 7)]]
    rows = [row for row in log.rows if row["kind"] == "note"]
    assert [row["step"] for row in rows] == [step for _, _, step, _ in seen]
    assert rows[0]["found"] == 0.5


def test_rows_hold_means_since_the_last_row():
    model, seen = Custom(), []

    def loss(rng):
        seen.append(float(len(seen)))
        return LossResult(model.alpha.sum() * 0 + seen[-1], {"twice": torch.tensor(2 * seen[-1])})

    model.given = [Stage("only", 5, (Phase("count", ("alpha",), loss, Optimiser(0.1), times=2),))]
    log = train(model, toy_pool(), seed=0, log_every=2)
    assert [row["count/loss"] for row in log.rows] == [1.5, 5.5, 8.5]
    assert [row["count/twice"] for row in log.rows] == [3.0, 11.0, 17.0]
    assert [(row["kind"], row["stage"], row["stage_step"], row["step"]) for row in log.rows] == [
        ("train", "only", k, k) for k in (2, 4, 5)
    ]
    assert log.steps == 5
    assert log.seconds + 1e-4 >= log.rows[-1]["seconds"] > 0  # rows are rounded


def test_what_end_returns_is_a_row_of_json_values():
    _, log = run()
    [row] = [row for row in log.rows if row["kind"] == "end"]
    assert (row["stage"], row["step"], row["empty"]) == ("split", 5, None)
    assert len(row["alpha"]) == 3


def test_order_times_every_and_after():
    model, calls = Custom(), []

    def phase(name, **options):
        def loss(rng):
            calls.append(name)
            return LossResult(model.alpha.sum(), {})

        return Phase(name, ("alpha",), loss, Optimiser(0.1), after=lambda: calls.append(name.upper()), **options)

    model.given = [Stage("s", 4, (phase("a", times=2), phase("b", every=3)), lambda _: calls.append("begin"))]
    train(model, toy_pool(), seed=0)
    assert calls == ["begin", *"aAaAbB", *"aAaA", *"aAaA", *"aAaAbB"]


def test_a_phase_that_trains_nothing_is_run_on_time_without_gradients():
    model, calls = Custom(), []

    def rule(rng):
        calls.append(torch.is_grad_enabled())
        model.scratch["count"] = torch.tensor(len(calls))
        return LossResult(torch.zeros(()), {"count": model.scratch["count"]})

    fit = Phase("fit", ("alpha",), lambda rng: LossResult(model.alpha.sum(), {}), Optimiser(0.1))
    model.given = [Stage("s", 8, (Phase("rule", (), rule, every=3, first=1), fit))]
    log = train(model, toy_pool(), seed=0, log_every=8)
    assert calls == [False] * 3 and log.rows[0]["rule/count"] == 2  # steps 1, 4 and 7; the mean of 1, 2 and 3


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
def test_updates_equal_those_of_torch(kind):
    def loss_of(network, rng):
        return network(toy_pool().x[toy_pool().draw(8, rng)]).square().mean() + network[0].weight.abs().sum()

    model = Custom()
    with isolated(0, "twin"):
        model.h = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        twin = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    twin.load_state_dict(model.h.state_dict())
    draws, constants = [], Optimiser(0.02, (0.4, 0.8), 0.1, kind)

    def loss(rng):
        draws.append(rng.get_state())
        return LossResult(loss_of(model.h, rng), {})

    phase = Phase("fit", ("h",), loss, constants, schedule=lambda at: 1 - at)
    model.given = [Stage("s", 6, (phase,))]
    train(model, toy_pool(), seed=0)
    if kind == "adam":
        optimiser = torch.optim.Adam(twin.parameters(), betas=(0.4, 0.8), weight_decay=0.1, fused=True)
    else:
        optimiser = torch.optim.RMSprop(twin.parameters(), weight_decay=0.1)
    for k, state in enumerate(draws):
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - k / 6)
        optimiser.zero_grad()
        loss_of(twin, torch.Generator().set_state(state)).backward()
        optimiser.step()
    for mine, theirs in zip(model.h.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)


def test_gradients_meet_their_parameters_whatever_their_order_in_memory():
    """Fused Adam goes through memory: a weight of channels last must not get another's place of the gradient."""
    models = [Custom(), Custom()]
    for model, order in zip(models, (torch.contiguous_format, torch.channels_last), strict=True):
        with isolated(0, "weights"):
            model.h = ConvTranspose2d(4, 3, 4, 2, 1)  # by patches, so its gradient is contiguous
        model.to(memory_format=order)
        x = torch.linspace(-1, 1, 2 * 4 * 9).reshape(2, 4, 3, 3).sin()

        def loss(rng, model=model, x=x):
            return LossResult((model.h(x) - 1).square().mean(), {})

        model.given = [Stage("s", 5, (Phase("fit", ("h",), loss, Optimiser(0.02)),))]
        train(model, toy_pool(), seed=0)
    torch.testing.assert_close(models[1].h.weight.contiguous(), models[0].h.weight)


def test_averages_follow_their_recursion():
    model = Toy()
    expected = [p.detach().clone() for p in model.g_mean.parameters()]
    model.g[0].weight.register_hook(lambda gradient: gradient)
    stages = model.stages(toy_pool())
    generate = next(phase for phase in stages[1].phases if phase.name == "generate")
    twin = Custom()
    twin.load_state_dict(model.state_dict())
    twin.ema_decay = 0.9
    states = []

    def loss(rng):
        states.append([p.detach().clone() for p in twin.g.parameters()])
        return LossResult(twin.g(torch.randn(16, 4, generator=rng)).square().mean(), {})

    twin.given = [Stage("s", 5, (replace(generate, loss=loss, every=1),))]
    train(twin, toy_pool(), seed=0)
    states.append(list(twin.g.parameters()))
    for k, after in enumerate(states[1:]):
        decay = min(0.9, (1 + k) / (10 + k))
        expected = [decay * a + (1 - decay) * p for a, p in zip(expected, after, strict=True)]
    for mine, wanted in zip(twin.g_mean.parameters(), expected, strict=True):
        torch.testing.assert_close(mine, wanted)
    for mine, wanted in zip(twin.g_mean.buffers(), twin.g.buffers(), strict=True):
        assert torch.equal(mine, wanted)


@pytest.mark.parametrize("name", ["invert", "critic", "generate", "prior"])
def test_updates_reach_exactly_the_named_networks(name):
    model = Toy()
    stages = model.stages(toy_pool())
    look, *_ = stages[1].phases
    phase = next(phase for stage in stages for phase in stage.phases if phase.name == name)
    before = {key: value.clone() for key, value in model.named_parameters()}
    model.stages = lambda pool: [Stage("s", 1, (look, phase))]
    train(model, toy_pool(), seed=0)
    moved = {key.split(".")[0] for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert moved - {"g_mean"} == set(phase.trains)
    assert ("g_mean" in moved) == ("g" in phase.trains)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_dropout_draws_from_the_phases_generator():
    model, seen = custom(), []
    inner = model.given[0].phases[0].loss

    def spy(rng):
        seen.append((rng, model.h[3].rng, model.critic[3].rng, model.h.training))
        return inner(rng)

    model.given = [replace(model.given[0], phases=(replace(model.given[0].phases[0], loss=spy),))]
    train(model, toy_pool(), seed=0)
    assert all(mine is rng and other is rng and training for rng, mine, other, training in seen)
    assert model.h[3].rng is None


def poisoned(kind: str, at: int) -> Custom:
    """A model whose loss or gradient is not finite at step ``at``."""
    model, step = custom(), [0]
    phase = model.given[0].phases[0]

    def loss(rng):
        step[0] += 1
        value, logs = phase.loss(rng)
        if step[0] == at:
            if kind == "gradient":  # √ has a finite value and an infinite slope at 0
                value = value + (model.h[4].bias - model.h[4].bias.detach()).sqrt().sum()
            else:
                value = value * float(kind)
        return LossResult(value, logs)

    model.given = [replace(model.given[0], phases=(replace(phase, loss=loss),))]
    return model


@pytest.mark.parametrize("kind", ["nan", "inf", "-inf", "gradient"])
def test_divergence_stops_before_the_update(tmp_path, kind):
    model = poisoned(kind, at=3)
    good = custom(steps=2)
    train(good, toy_pool(), seed=0)
    with pytest.raises(DivergedError, match=r"step 3 of stage 'only'.*learning rate.*last good checkpoint") as stopped:
        train(model, toy_pool(), seed=0, folder=tmp_path, checkpoint_every=1)
    assert ("gradient of h.4.bias" if kind == "gradient" else "loss in phase 'fit'") in str(stopped.value)
    assert "\n" not in str(stopped.value)
    for mine, wanted in zip(model.parameters(), good.parameters(), strict=True):
        assert torch.equal(mine, wanted)
    state = checkpoint.load_latest(tmp_path)
    assert state.content["step"] == 2
    assert all(torch.isfinite(tensor).all() for tensor in state.tensors.values())
    resumed, whole = custom(), custom()
    train(resumed, toy_pool(), seed=0, folder=tmp_path, resume=True)
    train(whole, toy_pool(), seed=0)
    assert same_state(resumed, whole)


def test_huge_but_finite_gradients_are_no_divergence():
    model = custom()
    phase = model.given[0].phases[0]

    def loss(rng):
        return LossResult(phase.loss(rng).loss + model.h[4].bias.sum() * 1e30, {})

    model.given = [replace(model.given[0], phases=(replace(phase, loss=loss),))]
    before = model.h[0].weight.detach().clone()
    train(model, toy_pool(), seed=0)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert not torch.equal(model.h[0].weight, before)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (custom(trains=("nobody",)), "no network 'nobody'"),
        (custom(trains=("critic",)), "the loss of phase 'fit' depends on none of critic"),
        (Custom(*custom().given * 2), "two stages have the same name"),
        (Custom(replace(custom().given[0], phases=custom().given[0].phases * 2)), "two phases of one name"),
    ],
)
def test_models_that_do_not_fit_together(model, message):
    with pytest.raises(ConfigError, match=message):
        train(model, toy_pool(), seed=0)


def test_frozen_and_shared_parameters():
    model = custom(trains=("h", "twin"))
    model.twin = model.h
    model.h[0].weight.requires_grad_(False)
    frozen, free = model.h[0].weight.clone(), model.h[4].weight.clone()
    train(model, toy_pool(), seed=0)
    assert torch.equal(model.h[0].weight, frozen)
    assert not torch.equal(model.h[4].weight, free)


def test_stages_without_steps_still_begin_end_and_are_observed():
    calls = []
    model = custom(steps=0, begin=lambda _: calls.append("begin"), end=lambda _: calls.append("end"))
    log = train(model, toy_pool(), seed=0, hooks=[Hook(9, lambda moment, _: {"done": moment.stage_step})])
    assert calls == ["begin", "end"]
    assert [row["kind"] for row in log.rows] == ["end", "hook"]


def test_a_stage_that_is_not_needed_is_left_out(tmp_path):
    """Asked once the stages before it have ended; a training that goes on later goes the same way."""
    asked = []

    def needed() -> bool:
        asked.append(len(asked))
        return False

    def three(model: Custom, **changes: object) -> Custom:
        only = model.given[0]
        last = replace(only, name="last", begin=None, end=lambda rng: {"said": 1.0}, **changes)
        model.given = [only, replace(only, name="left", needed=needed), last]
        return model

    model, again = three(custom()), three(custom(), steps=6)
    log = train(model, toy_pool(), seed=0, folder=tmp_path)
    assert asked == [0] and log.steps == 8
    assert [(row["stage"], row["kind"]) for row in log.rows if row["kind"] != "train"] == [
        ("left", "left out"),
        ("last", "end"),
    ]
    assert train(again, toy_pool(), seed=0, folder=tmp_path, resume=True).steps == 10 and asked == [0]
    whole = three(custom(), steps=6)
    train(whole, toy_pool(), seed=0)
    assert same_state(again, whole)


def test_begin_and_end_run_at_rest():
    def check(rng):
        assert not torch.is_grad_enabled()
        assert not model.h.training
        assert model.h[3].rng is rng

    model = custom(begin=check, end=check)
    train(model, toy_pool(), seed=0)


def test_a_folder_has_one_owner(tmp_path):
    def start_another(moment, model):
        with pytest.raises(CheckpointError, match=r"in use by process \d+"):
            run(tmp_path, resume=True)

    run(tmp_path, hooks=[Hook(5, start_another)])
    run(tmp_path, resume=True)


def test_toy_networks_differ():
    """The tests above would be blind if networks shared weights."""
    with isolated(0, "toy"):
        assert not torch.equal(mlp(4, 4)[0].weight, mlp(4, 4)[0].weight)
