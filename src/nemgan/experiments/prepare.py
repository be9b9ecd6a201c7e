"""Everything a run can be refused for, found out before any work is done.

Here the two tracks part. In the zero-label track the labels are dropped before anything else sees the training
split; otherwise a seeded draw of them is kept. What is given out as ``train`` is all that training ever gets; the
full labels in ``splits`` are for evaluation alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data import catalog as data_catalog
from nemgan.data.dataset import Dataset, Splits
from nemgan.data.ondisk import blocks
from nemgan.data.subsets import hide_labels
from nemgan.errors import ConfigError, DataError
from nemgan.experiments.config import Config, build, flat, parse_overrides
from nemgan.experiments.folder import Card, digest
from nemgan.models import catalog as model_catalog
from nemgan.models.entry import Entry
from nemgan.seeding import numpy_generator
from nemgan.settings import DISJOINT, ModelSettings, show

if TYPE_CHECKING:
    from nemgan.data.columns import Columns
    from nemgan.models.base import Model


FEW, FEW_EACH = 100, 5
"""Training samples, in all and for each cluster, below which a note says that they are few."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data and decisions of a run, checked against each other.

    Attributes:
        splits: with all their labels, for evaluation alone.
        train: what training sees: undisclosed labels hidden.
        card: what the model is built for.
    """

    splits: Splits
    train: Dataset
    card: Card


def configure(words: Iterable[str]) -> Config:
    """The configuration that ``key=value`` words ask for, over the defaults of the model's preset for the data.

    >>> configure(["seed=3"]).seed
    3

    Raises:
        ConfigError, DataError: an unknown key, model, preset or data set, a value not allowed, data unreadable.
    """
    return configure_and_read(words)[0]


def configure_and_read(words: Iterable[str]) -> tuple[Config, Splits | None]:
    """``configure``, and a user's own data, which it has to read: for ``prepare``, so that they are read once."""
    overrides = parse_overrides(words)
    asked = build(overrides)
    entry = model_catalog.entry(asked.model)
    preset = asked.preset if "preset" in overrides else entry.default_preset
    shape, n_clusters, splits = _kind(asked)
    own = None if splits is None else len(splits.train)
    defaults = _usual(entry, preset, shape, n_clusters, own)
    if overrides.get("conditions.C3") is False:
        defaults["prior"] = "uniform"
    config = build(overrides, defaults)
    usual, given = flat(build({}, defaults)), flat(config)
    asked_for = [key for key in overrides if given[key] != usual[key]]
    model_catalog.refuse(config.model, asked_for)
    check_model(config)
    _check_conditions(config)
    _check_given(config, [key for key in asked_for if given[key]])
    return config, splits


def _usual(entry: Entry, preset: str, shape: tuple[int, ...], n_clusters: int, own: int | None) -> dict[str, Any]:
    """What a preset sets for such data; ``own`` is the number of training samples where they are the user's own."""
    defaults = {"preset": preset, **entry.defaults(preset, shape, n_clusters)}
    return defaults if own is None else model_catalog.restarted(defaults, shape, own)


def changed(config: Config, card: Card, n_train: int) -> dict[str, Any]:
    """The settings of the model, dotted, that differ from what its preset gives for the data of ``card``."""
    entry, own = model_catalog.entry(config.model), config.data not in data_catalog.names()
    usual = flat(build({}, _usual(entry, config.preset, card.shape, card.n_clusters, n_train if own else None)))
    given = flat(config)
    return {key: given[key] for key in flat(ModelSettings()) if given[key] != usual[key]}


def check_model(config: Config) -> None:
    """See that the model can do what is asked of it: with these labels, under this prior, in these stages.

    Raises:
        ConfigError: it cannot; the message names the models that can.
    """
    entry = model_catalog.entry(config.model)
    if config.labels and not entry.uses_labels:
        raise model_catalog.without_labels(config.model)
    if not (config.gan.steps or config.connected):
        raise ConfigError(
            f"gan.steps=0 leaves nothing to learn: model {config.model}, preset {config.preset}, finds clusters while "
            "it learns to generate; give it steps, or use model nemgan, preset connected"
        )
    if not entry.conditions["C3"] and not _equal(config):
        raise model_catalog.lacking(config.model, "C3", f"prior={show(config.prior)}")


def _equal(config: Config) -> bool:
    """Whether the clusters' masses are said to be equal."""
    given = config.prior if isinstance(config.prior, tuple) else [mass for _, mass in config.given_by_class]
    return config.prior == "uniform" or len(set(given)) == 1


def _check_conditions(config: Config) -> None:
    """See that what is switched off is off, and not undone by another setting; runs of earlier releases may be so.

    Raises:
        ConfigError: a switch that another setting contradicts, or that changes nothing.
    """
    if not config.conditions.C3 and not _equal(config):
        raise ConfigError(
            f"conditions.C3=false assumes equal masses, and prior={show(config.prior)} does not: drop one of them"
        )
    if not config.conditions.C1 and config.latent.noise < DISJOINT:
        raise ConfigError(
            f"conditions.C1=false changes nothing at latent.noise={config.latent.noise:g}, where modes do not overlap: "
            f"set latent.noise to {DISJOINT:g} or more"
        )


def _check_given(config: Config, keys: Iterable[str]) -> None:
    """See that the settings ``keys``, on and other than the preset's, can do something beside the others.

    Raises:
        ConfigError: one changes nothing.
    """
    pairs = config.gan.joint and config.conditions.C2 and config.connected and not config.gan.train_inverter
    needed = {
        "connect.second_look": (config.connected, "a connected h (connect.steps, or contrast.steps in colour)"),
        "contrast.steps": (config.connected, "a connected h (connect.steps or network.inverter_style=pooled)"),
        "gan.redraws": (config.conditions.C2, "conditions.C2=true"),
        "gan.even": (pairs, "a critic of pairs (gan.joint=true) and a connected h, done (gan.train_inverter=false)"),
        "gan.margin": (pairs, "a critic of pairs (gan.joint=true) and a connected h, done (gan.train_inverter=false)"),
    }
    for key in keys:
        there, what = needed.get(key, (True, ""))
        if not there:
            raise ConfigError(f"{key} changes nothing without {what}: drop it, or see to that")


def _kind(config: Config) -> tuple[tuple[int, ...], int, Splits | None]:
    """Sample shape and number of clusters of the configured data, and the data where their name does not say it."""
    given = config.n_clusters or (len(config.prior) if isinstance(config.prior, tuple) else 0)
    if config.data in data_catalog.names():
        known = data_catalog.entry(config.data)
        return known.shape, given or len(known.class_names), None
    splits = load(config)
    return splits.train.shape, given or splits.train.n_classes, splits


def load(config: Config, known: Columns | None = None) -> Splits:
    """The configured data, downloaded if it is a public set not on disk; ``known`` says how to read a table."""
    return data_catalog.load(
        config.data,
        seed=config.seed,
        download=True,
        how=config.reading,
        few=config.few,
        known=known,
        sparing=bool(config.labels),
    )


def prepare(config: Config, known: Columns | None = None, splits: Splits | None = None) -> Prepared:
    """Load the data, hide its labels, settle the number of clusters and the prior.

    Args:
        known: how rows of a table become vectors; by default learned from its training rows.
        splits: the configured data, where they have been read.

    Raises:
        ConfigError, DataError: whatever is wrong with the configuration for this data.
    """
    check_model(config)
    splits = load(config, known) if splits is None else splits
    for note in splits.notes:
        logging.getLogger("nemgan").warning("nemgan: note: %s", note)
    first = splits.train.x[:1]
    if all((part == first).all() for part in blocks(splits.train.x)):
        n = len(splits.train)
        raise DataError(f"all {n} training samples of {config.data} are identical: give data that vary")
    known_labels = int((splits.train.y >= 0).sum())
    if config.prior == "matched" and 0 < known_labels < len(splits.train):
        raise ConfigError(
            f"prior=matched takes the masses from the labels, which {known_labels} of {len(splits.train)} samples "
            "have, and those were picked somehow: use prior=learned with labels=, or give the masses"
        )
    matched = splits.train.masses if config.prior == "matched" else None  # the masses are known, no label is
    if not config.labels:
        train = splits.train.unlabelled()
    elif isinstance(config.labels, str):
        assert splits.few is not None
        train = replace(splits.train, y=splits.few)
    else:
        train = hide_labels(splits.train, config.labels, numpy_generator(config.seed, "labels"))
    n_clusters = _count(config, train)
    if len(train) < max(FEW, FEW_EACH * n_clusters):
        logging.getLogger("nemgan").warning(
            "nemgan: note: %d training samples are few for %d clusters: what is found may change with the seed",
            len(train),
            n_clusters,
        )
    prior = _prior(config, matched, n_clusters, train.class_names)
    labels_used = int((train.y >= 0).sum())
    named = [name if (train.y == c).any() else "" for c, name in enumerate(train.class_names)]
    card = Card(
        shape=train.shape,
        n_clusters=n_clusters,
        prior=None if prior is None else tuple(float(mass) for mass in prior),
        labels_used=labels_used,
        class_names=train.class_names,
        digest=digest(train),
        columns=() if splits.columns is None else tuple(splits.columns.to_json()),
        white=splits.white,
        cluster_names=tuple(named + [""] * (n_clusters - len(named))) if labels_used else (),
    )
    return Prepared(splits, train, card)


def _count(config: Config, train: Dataset) -> int:
    """Number of clusters: as configured, else one a class or, beside a file of few labels, one a given mass."""
    given = config.prior if isinstance(config.prior, tuple) else None
    masses = len(given) if given else 0
    n = config.n_clusters or (masses if config.few is not None else 0) or train.n_classes or masses
    if config.few is not None and n < 2:
        raise ConfigError(
            f"{config.labels} labels one class alone ({', '.join(train.class_names)}): label samples of at least two, "
            "or say n_clusters=2 or more"
        )
    if config.prior == "matched" and not (train.n_classes or config.n_clusters):
        raise ConfigError(
            f"prior=matched takes the masses from the data's own labels, and {train.name!r} has none: name a table's "
            "column of them by label_column=, or give n_clusters=2 or more with prior=learned"
        )
    if n < 2:
        raise ConfigError(
            f"data {train.name!r} does not say how many clusters it has: give n_clusters=2 or more, or a prior"
        )
    if config.label_column and not config.n_clusters and n == train.n_classes and 2 * n > len(train):
        raise ConfigError(
            f"label_column={config.label_column} has {n} different values, for {len(train)} training samples: is it "
            "the column of labels? name that one, or say n_clusters="
        )
    if n > len(train):
        raise ConfigError(f"{n} clusters but only {len(train)} training samples: lower n_clusters or give more data")
    if config.connected and max(config.connect.micro_modes, config.connect.neighbours + 1) > len(train):
        raise _too_few(config, train, n)
    if config.few is not None and n < train.n_classes:
        raise ConfigError(
            f"{config.labels} labels {train.n_classes} classes ({', '.join(train.class_names[:9])}), but "
            f"n_clusters={n}: raise n_clusters, or drop it"
        )
    if config.few is not None and n > train.n_classes and not config.connected:
        raise ConfigError(
            f"{config.labels} labels {train.n_classes} of {n} kinds, and preset {config.preset} finds none without "
            "labels: label a sample of each, or use preset=connected"
        )
    if config.few is None and config.labels and n != train.n_classes:
        raise ConfigError(
            f"labels={show(config.labels)} needs one cluster a class, but n_clusters={n} and data {train.name!r} has "
            f"{train.n_classes} classes: drop n_clusters or use labels=0"
        )
    return n


def _too_few(config: Config, train: Dataset, n: int) -> ConfigError:
    """The error for fewer training samples than ``n`` clusters or the settings of the connection need.

    It names those settings only where they are not the preset's.
    """
    own = len(train) if config.data not in data_catalog.names() else None
    entry = model_catalog.entry(config.model)
    usual, least = (build({}, _usual(entry, config.preset, train.shape, m, own)).connect for m in (n, 2))
    asked = config.connect
    if (asked.micro_modes, asked.neighbours) != (usual.micro_modes, usual.neighbours):
        return ConfigError(
            f"connect.micro_modes={asked.micro_modes} and connect.neighbours={asked.neighbours} ask for more than the "
            f"{len(train)} training samples: lower them or give more data"
        )
    needed, at_least = (max(each.micro_modes, each.neighbours + 1) for each in (usual, least))
    said = f"{len(train)} training samples are too few"
    if at_least > len(train):
        return ConfigError(f"{said}: about {at_least} are needed, give more data")
    what = f"n_clusters={n}, which needs" if config.n_clusters else f"{n} clusters, which need"
    return ConfigError(f"{said} for {what} {needed}: lower n_clusters or give more data")


def _prior(
    config: Config, matched: NDArray[np.float64] | None, n: int, classes: Sequence[str]
) -> NDArray[np.float64] | None:
    """Masses of the ``n`` clusters, the first ones those of the ``classes``; None where the model is to learn them."""
    from nemgan.prior import check_masses, masses_by_class

    if config.prior == "learned":
        alone = config.connected or model_catalog.entry(config.model).learns_masses
        if not alone and not config.labels:
            raise ConfigError(
                "prior=learned without labels needs the connected inverter: use preset=connected, labels=0.01, or give "
                "the masses with prior=matched or prior=[.7,.3]"
            )
        return None
    if config.prior == "uniform":
        return np.full(n, 1 / n)
    if isinstance(config.prior, tuple):
        return check_masses(config.prior, n)
    if config.given_by_class:
        return masses_by_class(config.given_by_class, classes, n)
    if matched is None or not matched.any():
        raise ConfigError(f"prior=matched needs labelled data, and {config.data} has none: use learned or give masses")
    if len(matched) != n:
        raise ConfigError(
            f"prior=matched has one mass a class ({len(matched)}) but n_clusters={n}: drop n_clusters or give masses"
        )
    return check_masses(matched, n)


def make_model(config: Config, card: Card) -> Model:
    """An untrained model for ``card``, on the CPU; the same for the same configuration.

    Raises:
        ConfigError: settings that make no model, such as modes that overlap.
    """
    prior = None if card.prior is None else np.asarray(card.prior)
    return model_catalog.create(config.model, config, card.shape, card.n_clusters, prior, config.seed)
