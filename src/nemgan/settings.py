"""What shapes a model: typed, checked and frozen sections that a run's configuration is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=0)]
Batch = Annotated[int, Field(ge=2)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


DISJOINT = 0.5
"""Half-width of the latent noise from which modes overlap."""


class Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class LatentConfig(Section):
    """z = y + ν₂ (paper, section III.A)."""

    dim: Count = 50
    """Numbers in z; at least as many as there are modes."""
    noise: Positive = 0.3
    """Half-width w of ν₂ ~ U[−w, w]; the modes are disjoint only for w < 0.5."""


class NetworkConfig(Section):
    """Sizes of the networks. ``style`` picks the family, ``width`` its first number of channels."""

    style: Literal["compact", "reference"] = "compact"
    """``compact``: ours, small; ``reference``: the authors' released architecture (images alone), of fixed widths."""
    width: Count = 32
    """Of generator and critic: channels nearest the image; of vectors, a quarter of the hidden units."""
    inverter_width: Count = 16
    """The same of h (or of a rival's encoder)."""
    inverter_style: Literal["same", "pooled"] = "same"
    """``pooled``: h ends in a mean over the map; with ``contrast.steps`` its own features are then contrastive."""


class ConditionsConfig(Section):
    """Switches for the paper's conditions; off gives the ablated model."""

    C1: bool = True
    """The modes of the latent space are disjoint; off, they may overlap, by ``latent.noise`` of 0.5 and more."""
    C2: bool = True
    """Generated samples are inverted: the generator learns from h, and the critic may see pairs. Off, a connected h
    still finds the clusters, for it learns from real samples alone."""
    C3: bool = True
    """Clusters have the masses that are given or learned; off, equal ones (``prior=uniform``)."""


class ConnectConfig(Section):
    """The connected inverter: h learns from the data's own neighbourhoods (docs/theory.md)."""

    samples: Batch = 20_000
    """So many training samples are used, and all labelled ones; of more, the same steps would see each less often."""
    micro_modes: Count = 20
    """Small modes that h first sorts samples into, and that are merged into the clusters; no fewer than these."""
    neighbours: Count = 10
    """Nearest samples that are looked up for each; fewer where clusters are smaller (few samples, known masses)."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Of the raw samples. By angle (``cosine``), images that differ in brightness alone are alike."""
    weights: Literal["local", "flat"] = "local"
    """Of neighbours: by distance, scaled to the density around each sample (UMAP's kernel), or all alike."""
    balance: Weight = 5.0
    """Weight of KL(mean ŷ ‖ P_Y)."""
    augment: Weight = 1.0
    """Strength of the augmentation; 0 is none."""
    steps: Steps = 400
    """Steps of learning the micro-modes, in each restart; 0 leaves all of these stages out."""
    restarts: Count = 1
    """Times to learn and merge micro-modes from anew; the merge that costs least is kept. Three for vectors, and for
    fewer than 3,000 grey images of one's own of 16 pixels and more."""
    refresh: Count = 100
    """Steps between looking neighbours up anew, in h's features, not the raw samples; half that in refining."""
    raw_share: Fraction = 0.0
    """Share of neighbours still taken from the raw samples after that."""
    refine_steps: Steps = 200
    """Steps of training h on the merged clusters."""
    batch: Batch = 128
    """Pairs of neighbours a step."""
    lr: Positive = 3e-3
    """Learning rate of h, at its highest."""
    partitions: Count = 8
    """Partitions of the samples that are merged and vote on the clusters."""
    votes_weight: Weight = 0.0
    """Weight of the votes' cross-entropy while the clusters are refined."""
    micro_weight: Weight = 0.3
    """Weight of the micro-modes' loss while the clusters are refined."""
    second_look: bool = False
    """A second look at images when h has learned, at their edges and patches. It learns from labels where every cluster
    has some and then from what both decide, else from h's decisions and then from its own. On for images of 16 pixels
    and more."""


class ContrastConfig(Section):
    """Contrastive features: of h's own trunk, in place of ``connect``, where ``network.inverter_style`` is ``pooled``
    (colour, where neighbours in pixels mislead); else of a second network, whose neighbours join those in pixels where
    merges by these disagree."""

    steps: Steps = 0
    """Steps of learning them; 0 is none, as for fewer than 3,000 grey images of one's own."""
    below: Weight = 0.9
    """Agreement of the merges below which the second network learns at all; above 1 it always does. With
    ``connect.partitions=1`` there is nothing to agree with, and no doubt."""
    judged: Weight = 0.0
    """Without labels, agreement of the merges that vote (which leave out those of another mind) below which the second
    network learns too: the half of them is heard that cuts least of its neighbours apart."""
    share: Fraction = 0.67
    """Share of the second network's neighbours among all by which h learns, and among those that are cut apart."""
    width: Count = 32
    """First number of channels of the second network."""
    area: Fraction = 0.25
    """Least part of an image that a view shows, about. What lies where tells clothes apart, and small parts lose it."""
    batch: Batch = 128
    """Images a step, two views each."""
    lr: Positive = 2e-3
    """Learning rate of the trunk, at its highest."""
    temperature: Positive = 0.3
    """Of the contrastive loss: the lower, the more the most similar other images count."""
    crop: Fraction = 0.625
    """Side of a view over that of an image; small views cost little."""
    fit_steps: Steps = 600
    """Steps of fitting h's mode layer to the votes, its trunk as it is."""


class GanConfig(Section):
    """The adversarial stage."""

    loss: Literal["wgan-gp", "hinge", "logistic"] = "hinge"
    """Adversarial loss; with ``hinge`` the critic is spectrally normalised."""
    steps: Steps = 1500
    """Steps of training the generator; 0 trains none, where the clusters have been found without it."""
    batch: Batch = 64
    """Samples a step, real ones and generated ones each."""
    lr: Positive = 1e-3
    """Learning rate of the generator (and of what learns with it)."""
    critic_lr: Positive = 4e-4
    """Learning rate of the critic."""
    betas: tuple[Decay, Decay] = (0.0, 0.9)
    """Adam's β₁ and β₂."""
    critic_steps: Count = 1
    """Updates of the critic for each one of the generator."""
    penalty: Weight = 10.0
    """λ of the gradient penalty (wgan-gp) or γ of R1 (logistic)."""
    joint: bool = True
    """The critic sees (x, mode) pairs, so each mode is matched on its own; off, it sees x alone."""
    augment: Weight = 0.0
    """Strength of the changes of real samples before the critic sees them: generated ones then turn and shift as much.
    For over-sampling: from twenty images alone little else than these can be learned."""
    tones: bool = False
    """Give generated images the tones of real ones, by a monotone curve that is fitted once the generator is done. The
    estimators do, for classifiers that learn from both tell them apart by tones."""
    marginals: bool = False
    """Make each number of generated vectors as frequent as in the real ones of its cluster, by monotone curves that are
    fitted once the generator is done: rows of a table have its words and amounts as often as the table has them."""
    even: Fraction = 0.0
    """How evenly clusters are drawn in training, real and generated alike: 0 by their masses, 1 all alike. For a critic
    of pairs, as ``margin``."""
    margin: Fraction = 0.0
    """Real samples whose two likeliest clusters differ by less are not shown to the critic; of each mode the surer half
    always is."""
    inversion: Weight = 1.0
    """Weight of D(P_Ŷ, P_Y) on generated samples, by cross-entropy of h(g(z)) against the mode of z (Eq. 4)."""
    inversion_loss: Literal["cross-entropy", "binary"] = "cross-entropy"
    """``binary``: each mode's own cross-entropy, as the authors released it."""
    inversion_of: Literal["modes", "clusters"] = "modes"
    """What of generated samples h is to tell apart. In the plane micro-modes border on each other, and h is sure of one
    only off the data, and colour images vary too much; grey ones have room, and told by mode they are purer."""
    train_inverter: bool = False
    """Go on training h during the adversarial stage; always so where h has no stage of its own."""
    reconstruction: Weight = 0.0
    """Weight of ‖ẑ − z‖²."""
    redraws: Steps = 0
    """A generated sample that h puts in another cluster than its mode's is drawn again, so many times at most."""
    ema: Decay = 0.999
    """Decay of the moving average of the generator's weights, from which samples are made; 0 is none."""


class RivalConfig(Section):
    """What the rivals have beside the rest. A model takes those that its presets set; None is "has no such thing"."""

    optimiser: Literal["adam", "rmsprop"] = "adam"
    """Of all the model's networks."""
    weight_decay: Weight = 0.0
    """L2 penalty on the weights, in the optimiser."""
    decay: Fraction = 0.0
    """Share of the steps, the last ones, over which learning rates fall to nothing."""
    noise: Literal["normal", "uniform"] | None = None
    """Where z comes from: N(0, I) or U[−1, 1]."""
    clip: Positive | None = None
    """Bound on each weight of the critic (Wasserstein critics without gradient penalty)."""
    sigma: Positive | None = None
    """Standard deviation of the latent noise around a mode; the initial one where it is learned."""
    regulariser: Weight | None = None
    """Weight of mean (σ − 1)² (DeliGAN)."""
    minibatch: bool | None = None
    """Whether the critic compares the samples of a batch (minibatch discrimination)."""
    codes: Steps | None = None
    """Number of continuous codes beside the categorical one (InfoGAN)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """In a critic of pairs."""
    pretrain: Steps | None = None
    """Steps on the initial split, before the EM steps (GANMM)."""


class TrainConfig(Section):
    """What the loop does beside the updates."""

    checkpoint_every: Count = 500
    """Steps between checkpoints; stages begin and end with one in any case."""
    log_every: Count = 50
    """Steps between lines of ``metrics.jsonl``."""
    sample_every: Count = 500
    """Steps between pictures of generated samples."""
    evaluate_every: Count = 250
    """Steps between scores on the held-out samples, which training does not see."""


class ModelSettings(Section):
    """Everything a model is built from, beside the data's shape, the number of clusters, their prior and a seed."""

    latent: LatentConfig = LatentConfig()
    network: NetworkConfig = NetworkConfig()
    conditions: ConditionsConfig = ConditionsConfig()
    connect: ConnectConfig = ConnectConfig()
    contrast: ContrastConfig = ContrastConfig()
    gan: GanConfig = GanConfig()
    rival: RivalConfig = RivalConfig()

    @property
    def pooled(self) -> bool:
        """Whether contrastive features are h's own, and not those of a second network."""
        return self.contrast.steps > 0 and self.network.inverter_style == "pooled"

    @property
    def connected(self) -> bool:
        """Whether h learns from the data's own neighbourhoods, whichever way."""
        return self.connect.steps > 0 or self.pooled


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted keys, those of no section first."""
    found: dict[str, Any] = {}
    for key, value in sorted(values.items(), key=lambda item: isinstance(item[1], Mapping)):
        if isinstance(value, Mapping):
            found |= dotted(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def show(value: Any) -> str:
    """A value as it is written on the command line, without spaces."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
