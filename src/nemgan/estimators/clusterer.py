"""NEMGAN as a clusterer of scikit-learn."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from nemgan.errors import ConfigError, DataError
from nemgan.estimators.labels import encode
from nemgan.estimators.layout import learn, naming_words
from nemgan.estimators.parameters import masses_of, seed_of
from nemgan.seeding import numpy_generator

if TYPE_CHECKING:
    from nemgan.experiments.config import Config

Array = NDArray[Any]
Float = NDArray[np.float64]


class NEMGANClusterer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Clusters of imbalanced data, their masses, and new samples of each.

    Args:
        n_clusters: number of clusters; by default the number of classes in ``y``, or 2 without labels.
        priors: masses of the clusters: ``"learn"`` (or ``"learned"``, the command line's word), ``"uniform"``, one
            mass a cluster ``(M,)``, with labels in the order of ``classes_``, or then ``{class: mass}``.
        generate: also train the generator, which ``sample`` and ``transform`` need; without it fitting is faster.
        preset: of the model (``nemgan models``).
        max_steps: steps of each stage of training at most; by default the preset's, fewer for small data.
        settings: further settings of the model by dotted key, such as ``{"gan.steps": 500}``.
        image_shape: shape of one image, ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``, where X holds flat images.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``, or torch's own.
        random_state: an integer (equal integers give equal results), a NumPy generator, or None for a new seed each
            time. No global generator is read or moved.
        verbose: show progress on standard error while fitting.

    Attributes:
        labels_: cluster of each training sample ``(N,)``, from 0. Without labels or given masses the clusters are
            numbered from the largest; with labels cluster k is class ``classes_[k]``.
        margins_: of each training sample ``(N,)``, how far the next likeliest cluster's probability is behind, in
            [0, 1]; ``margins_.argsort()`` lists the samples to look at first.
        classes_: classes found in ``y``, in order of their value; empty without labels. Clusters beyond them are new.
        n_clusters_: number of clusters M.
        priors_: masses of the clusters ``(M,)``, summing to one.
        priors_interval_: their 95 % intervals ``(M, 2)`` over draws of the data, this clustering taken as given;
            ``nemgan.priors.estimate_priors`` also repeats the clustering. Given masses are both ends of theirs.
        confidence_: share of the clustering's entropy on which training samples and their nearest in the model's own
            features agree, at most 1; ``score`` asks five neighbours in X itself, and is the stricter.
        suggested_n_clusters_: a number of clusters that fits the data clearly better than ``n_clusters_``, by evidence
            without labels; None where there is none, with labels, and in estimators saved before it was kept.
        model_: the trained ``nemgan.models.base.Model``.
        n_features_in_, feature_names_in_: as in scikit-learn; images count all their pixels.
    """

    def __init__(
        self,
        n_clusters: int | None = None,
        *,
        priors: Literal["learn", "learned", "uniform"] | ArrayLike | Mapping[Any, float] = "learn",
        generate: bool = True,
        preset: str = "connected",
        max_steps: int | None = None,
        settings: Mapping[str, Any] | None = None,
        image_shape: Sequence[int] | None = None,
        device: Any = "auto",
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.n_clusters = n_clusters
        self.priors = priors
        self.generate = generate
        self.preset = preset
        self.max_steps = max_steps
        self.settings = settings
        self.image_shape = image_shape
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> NEMGANClusterer:
        """Find the clusters of X and learn to generate from each.

        Args:
            X: vectors ``(N, D)``; images ``(N, H, W, C)``, ``(N, C, H, W)`` or ``(N, H, W)``, uint8, in [0, 1] or
                0 … 255; or flat images with ``image_shape``. At least two samples that are not all alike.
            y: labels ``(N,)`` of any kind; −1 where unknown. They take part in the training. With more classes than
                clusters they cannot, and a warning says so.

        Raises:
            ValueError: bad data or parameters; the message names cause and fix. The estimator is then as it was before.
        """
        before = dict(self.__dict__)
        try:
            self._fit(X, y)
        except BaseException:  # half of another fit would go on predicting
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        empty = np.flatnonzero(np.bincount(self.labels_, minlength=self.n_clusters_) == 0)
        if len(empty):
            named = [str(self.classes_[k]) for k in empty if k < len(self.classes_)]
            warnings.warn(
                f"no sample is found in the cluster of class {', '.join(named)}: give more samples of it"
                if named
                else f"no sample is in cluster {', '.join(map(str, empty))}: fewer than {self.n_clusters_} clusters "
                "were found; lower n_clusters, or give more samples",
                UserWarning,
                stacklevel=2,
            )
        if (better := self.suggested_n_clusters_) is not None:
            warnings.warn(
                f"{better} clusters may fit the data better than {self.n_clusters_}: try n_clusters={better}, or give "
                "labels",
                UserWarning,
                stacklevel=2,
            )
        return self

    def _fit(self, X: ArrayLike, y: ArrayLike | None) -> NEMGANClusterer:
        from nemgan.estimators.fitting import ask, fit_model, mass_interval, suggested
        from nemgan.evaluation.margins import margins

        x = self._validate(X, reset=True)
        self._layout = learn(x, self.image_shape)
        self.n_features_in_ = self._layout.n_features
        n = len(x)
        codes, classes = encode(y, n) if y is not None else (np.full(n, -1, np.int64), np.empty(0, np.int64))
        self.n_clusters_ = self._count(n, len(classes))
        if len(classes) > self.n_clusters_:
            warnings.warn(
                f"y has {len(classes)} classes but n_clusters={self.n_clusters_}: the labels are left out; "
                "raise n_clusters or drop y",
                UserWarning,
                stacklevel=3,
            )
            codes, classes = np.full(n, -1, np.int64), classes[:0]
        prior = self._prior(classes)
        self._seed = seed_of(self.random_state)
        self._config = self._settings(n)
        if not self._config.conditions.C3 and (prior is None or np.ptp(prior) > 0):
            raise ConfigError(
                "settings has conditions.C3=False, which assumes equal masses: use priors='uniform' with it"
            )
        samples = self._layout.to_model(x)
        if self.n_clusters_ > 1 and (samples == samples[0]).all():
            raise DataError(f"all {n} samples of X are identical: give data that vary, or n_clusters=1")
        names = tuple(str(name) for name in classes)
        self.model_ = fit_model(
            samples, codes, names, self._config, self.n_clusters_, prior, self._seed, verbose=bool(self.verbose)
        )
        self.classes_ = classes
        self._order = np.arange(self.n_clusters_)
        masses = self.model_.masses().cpu().double().numpy()
        posterior = ask(self.model_, samples, "posterior")
        if not len(classes) and (prior is None or isinstance(self.priors, str)):
            self._order = np.argsort(-(masses if prior is None else posterior.sum(0)), kind="stable")
        posterior = posterior[:, self._order]
        self.labels_, _, self.margins_ = margins(posterior)
        self.priors_ = masses[self._order] / masses.sum() if prior is None else prior
        self.priors_interval_ = (
            mass_interval(posterior, self._seed) if prior is None else np.stack([prior, prior], axis=1)
        )
        self.confidence_ = float(getattr(self.model_, "confidence", np.nan)) if self.n_clusters_ > 1 else 1.0
        self.suggested_n_clusters_ = None if (codes >= 0).any() else suggested(self.model_, self.n_clusters_)
        self._n_features_out = int(self._config.latent.dim)
        return self

    def fit_predict(self, X: ArrayLike, y: ArrayLike | None = None) -> NDArray[np.int64]:
        """``fit`` and return ``labels_``; unlike a plain clusterer's, it uses the labels in ``y``."""
        return np.asarray(self.fit(X, y).labels_, np.int64)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Cluster of each sample ``(N,)``."""
        return np.asarray(self.predict_proba(X).argmax(1), np.int64)

    def predict_proba(self, X: ArrayLike) -> Float:
        """Probability of each cluster ``(N, M)``, rows summing to one."""
        return self._ask(X, "posterior")[:, self._order]

    def transform(self, X: ArrayLike) -> Float:
        """The latent point ẑ of each sample, the one from which the generator would make it, ``(N, dim)``."""
        self._need_generator("transform")
        return self._ask(X, "invert")

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """Share of the clustering's entropy on which samples and the five nearest in X agree, at most 1; y is ignored.

        It needs no labels, so that it may choose parameters. One cluster scores 0.
        """
        from nemgan.estimators.neighbours import kept_together

        check_is_fitted(self)
        samples = self._layout.to_model(self._validate(X, least=2))
        return kept_together(samples, self._ask(X, "posterior"))

    def sample(
        self,
        n: int = 1,
        cluster: int | str | None = None,
        priors: Literal["uniform"] | ArrayLike | Mapping[Any, float] | None = None,
        random_state: Any = None,
    ) -> tuple[Array, NDArray[np.int64]]:
        """``n`` new samples, shaped and typed as those in ``fit``, and their clusters ``(n,)``.

        Args:
            cluster: draw from it alone: its number or, where labels have named every cluster, its class, if a word.
                Every sample comes straight from its cluster's modes; one that the model puts in another cluster is
                drawn again, nine times at most (``gan.redraws``).
            priors: masses to draw clusters by ``(M,)``, ``{class: mass}`` or ``"uniform"``; by default ``priors_``.
            random_state: by default the estimator's, so that a second call gives the same samples.

        Raises:
            ValueError: no such cluster, masses that are none, or no generator.
        """
        from nemgan.estimators.fitting import draw

        self._need_generator("sample")
        if not isinstance(n, numbers.Integral) or n < 0:
            raise ConfigError(f"n={n!r}: give a number of samples, 0 or more")
        seed = self._seed if random_state is None else seed_of(random_state)
        if cluster is not None:
            words = self.classes_.tolist()
            if isinstance(cluster, str) and len(words) == self.n_clusters_ and cluster in words:
                cluster = words.index(cluster)
            if not isinstance(cluster, numbers.Integral) or not 0 <= cluster < self.n_clusters_:
                raise ConfigError(f"there is no cluster {cluster!r}: choose one of 0 … {self.n_clusters_ - 1}")
            if priors is not None:
                raise ConfigError("cluster and priors are both given: drop one")
            clusters = np.full(n, cluster, np.int64)
        else:
            masses = (
                self.priors_ if priors is None else masses_of(priors, self.n_clusters_, True, self.classes_.tolist())
            )
            clusters = numpy_generator(seed, "clusters").choice(self.n_clusters_, int(n), p=masses)
        return self._layout.from_model(draw(self.model_, self._order[clusters], seed)), clusters

    def save(self, folder: Path | str) -> Path:
        """Write ``FOLDER/config.json`` and ``FOLDER/model.safetensors``; ``NEMGANClusterer.load`` reads them."""
        from nemgan.estimators.saving import save

        check_is_fitted(self)
        return save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str) -> NEMGANClusterer:
        """The fitted estimator that ``save`` wrote. Nothing in the files is ever executed.

        Raises:
            CheckpointError: files that are missing, damaged or of something else.
        """
        from nemgan.estimators.saving import load

        return load(cls, Path(folder))

    def __getstate__(self) -> dict[str, Any]:
        from nemgan.estimators.saving import pack

        return pack(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        from nemgan.estimators.saving import unpack

        super().__setstate__(unpack(state))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags

    # within

    def _validate(self, X: ArrayLike, reset: bool = False, least: int = 1) -> Array:
        """X as an array of finite numbers, its number of columns and their names checked or (``reset``) learned."""
        shape = getattr(X, "shape", None)
        n_dims = np.asarray(X).ndim if shape is None else len(shape)
        if n_dims > 2 or (not reset and self._layout.images):  # scikit-learn counts columns of tables only
            if reset and hasattr(self, "feature_names_in_"):  # of a table that was fitted before
                del self.feature_names_in_
            if n_dims == 2 and hasattr(self, "feature_names_in_"):  # flat images, of a table of pixels
                validate_data(self, X, reset=False, skip_check_array=True)
            with naming_words(X):
                return np.asarray(check_array(X, allow_nd=True, order="C", ensure_min_samples=2 if reset else least))
        with naming_words(X):  # in one order of memory, since sums depend on it
            x = np.asarray(validate_data(self, X, reset=reset, order="C", ensure_min_samples=2 if reset else least))
            return x.astype(np.float64) if x.dtype.kind == "O" else x  # categories are left as they are till here

    def _ask(self, X: ArrayLike, what: Literal["posterior", "invert"]) -> Float:
        from nemgan.estimators.fitting import ask

        check_is_fitted(self)
        return ask(self.model_, self._layout.to_model(self._validate(X)), what)

    def _need_generator(self, what: str) -> None:
        check_is_fitted(self)
        if self._config.gan.steps == 0:
            raise ConfigError(f"{what} needs the generator, which was not trained: fit with generate=True")

    def _count(self, n: int, n_classes: int) -> int:
        found = self.n_clusters if self.n_clusters is not None else max(n_classes, 2)
        if not isinstance(found, numbers.Integral) or isinstance(found, bool) or found < 1:
            raise ConfigError(f"n_clusters={found!r}: give a whole number, 1 or more")
        if found > n:
            raise DataError(f"n_samples={n} should be >= n_clusters={found}: lower n_clusters or give more samples")
        return int(found)

    def _prior(self, classes: Array) -> Float | None:
        if isinstance(self.priors, str):
            if self.priors not in ("learn", "learned", "uniform"):
                raise ConfigError(f"priors={self.priors!r}: give 'learn', 'uniform' or one mass a cluster")
            return np.full(self.n_clusters_, 1 / self.n_clusters_) if self.priors == "uniform" else None
        return masses_of(self.priors, self.n_clusters_, classes=classes.tolist())

    def _settings(self, n: int) -> Config:
        from nemgan.estimators.plan import settings_for

        if self.max_steps is not None and (not isinstance(self.max_steps, numbers.Integral) or self.max_steps < 1):
            raise ConfigError(f"max_steps={self.max_steps!r}: give a whole number, 1 or more, or None")
        config = settings_for(
            self.preset,
            self._layout.model_shape,
            n,
            self.n_clusters_,
            max_steps=self.max_steps,
            generate=bool(self.generate),
            overrides=self.settings,
        )
        return config.model_copy(update={"device": str(self.device), "preset": self.preset})
