"""scikit-learn's own contract, every check of it; none is expected to fail."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from nemgan.estimators import NEMGANClusterer


# Some checks give labels of more classes than clusters, which a warning says are left out.
@pytest.mark.filterwarnings("ignore:.*the labels are left out:UserWarning")
@parametrize_with_checks([NEMGANClusterer(max_steps=12, settings={"connect.partitions": 2})])
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)
