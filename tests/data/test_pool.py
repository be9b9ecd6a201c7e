"""The pool of a training set, and a smaller one."""

import pytest
import torch

from nemgan.data.pool import Pool


def test_some_of_a_pool_keeps_every_label():
    pool = Pool(torch.arange(50.0)[:, None], torch.tensor([3, 40, 41]), torch.tensor([0, 1, 2]))
    some = pool.some(10)
    assert len(some) == 10 and len(set(some.x.flatten().tolist())) == 10
    assert some.x[some.labelled].flatten().tolist() == [3, 40, 41] and some.labels.tolist() == [0, 1, 2]
    assert (pool.some(10).x == some.x).all() and pool.some(50) is pool and len(pool.some(2)) == 3


def test_a_glance_sees_all_kinds_of_sorted_samples():
    x = torch.arange(3000.0).view(-1, 1)
    pool = Pool(x, torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    seen = pool.glance(300)
    assert seen.shape == (300, 1) and (seen < 1500).mean() == pytest.approx(0.5, abs=0.1)
    assert (pool.glance(5000) == x.numpy()).all()  # where there are no more, as they are
