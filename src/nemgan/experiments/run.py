"""One run: configuration -> data -> model -> training -> evaluation -> run folder.

>>> folder = run(configure(["data=digits-demo"]), quiet=True)  # doctest: +SKIP
>>> config, model = load_run(folder)  # doctest: +SKIP
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nemgan.data.catalog import data_root, names
from nemgan.data.columns import listed
from nemgan.data.dataset import Dataset, Splits
from nemgan.data.pool import Pool
from nemgan.errors import CheckpointError, ConfigError
from nemgan.evaluation.evaluate import evaluate
from nemgan.evaluation.extractors import Extractor, extractor
from nemgan.evaluation.judge import judge_of
from nemgan.evaluation.pictures import collect, save
from nemgan.evaluation.result import Facts, Fidelity, Result
from nemgan.experiments import hooks
from nemgan.experiments.config import Config, build, flat, parse_overrides
from nemgan.experiments.folder import (
    CONFIG,
    PICTURES,
    RESULT,
    Card,
    check_writable,
    new_folder,
    read_card,
    read_config,
    write_card,
    write_json,
    write_text,
)
from nemgan.experiments.prepare import Prepared, changed, configure, make_model, prepare
from nemgan.models.base import Model
from nemgan.report import write as write_report
from nemgan.settings import show
from nemgan.training.checkpoint import load_model, save_model, saved_info
from nemgan.training.loop import train
from nemgan.training.runtime import nearest_device, pick_device, versions

JUDGE_SEED = 0
"""One judge for all runs on the same data, so that their samples are judged alike (and it is trained once)."""

__all__ = ["configure", "load_run", "resume_run", "run"]


def run(
    config: Config,
    *,
    out: Path = Path("runs"),
    quiet: bool = False,
    started: float | None = None,
    splits: Splits | None = None,
) -> Path:
    """Train, evaluate and report one configuration in a new folder of ``out``; returns that folder.

    Args:
        quiet: no progress bar.
        started: ``time.monotonic()`` at the start of the process, for ``seconds_to_acc_95``; by default now.
        splits: the configured data, where they have been read (``configure_and_read``).

    Raises:
        NemganError: bad input, found before the folder is made; or trouble while training, which names the folder.
    """
    started, out = time.monotonic() if started is None else started, Path(out)
    with threads(config.threads) as n_threads:
        config = config.model_copy(update={"threads": n_threads})
        device = pick_device(config.device)
        check_writable(out)
        prepared = prepare(config, splits=splits)
        model = make_model(config, prepared.card)
        if config.prior not in ("matched", "uniform") and (shares := _named_masses(config, prepared.card)):
            logging.getLogger("nemgan").warning("nemgan: note: masses: %s", ", ".join(shares))
        folder = new_folder(out, config)
        with named(folder):
            write_json(folder / CONFIG, config.model_dump(mode="json"))
            write_card(folder, prepared.card)
            _finish(config, prepared, model.to(device), folder, resume=False, quiet=quiet, started=started)
    return folder


def resume_run(folder: Path, words: Iterable[str] = (), *, quiet: bool = False, started: float | None = None) -> Path:
    """Go on with an interrupted run from its last checkpoint; the result equals the uninterrupted one's.

    Args:
        words: ``key=value`` words, which must agree with the run's configuration. But ``gan.steps`` may be more than it
            was, for a generator that needs longer; the result equals that of a run started with as many. And ``device``
            may be another one, which rounds otherwise.

    Raises:
        CheckpointError: not a run folder, or no usable checkpoint in it.
        ConfigError: a changed configuration, or changed data.
    """
    started = time.monotonic() if started is None else started
    folder = Path(folder)
    config = resumed(read_config(folder), words, folder)
    card = read_card(folder)
    with threads(config.threads), named(folder):
        prepared = prepare_again(config, card, folder)
        model = make_model(config, card).to(pick_device(config.device))
        _finish(config, prepared, model, folder, resume=True, quiet=quiet, started=started)
    return folder


def prepare_again(config: Config, card: Card, folder: Path) -> Prepared:
    """``prepare`` for a run that was started before: the same samples are held out, rows of a table read by its card.

    Raises:
        ConfigError: other data now, of which other samples would be held out.
    """
    own = Path(config.data)
    if config.data not in names() and not own.is_absolute() and own.parts[:1] != ("~",) and not own.exists():
        raise ConfigError(f"{folder} was started on {config.data}, which is not in the current folder: go where it is")
    prepared = prepare(config, card.table)
    if prepared.card.digest != card.digest:
        raise ConfigError(
            f"data {config.data} is not what {folder} was started with (its training samples or their labels differ): "
            "restore it or start a new run"
        )
    return prepared


def load_run(folder: Path) -> tuple[Config, Model]:
    """Configuration and trained model of a finished run, on its device or else the CPU; the data are not needed.

    Raises:
        CheckpointError: not a run folder, a run that has not finished, or a damaged model.
    """
    folder = Path(folder)
    config = read_config(folder)
    if not (folder / "model.safetensors").is_file():
        read_card(folder)  # not a run folder at all, perhaps
        raise CheckpointError(f"{folder} holds no trained model: finish it with nemgan train --resume {folder}")
    config = _as_trained(config, saved_info(folder))
    model = make_model(config, model_card(folder))
    load_model(model, folder)
    return config, model.to(nearest_device(config.device)).eval()


def _as_trained(config: Config, info: Mapping[str, Any]) -> Config:
    """``config`` with the steps that the generator has had: a run that is to grow says more, from the start on."""
    steps = info.get("gan_steps", config.gan.steps)
    return config.model_copy(update={"gan": config.gan.model_copy(update={"steps": steps})})


def model_card(folder: Path) -> Card:
    """What the model of a finished run was built for."""
    return read_card(folder, saved_info(folder).get("card"))


def evaluate_run(folder: Path, extractors: Iterable[str] = ()) -> Result:
    """Evaluate a finished run again; write record and report where it has none that can be read, or a shorter run's.

    What training cost is taken from the model. Distances by ``extractors`` are added to the record there is, and to the
    report.

    Args:
        extractors: names (``evaluation/extractors.py``) of features for more Fréchet distances.

    Raises:
        CheckpointError, DataError: as for ``load_run``, and for data that cannot be read.
        ConfigError: changed data; an extractor that is unknown, not installed, or asked of a run without a generator.
    """
    folder = Path(folder)
    wanted = list(extractors)
    config, model = load_run(folder)
    if wanted and not model.generates:
        raise ConfigError(f"{folder} trained no generator (gan.steps=0): extractor {wanted[0]} has no samples to see")
    ready = [extractor(name) for name in wanted]
    with threads(config.threads), named(folder):
        prepared = prepare_again(config, model_card(folder), folder)
        result = measure(config, model, prepared, folder, ready)
        stored = _record(folder)
        if stored is None or stored.steps != result.steps:  # or it was grown, and interrupted before its record
            _write_results(folder, result, model, prepared.splits, config.seed)
        elif wanted:
            asked = {each.name for each in ready}
            new = [each for each in result.fidelity if each.extractor in asked]  # the judge's stays as it was
            write_text(folder / RESULT, _with_distances(stored, [*stored.fidelity, *new]).to_json())
            write_report(folder)
    return result


def _record(folder: Path) -> Result | None:
    """The record of a finished run, if it can be read."""
    with suppress(FileNotFoundError, CheckpointError):
        return Result.from_json((folder / RESULT).read_bytes())
    return None


def _with_distances(record: Result, distances: Iterable[Fidelity]) -> Result:
    """``record`` with ``distances``: of those by one extractor the last, in the place of the first."""
    return replace(record, fidelity=tuple({each.extractor: each for each in distances}.values()))


def plan(config: Config, *, out: Path = Path("runs"), splits: Splits | None = None) -> dict[str, object]:
    """What ``run`` would do, with all of its checks made, as words and numbers by name; arguments as for ``run``.

    Raises:
        NemganError: whatever ``run`` would be refused for.
    """
    with threads(config.threads) as n_threads:
        device = pick_device(config.device)
        check_writable(out)
        prepared = prepare(config, splits=splits)
        card = prepared.card
        model = make_model(config, card)
        stages = model.stages(Pool.of(prepared.train))
        return {
            "model": f"{config.model}, preset {config.preset}, conditions {model.conditions}",
            "data": config.data,
            "samples": f"{len(prepared.train)} for training, {len(prepared.splits.test)} held out",
            **({"columns": card.table.summary(len(card.table.columns))} if card.table else {}),
            "sample shape": list(card.shape),
            "labels used": _labels_by_class(prepared.train) if card.labels_used else 0,
            "clusters": card.n_clusters,
            "prior": _named_masses(config, card) or [round(mass, 4) for mass in card.prior or ()] or "learned",
            "stages": [
                f"{stage.name} ({stage.steps} steps{'' if stage.needed is None else ', if needed'})" for stage in stages
            ],
            "parameters": sum(each.numel() for each in model.parameters() if each.requires_grad),
            "device": f"{device}, {n_threads} threads",
            "run folders in": str(out),
        }


def _labels_by_class(train: Dataset) -> str:
    """``12 (fraud 3, legit 9)``: how many samples have a label, and of which classes these are."""
    counts = [f"{name} {(train.y == c).sum()}" for c, name in enumerate(train.class_names)]
    return f"{(train.y >= 0).sum()} ({listed(counts, 20)})"


def _named_masses(config: Config, card: Card) -> list[str]:
    """The masses given to the model, each behind the class whose cluster has it; empty where no class has one."""
    if not (card.labels_used or config.prior == "matched" or config.given_by_class):
        return []
    names = [*card.class_names, *(f"cluster {k}" for k in range(len(card.class_names), card.n_clusters))]
    return [f"{name} {round(mass, 4):g}" for name, mass in zip(names, card.prior or (), strict=False)]


def resumed(config: Config, words: Iterable[str], folder: Path) -> Config:
    """``config`` with what ``words`` may change in it: more steps of the generator, the device.

    Raises:
        ConfigError: the first other key that differs, with both values.
    """
    before = flat(config)
    changed = build({**before, **parse_overrides(words)})
    for key, value in flat(changed).items():
        if value != before[key] and key != "device" and not (key == "gan.steps" and value > before[key]):
            raise ConfigError(
                f"cannot resume {folder} with {key}={show(value)}: it was started with {key}={show(before[key])}; "
                "drop that setting, or start a new run"
            )
    return changed


@contextmanager
def threads(n: int | None) -> Iterator[int]:
    """Run with ``n`` CPU threads (as many as torch has now where None), and put the numbers back.

    All libraries get the same number, for speed on a busy machine as much as for equal sums on another one.
    """
    import sklearn.manifold  # noqa: F401 - its pool of threads has to be loaded to be limited
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    n = before if n is None else n
    try:
        with threadpool_limits(n):
            torch.set_num_threads(n)
            yield n
    finally:
        torch.set_num_threads(before)


@contextmanager
def named(folder: Path) -> Iterator[None]:
    """Note on every error that passes through which run folder it concerns."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"run folder: {folder}")
        raise


def _finish(
    config: Config, prepared: Prepared, model: Model, folder: Path, *, resume: bool, quiet: bool, started: float
) -> None:
    """Train (on), then evaluate, and write model, record, pictures and report."""
    pool = Pool.of(prepared.train, model.device)
    watch, before = config.train, _record(folder) if resume else None

    def ready() -> None:
        """Write the configuration, which has more steps than it had where a run is to grow."""
        write_json(folder / CONFIG, config.model_dump(mode="json"))

    log = train(
        model,
        pool,
        seed=config.seed,
        folder=folder,
        resume=resume,
        log_every=watch.log_every,
        checkpoint_every=watch.checkpoint_every,
        hooks=[
            hooks.held_out(
                prepared.splits,
                every=watch.evaluate_every,
                seed=config.seed,
                elapsed=hooks.stopwatch(folder, started),
            ),
            hooks.sample_grid(folder, every=watch.sample_every, seed=config.seed),
        ],
        ready=ready if resume else None,
        progress=not quiet,
    )
    save_model(
        model,
        folder,
        {
            "seconds": log.seconds,
            "steps": log.steps,
            "gan_steps": config.gan.steps,
            "seconds_to_acc_95": hooks.seconds_to_good(log.rows),
            "card": asdict(prepared.card),
        },
    )
    result = measure(config, model, prepared, folder)
    if before and before.steps == result.steps:  # of a finished run: distances that were added since are still true
        result = _with_distances(result, [*before.fidelity, *result.fidelity])
    _write_results(folder, result, model, prepared.splits, config.seed)


def _write_results(folder: Path, result: Result, model: Model, splits: Splits, seed: int) -> None:
    """Write the record of a run, its report's pictures, and its report."""
    write_text(folder / RESULT, result.to_json())
    save(folder / PICTURES, collect(model, splits, seed=seed))
    write_report(folder)


def measure(
    config: Config, model: Model, prepared: Prepared, folder: Path, extractors: Sequence[Extractor] = ()
) -> Result:
    """The record of a trained model. The judge and every score are made here, after training, and go nowhere else."""
    cost = load_model(model, folder)
    facts = Facts(
        model=config.model,
        data=config.data,
        preset=config.preset,
        seed=config.seed,
        labels_used=prepared.card.labels_used,
        cluster_names=prepared.card.cluster_names,
        prior=config.prior,
        seconds=float(cost["seconds"]),
        steps=int(cost["steps"]),
        seconds_to_acc_95=cost["seconds_to_acc_95"],
        changed=changed(config, prepared.card, len(prepared.train)),
        versions={name: str(value) for name, value in versions(str(model.device)).items()},
    )
    judge = judge_of(prepared.splits, JUDGE_SEED, data_root() / "judges") if model.generates else None
    return evaluate(model, prepared.splits, judge=judge, facts=facts, extractors=extractors)
