"""The pool of a training set, and a smaller one."""

import torch

from nemgan.data.pool import Pool


def test_some_of_a_pool_keeps_every_label():
    pool = Pool(torch.arange(50.0)[:, None], torch.tensor([3, 40, 41]), torch.tensor([0, 1, 2]))
    some = pool.some(10)
    assert len(some) == 10 and len(set(some.x.flatten().tolist())) == 10
    assert some.x[some.labelled].flatten().tolist() == [3, 40, 41] and some.labels.tolist() == [0, 1, 2]
    assert (pool.some(10).x == some.x).all() and pool.some(50) is pool and len(pool.some(2)) == 3
