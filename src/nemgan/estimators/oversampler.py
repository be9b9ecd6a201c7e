"""NEMGAN as an over-sampler of imbalanced-learn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nemgan.errors import ConfigError, DataError, MissingExtra
from nemgan.estimators.clusterer import NEMGANClusterer
from nemgan.estimators.layout import naming_words, of_kinds
from nemgan.estimators.parameters import settings_of

try:
    from imblearn.over_sampling.base import BaseOverSampler
except ImportError:
    raise MissingExtra("NEMGANOverSampler", "imbalanced-learn", "imbalanced") from None

Array = NDArray[Any]


OURS = ("random_state", "n_clusters", "priors", "preset", "max_steps", "settings", "image_shape", "device", "verbose")
"""Parameters that the clusterer checks."""
AUGMENT = 1.0
"""Changes of images from which new ones are learned: ones that do not change what they show (``data.augment``)."""


class NEMGANOverSampler(BaseOverSampler):  # type: ignore[misc]
    """Balances classes, or clusters that it finds itself, with newly generated samples.

    Every new sample comes straight from its class's own modes, so that a rare class costs no more than a common one.
    Where classes are given, none is drawn again: those near the border teach a classifier most (docs/notebook.md); of
    clusters that it finds itself, one that the model puts elsewhere is. The given samples come first in the result,
    unchanged and in their order. New images are learned from turned, shifted and thickened copies of the given
    ones, so that a class of twenty images becomes more than those twenty again; ``settings={"gan.augment": 0}`` learns
    from the images as they are.

    Args:
        sampling_strategy: how many of which, as everywhere in imbalanced-learn: a word (``"auto"`` makes all classes
            as large as the largest), a ratio, a dict class → number wanted, or a function of y that returns one.
        n_clusters, priors: of the clusters to find, where no y is given; as in ``NEMGANClusterer``.
        random_state, preset, max_steps, settings, image_shape, device, verbose: as in ``NEMGANClusterer``.

    Attributes:
        clusterer_: the fitted ``NEMGANClusterer``; None if nothing was missing.
        sampling_strategy_: new samples of each class.
        n_features_in_: numbers a sample.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseOverSampler._parameter_constraints,
        **dict.fromkeys(OURS, "no_validation"),
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = 0,
        n_clusters: int | None = None,
        priors: Any = "learn",
        preset: str = "connected",
        max_steps: int | None = None,
        settings: Mapping[str, Any] | None = None,
        image_shape: Sequence[int] | None = None,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.n_clusters = n_clusters
        self.priors = priors
        self.preset = preset
        self.max_steps = max_steps
        self.settings = settings
        self.image_shape = image_shape
        self.device = device
        self.verbose = verbose

    def fit_resample(self, X: ArrayLike, y: ArrayLike | None = None, **params: Any) -> tuple[Any, Any]:
        """X with the new samples after it, and the class of each.

        Args:
            X: vectors ``(N, D)``, a table, or images as ``NEMGANClusterer.fit`` takes them.
            y: class of each sample ``(N,)``; all of them are known, so that −1 is a class like another. Without it,
                clusters are found, balanced, and their numbers returned as the classes.

        Raises:
            ValueError: bad data or parameters, or a strategy that does not fit the classes.
        """
        settings = settings_of(self.settings)
        if settings.get("gan.steps") == 0:
            raise ConfigError("gan.steps=0 trains no generator, and new samples are made by it: leave it out")
        if settings.get("conditions.C3") is False:
            raise ConfigError(
                "conditions.C3=False assumes equal masses, and classes to be balanced have none: leave it out"
            )
        dims = getattr(X, "ndim", None) or np.ndim(X)
        images = dims > 2
        given: Any = np.asarray(X) if images else X
        found = None
        if y is None:
            found = self._clusterer(images, {}, n_clusters=self.n_clusters, priors=self.priors).fit(given)
            y = found.labels_
        elif images and not hasattr(y, "dtype"):
            y = np.asarray(y)
        shape = given.shape[1:] if images else None
        rows = given.reshape(len(given), -1) if images else given
        self._found, self._shape, self._kinds = found, shape, tuple(getattr(X, "dtypes", ()))
        try:
            with naming_words(X):
                x_all, y_all = super().fit_resample(rows, y, **params)
        finally:
            del self._found, self._shape, self._kinds
        return (x_all.reshape(len(x_all), *shape) if shape is not None else x_all), y_all

    def fit(self, X: ArrayLike, y: ArrayLike, **params: Any) -> NEMGANOverSampler:
        """Check X and y and count what is missing; ``fit_resample`` does the work."""
        given: Any = np.asarray(X) if np.ndim(X) > 2 else X
        super().fit(given.reshape(len(given), -1) if np.ndim(X) > 2 else X, y, **params)
        return self

    def _check_X_y(self, X: Any, y: Any, accept_sparse: Any = None) -> Any:
        return super()._check_X_y(X, y, accept_sparse=False)

    def _fit_resample(self, X: Array, y: Array) -> tuple[Array, Array]:
        self.clusterer_ = None
        wanted = {label: int(n) for label, n in self.sampling_strategy_.items() if n > 0}
        if not wanted:
            return X.copy(), y.copy()
        classes, codes = np.unique(y, return_inverse=True)
        if -1 in classes.tolist():
            warnings.warn(
                "label -1 is taken for a class, and balanced with the others: leave out samples without a label, or "
                "find their classes by NEMGANClusterer first",
                UserWarning,
                stacklevel=2,
            )
        alone = [str(label) for label in wanted if (y == label).sum() == 1]
        if alone:
            warnings.warn(
                f"one sample alone is given of class {', '.join(alone)}: new ones can only be near copies of it",
                UserWarning,
                stacklevel=2,
            )
        samples = X.reshape(len(X), *self._shape) if self._shape else X
        clusterer = self._found
        if clusterer is None:
            shares = np.bincount(codes) / len(codes)
            # classes are given: nothing is left to tell, and new ones near the border teach most
            own = {"connect.second_look": False, "gan.redraws": 0, "gan.marginals": False}
            clusterer = self._clusterer(self._shape is not None, own, n_clusters=len(classes), priors=shares)
            clusterer.fit(samples, codes)
            cluster_of = {label: k for k, label in enumerate(classes.tolist())}
        else:
            cluster_of = {label: label for label in classes.tolist()}
        self.clusterer_ = clusterer
        parts, labels = [X], [y]
        for label, n in wanted.items():
            if label not in cluster_of:
                raise DataError(f"sampling_strategy asks for class {label!r}, which y does not have")
            new, _ = clusterer.sample(n, cluster=int(cluster_of[label]))
            parts.append(of_kinds(new.reshape(n, -1), self._kinds).astype(X.dtype, copy=False))
            labels.append(np.full(n, label, y.dtype))
        return np.concatenate(parts), np.concatenate(labels)

    def _clusterer(self, images: bool, own: dict[str, Any], **more: Any) -> NEMGANClusterer:
        if images or self.image_shape is not None:
            own = {"gan.augment": AUGMENT, **own}
        return NEMGANClusterer(
            preset=self.preset,
            max_steps=self.max_steps,
            settings={**own, **settings_of(self.settings)},
            image_shape=self.image_shape,
            device=self.device,
            random_state=self.random_state,
            verbose=self.verbose,
            **more,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags
