"""What a run achieved, as one frozen record: ``RUN/result.json``. Reports and tables print nothing that is not here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from nemgan.counting import Count
from nemgan.errors import CheckpointError

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Facts:
    """What the run knows of itself and the evaluation cannot measure.

    Attributes:
        model, data, preset: names.
        seed: of the run; the evaluation draws its own streams from it.
        labels_used: number of training labels that were disclosed to the model; 0 is the zero-label track.
        prior: ``matched``, ``uniform``, ``learned``, or the masses that were given.
        seconds, steps: of training.
        seconds_to_acc_95: seconds from the start of the process until the held-out accuracy first reached .95.
        versions: of the software.
        cluster_names: the class whose labels each cluster was given in training, "" where none of it was.
        changed: settings of the model, dotted, that are not its preset's.
    """

    model: str
    data: str
    preset: str
    seed: int
    labels_used: int
    prior: str | Numbers
    seconds: float
    steps: int
    seconds_to_acc_95: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    cluster_names: tuple[str, ...] = ()
    changed: Mapping[str, Any] = field(default_factory=dict)


GENERATED = (
    "mode_purity",
    "mode_purities",
    "mode_diversity",
    "mode_returns",
    "generated_masses",
    "generated_found",
    "generated_vs_found_l1",
    "fidelity",
    "modes",
)
"""Fields of a record that are about generated samples; without a generator that was trained they have none to be of."""

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@checked(frozen=True, config=_STRICT)
class Fidelity:
    """How near generated samples are to test samples in one extractor's features (formulas: ``fidelity.py``).

    Attributes:
        extractor: its name; figures of different extractors do not compare.
        extractor_accuracy: on the test split, where it was trained on the data.
        n: samples on each side; figures of different n do not compare.
        fd: Fréchet distance; fd_real is that of as many real training samples, the floor.
        kid: unbiased kernel distance.
        precision, recall, density, coverage: None for five samples or fewer.
        icfd: mean of ``fd_by_cluster`` over the clusters that have one.
        fd_by_cluster: FD of a mode's samples and the test samples found in its cluster.
        diversity_by_cluster: mean pairwise distance of a mode's samples over that of its real ones.
        n_by_cluster: samples on each side of the two above.
    """

    extractor: str
    extractor_accuracy: float | None
    n: int
    fd: float
    fd_real: float
    kid: float
    precision: float | None
    recall: float | None
    density: float | None
    coverage: float | None
    icfd: float | None
    fd_by_cluster: tuple[float | None, ...]
    diversity_by_cluster: tuple[float | None, ...]
    n_by_cluster: tuple[int, ...]

    def name(self, figure: str) -> str:
        """A figure's name with what it depends on: ``fd (judge features, 2,000 samples)``."""
        return f"{figure} ({self.extractor} features, {self.n:,} samples)"


@checked(frozen=True, config=_STRICT)
class Modes:
    """How many of the data's modes ``n`` generated samples cover (protocols: ``modes.py``).

    Attributes:
        covered, of: modes that occur among the samples, and modes there are.
        kl: KL(generated ‖ true) of the shares of the modes, in nats.
        within: share of samples within 3 standard deviations of a mode's centre; None where modes have none.
        told_by: who says which mode a sample shows.
    """

    covered: int
    of: int
    kl: float
    within: float | None
    n: int
    told_by: str


@checked(frozen=True, config=_STRICT)
class Separation:
    """How far apart clusters are and how well each holds together, without labels (``separation.py``). By cluster.

    Attributes:
        nearest: the cluster least apart from it; None where it or all others are empty.
        joined: normalised cut between these two, in [0, 1]; near 0 where they are apart.
        split: normalised cut of its own best split; near 0 where it falls in two. None where it is too small.
    """

    nearest: tuple[int | None, ...]
    joined: tuple[float | None, ...]
    split: tuple[float | None, ...]

    def closest(self) -> tuple[int, int, float] | None:
        """The two clusters least apart, the lower number first, and the cut between them; None without two."""
        pairs = [
            (cut, -min(a, b), -max(a, b))
            for a, (b, cut) in enumerate(zip(self.nearest, self.joined, strict=True))
            if b is not None and cut is not None
        ]
        cut, a, b = max(pairs, default=(0.0, 0, 0))
        return (-a, -b, cut) if pairs else None

    def loosest(self) -> tuple[int, float] | None:
        """The cluster that falls in two most easily and the cut of its split; None where none could be split."""
        cuts = [(cut, k) for k, cut in enumerate(self.split) if cut is not None]
        cut, k = min(cuts, default=(0.0, 0))
        return (k, cut) if cuts else None


@checked(frozen=True, config=_STRICT)
class Ambiguous:
    """A test sample that two clusters are nearly as likely for.

    Attributes:
        id: what the data's owner calls it, or its position in the test split.
        first, second: its likeliest cluster and the next.
        margin: difference of their probabilities.
    """

    id: str
    first: int
    second: int
    margin: float


@checked(frozen=True, config=_STRICT)
class Result:
    """One run's figures. ``metrics`` gives each its full name; None is "not known", usually for want of labels.

    By class (in the data's order, then clusters no class was left for): ``learned_prior``; without labels it is by
    cluster. By class: ``generated_masses``, ``true_masses``, rows of ``confusion``. By cluster, numbered as in
    ``nemgan sample --cluster``: ``cluster_masses``, ``found_masses``, ``class_of_cluster`` (−1 = none left),
    ``mode_purities``, ``mode_diversity``, ``mode_returns``, ``generated_found``, columns of ``confusion``.
    ``fidelity`` has one entry an extractor, the judge's first where there is one.
    """

    model: str
    data: str
    preset: str
    seed: int
    labels_used: int
    prior: str | Numbers
    acc: float | None
    nmi: float | None
    ari: float | None
    purity: float | None
    macro_recall: float | None
    true_masses: Numbers | None
    learned_prior: Numbers
    prior_l1: float | None
    seconds: float
    steps: int
    seconds_to_acc_95: float | None
    versions: dict[str, str]
    judge_accuracy: float | None
    n_train: int
    n_test: int
    n_generated: int
    n_clusters: int
    class_names: tuple[str, ...]
    class_of_cluster: tuple[int, ...] | None
    confusion: tuple[tuple[int, ...], ...] | None
    cluster_masses: Numbers
    found_masses: Numbers
    confidence: float | None
    metrics: dict[str, str]
    mode_purity: float | None = None
    """As all that is about generated samples: None where the generator was not trained."""
    mode_purities: tuple[float | None, ...] | None = None
    mode_diversity: tuple[float | None, ...] | None = None
    generated_masses: Numbers | None = None
    generated_vs_found_l1: float | None = None
    fidelity: tuple[Fidelity, ...] = ()
    modes: Modes | None = None
    assigns_by: str = ""
    """How the model assigns clusters to data."""
    agreement: float | None = None
    """Mean share of training samples that two of the merges put alike; no labels are used."""
    counts: tuple[Count, ...] = ()
    """Evidence for each number of clusters, without labels."""
    has_modes: bool = True
    """Whether the model generates from one cluster at a time; where not, nothing here is by mode."""
    generated_found: Numbers | None = None
    """Share of generated samples that the model itself puts in each cluster; no labels are used."""
    mode_returns: tuple[float | None, ...] | None = None
    """Share of each mode's generated samples that the model itself puts in that cluster; None if it drew none."""
    separation: Separation | None = None
    cluster_names: tuple[str, ...] = ()
    """The class whose labels each cluster was given in training, "" where none of it was; empty without labels."""
    doubtful: float | None = None
    """Share of test samples whose margin is below one half."""
    ambiguous: tuple[Ambiguous, ...] = ()
    """The test samples of smallest margin, smallest first, in the order of the pictures."""
    conditions: str = ""
    """The paper's conditions that the model, as configured, is made to meet: ``C1 C2 Ĉ3`` is not the third."""
    changed: dict[str, Any] | None = None
    """Settings of the model, dotted, that differ from its preset's for such data: what was ablated, say."""
    schema_version: Literal[1] = 1

    def to_json(self) -> str:
        """The record as JSON text, one field a line."""
        return _RESULT.dump_json(self, indent=1).decode() + "\n"

    @property
    def n_scored(self) -> int:
        """Number of test samples that have labels, by which the labelling is scored."""
        return sum(map(sum, self.confusion or ()))

    @classmethod
    def from_json(cls, text: str | bytes) -> Result:
        """The record in ``text``.

        Raises:
            CheckpointError: not JSON, a field that is missing, unknown or of the wrong type, another schema version.
        """
        try:
            return _RESULT.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise CheckpointError(
                f"result.json cannot be read: {place}: {first['msg'].lower()}; "
                "it is damaged or of another version: write it anew with nemgan evaluate RUN"
            ) from None


_RESULT = TypeAdapter(Result)
