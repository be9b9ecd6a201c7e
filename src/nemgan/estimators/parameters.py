"""Parameters of the estimators, read and checked: masses and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.errors import ConfigError

Float = NDArray[np.float64]


def masses_of(values: Any, n: int, zero: bool = False, classes: Sequence[Any] = ()) -> Float:
    """Masses ``(n,)`` as given, summing to one: one a cluster, or a mapping of the ``classes`` that the first are.

    A mass may be zero where ``zero``, but in a mapping.
    """
    from nemgan.prior import check_masses, masses_by_class

    if isinstance(values, str):
        if values != "uniform":
            raise ConfigError(f"priors={values!r}: give 'uniform' or one mass a cluster")
        return np.full(n, 1 / n)
    if isinstance(values, Mapping):
        try:
            named = [(str(name), float(mass)) for name, mass in values.items()]
        except (TypeError, ValueError):
            raise ConfigError(f"priors={values!r}: give one mass a class") from None
        return masses_by_class(named, list(map(str, classes)), n)
    try:
        masses = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"priors={values!r}: give one mass a cluster") from None
    if zero and masses.shape == (n,) and (masses >= 0).all() and abs(masses.sum() - 1) <= 1e-3:
        return np.asarray(masses / masses.sum())
    return check_masses(masses, n)


def settings_of(settings: Any) -> dict[str, Any]:
    """Settings of the model by dotted key as a new dictionary, NumPy's numbers as Python's, empty for None.

    Raises:
        ConfigError: no mapping.
    """
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise ConfigError(f"settings={settings!r}: give dotted keys and their values, as in {{'gan.steps': 4}}")
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in settings.items()}


def seed_of(random_state: Any) -> int:
    """A seed of 31 bits from an integer, a NumPy generator (which moves on) or, for None, the system's entropy."""
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool) and random_state >= 0:
        return int(random_state) % 2**31
    if random_state is None:
        random_state = np.random.default_rng()
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    raise ConfigError(f"random_state={random_state!r}: give an integer of 0 or more, a NumPy generator or None")
