from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from nemgan.data.dataset import Dataset, Splits
from nemgan.errors import CheckpointError, ConfigError, DataError
from nemgan.evaluation.evaluate import _shares, evaluate
from nemgan.evaluation.inference import embed, generate, predict
from nemgan.evaluation.judge import Judge
from nemgan.evaluation.result import Facts, Result

FACTS = Facts("templates", "blocks", "none", 3, 0, "learned", 1.5, 7, None, {"nemgan": "0"})


class Exact:
    """A judge that is always right: the class drawn as the brightest block. Features are the pixels."""

    accuracy = 1.0

    def predict(self, x: np.ndarray) -> np.ndarray:
        blocks = np.stack([x[:, 0, :4, :4], x[:, 0, :4, 4:], x[:, 0, 4:, :4]], 1).mean((2, 3))
        return (blocks.argmax(1) - 1) % 3  # class c is drawn by cluster (c + 1) % 3

    def features(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1).astype(np.float32)


@pytest.fixture
def judge() -> Judge:
    return Exact()  # type: ignore[return-value]


def test_a_perfect_model_scores_one(model, splits: Splits, judge: Judge) -> None:
    result = evaluate(model, splits, judge=judge, facts=FACTS)
    assert (result.acc, result.nmi, result.ari, result.purity, result.macro_recall) == pytest.approx((1,) * 5)
    assert result.mode_purity == 1 and result.mode_purities == (1, 1, 1)
    assert result.class_of_cluster == (2, 0, 1)
    assert result.confusion == ((0, 120, 0), (0, 0, 60), (20, 0, 0))
    assert result.true_masses == pytest.approx((0.6, 0.3, 0.1))
    assert result.learned_prior == pytest.approx((0.6, 0.3, 0.1))
    assert result.cluster_masses == pytest.approx((0.1, 0.6, 0.3))
    assert result.found_masses == pytest.approx((0.1, 0.6, 0.3))
    assert result.prior_l1 == pytest.approx(0, abs=1e-6)
    assert result.generated_masses == pytest.approx((0.6, 0.3, 0.1), abs=0.04)
    assert result.generated_vs_found_l1 == pytest.approx(0, abs=0.08)
    assert result.mode_diversity == pytest.approx((1, 1, 1), abs=0.2)
    assert result.generated_found == pytest.approx((0.1, 0.6, 0.3), abs=0.04) and result.mode_returns == (1, 1, 1)
    posterior = predict(model, splits.test.x)
    ordered = np.sort(posterior, 1)
    margin = ordered[:, -1] - ordered[:, -2]
    assert result.doubtful == (margin < 0.5).mean()
    assert [each.margin for each in result.ambiguous] == sorted(margin)[:12]
    worst = result.ambiguous[0]
    assert posterior[int(worst.id), worst.first] - posterior[int(worst.id), worst.second] == worst.margin
    assert (result.n_train, result.n_test, result.n_clusters, result.n_generated) == (500, 200, 3, 2000)
    assert "n=200" in result.metrics["acc"] and "Hungarian" in result.metrics["acc"]
    figures = {key for key, value in asdict(result).items() if isinstance(value, float | tuple)}
    assert figures - {"prior", "class_names", "cluster_names", "confusion", "class_of_cluster"} <= set(result.metrics)


def test_wrong_masses_and_a_mode_that_draws_the_wrong_class_are_seen(model, splits: Splits, judge: Judge) -> None:
    clean = model.sample
    with torch.no_grad():
        model.prior.copy_(torch.tensor([0.2, 0.5, 0.3]))

    def sample(n: int, rng: torch.Generator, cluster: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        x, clusters = clean(n, rng, cluster)
        return torch.where((clusters == 2)[:, None, None, None], model.templates[1], x), clusters

    model.sample = sample
    result = evaluate(model, splits, judge=judge, facts=FACTS)
    assert result.acc == 1
    assert result.prior_l1 == pytest.approx(0.2, abs=1e-6)
    assert result.mode_purities == (1, 1, 0)
    assert result.mode_purity == pytest.approx(0.7, abs=0.04)
    assert result.generated_masses == pytest.approx((0.8, 0, 0.2), abs=0.04)
    assert result.generated_vs_found_l1 == pytest.approx(0.6, abs=0.08)
    assert result.mode_diversity is not None and result.mode_diversity[2] == 0


def test_without_labels_there_are_no_labelled_figures(model, splits: Splits) -> None:
    plain = Splits(splits.train.unlabelled(), splits.test.unlabelled())
    result = evaluate(model, plain, judge=None, facts=FACTS)
    for name in ("acc", "nmi", "ari", "purity", "macro_recall", "mode_purity", "mode_purities", "mode_diversity"):
        assert getattr(result, name) is None
    for name in ("generated_masses", "true_masses", "prior_l1", "confusion", "class_of_cluster", "judge_accuracy"):
        assert getattr(result, name) is None
    assert result.learned_prior == result.cluster_masses
    assert result.found_masses == pytest.approx((0.1, 0.6, 0.3))
    assert Result.from_json(result.to_json()) == result


def test_more_clusters_than_classes(model, splits: Splits, judge: Judge) -> None:
    merged = [Dataset(part.x, np.minimum(part.y, 1), ("a", "b"), "two") for part in (splits.train, splits.test)]
    result = evaluate(model, Splits(*merged), judge=None, facts=FACTS)
    assert result.class_of_cluster == (-1, 0, 1)
    assert result.acc == pytest.approx(0.9)
    assert result.learned_prior == pytest.approx((0.6, 0.3, 0.1))  # by class, then the cluster without one
    assert result.true_masses == pytest.approx((0.6, 0.4))
    assert result.prior_l1 == pytest.approx(0.2)


def test_fewer_clusters_than_classes(model, splits: Splits, judge: Judge) -> None:
    other = type(model)(model.templates[1:].detach(), torch.tensor([0.7, 0.3]))
    result = evaluate(other, splits, judge=judge, facts=FACTS)
    assert result.class_of_cluster == (0, 1)
    assert result.learned_prior == pytest.approx((0.7, 0.3, 0))
    assert result.prior_l1 == pytest.approx(0.2)


def test_same_seed_same_record_and_everything_is_left_as_it_was(model, splits: Splits, judge: Judge) -> None:
    model.dropout.eval()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, second = (evaluate(model, splits, judge=judge, facts=FACTS) for _ in range(2))
    assert first == second
    assert first != evaluate(model, splits, judge=judge, facts=replace(FACTS, seed=4))
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training and not model.dropout.training and torch.is_grad_enabled()
    assert not model.grad_seen


def test_mode_is_restored_after_an_error(model, splits: Splits, judge: Judge) -> None:
    model.masses = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        evaluate(model, splits, judge=judge, facts=FACTS)
    assert model.training and model.dropout.training


@pytest.mark.parametrize(("value", "expected"), [(torch.tensor(0.5), 0.5), (torch.tensor(float("nan")), None)])
def test_confidence_is_the_models(model, splits: Splits, value: torch.Tensor, expected: float | None) -> None:
    model.register_buffer("confidence", value)
    assert evaluate(model, splits, judge=None, facts=FACTS).confidence == expected


def test_predict_is_the_posterior_whatever_the_batch(model, splits: Splits) -> None:
    x = splits.test.x
    whole, parts = predict(model, x), predict(model, x, batch=7)
    assert whole.shape == (200, 3)
    np.testing.assert_allclose(whole.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-6)
    model.eval()
    np.testing.assert_allclose(whole, model.posterior(model.encode(torch.tensor(x))).detach().numpy(), rtol=1e-4)
    assert predict(model, x[:0]).shape == (0, 3)
    assert embed(model, x).shape == (200, 64)


def test_samples_of_another_kind_are_refused(model, splits: Splits) -> None:
    with pytest.raises(DataError, match=r"uint8 samples of shape \(1, 8, 8\)"):
        predict(model, splits.test.x[:, :, :4])
    with pytest.raises(DataError, match="float32"):
        predict(model, splits.test.x.astype(np.float32))


def test_read_only_data_need_no_copy(model, splits: Splits) -> None:
    x = splits.test.x.copy()
    x.flags.writeable = False
    assert predict(model, x).shape == (200, 3)


def test_generate(model) -> None:
    rng: Callable[[], torch.Generator] = lambda: torch.Generator().manual_seed(0)  # noqa: E731
    x, clusters = generate(model, 30, rng(), cluster=2, batch=8)
    assert x.shape == (30, 1, 8, 8) and x.dtype == np.uint8 and (clusters == 2).all()
    assert generate(model, 0, rng())[0].shape == (0, 1, 8, 8)
    with pytest.raises(ConfigError, match="no cluster 3: the model has clusters 0 … 2"):
        generate(model, 1, rng(), cluster=3)


@pytest.fixture
def record(model, splits: Splits, judge: Judge) -> Result:
    return evaluate(model, splits, judge=judge, facts=FACTS, n_generated=50)


def test_json_round_trip_is_exact(record: Result) -> None:
    text = record.to_json()
    assert Result.from_json(text) == record
    assert Result.from_json(text).to_json() == text
    assert json.loads(text)["schema_version"] == 1
    given = replace(record, prior=(0.5, 0.5), seconds_to_acc_95=3.0)
    assert Result.from_json(given.to_json()) == given


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"extra": 1}, "extra"),
        ({"schema_version": 2}, "schema_version"),
        ({"acc": "0.9"}, "acc"),
        ({"steps": 1.5}, "steps"),
        ({"confusion": [["x"]]}, "confusion"),
    ],
)
def test_json_of_another_schema_is_refused(record: Result, change: dict[str, object], named: str) -> None:
    with pytest.raises(CheckpointError, match=named) as caught:
        Result.from_json(json.dumps({**json.loads(record.to_json()), **change}))
    assert "\n" not in str(caught.value)


def test_missing_fields_nan_and_rubbish_are_refused(record: Result) -> None:
    fields = json.loads(record.to_json())
    del fields["nmi"]
    for text in (json.dumps(fields), "{", "", json.dumps({**fields, "nmi": float("nan")})):
        with pytest.raises(CheckpointError, match="cannot be read"):
            Result.from_json(text)


def test_the_record_is_frozen(record: Result) -> None:
    with pytest.raises(AttributeError):
        record.acc = 1.0  # type: ignore[misc]


def test_shares_of_samples_drawn_from_clusters_are_free_of_the_luck_of_the_draw():
    drawn, masses = np.array([0, 0, 0, 1, 1]), np.array([0.9, 0.1])
    judged = np.array([0, 0, 1, 1, 1])
    assert _shares(judged, 2).tolist() == [0.4, 0.6]
    assert _shares(judged, 2, (drawn, masses)) == pytest.approx([0.6, 0.4])
    assert _shares(drawn, 2, (drawn, masses)) == pytest.approx(masses)
    assert _shares(judged[:3], 2, (drawn[:3], masses)) == pytest.approx([2 / 3, 1 / 3])  # nothing is known of cluster 1
    assert _shares(drawn[:0], 2, (drawn[:0], masses)).tolist() == [0, 0]
    assert _shares(judged, 2, (drawn, np.array([0.9, 0.1, 1e-6]))) == pytest.approx([0.6, 0.4])  # a cluster of nothing
