import numpy as np
import pytest
import torch

from dqh.ranking.keys import float_keys, key_pools


def test_pools_of_keys_by_hand() -> None:
    """Keys 3 1 1 5: one item wanted gives the ball of 1 with two items, three give that of 3, four and more all."""
    keys = torch.tensor([[3, 1, 1, 5]])
    for pool, radius, size in ((1, 1, 2), (2, 1, 2), (3, 3, 3), (4, 5, 4), (9, 5, 4)):
        found = key_pools(lambda rows: keys[rows], queries=1, items=4, pool=pool)
        assert (found.radii.tolist(), found.sizes.tolist()) == ([radius], [size])
    with pytest.raises(ValueError, match="pool must be at least 1 item, got 0"):
        key_pools(lambda rows: keys[rows], queries=1, items=4, pool=0)


def test_keys_order_as_floats_do() -> None:
    values = np.array([[-np.inf, -2.5, -1e-45, -0.0, 0.0, 1e-45, 1.0, np.inf]], np.float32)
    keys = float_keys(torch.from_numpy(values), signed=True)
    assert keys.dtype == torch.int64
    assert torch.equal(torch.sign(keys[0].diff()), torch.tensor([1, 1, 1, 0, 1, 1, 1]))
    plain_keys = float_keys(torch.from_numpy(values[:, 4:]), signed=False)
    assert plain_keys.dtype == torch.int32
    assert torch.equal(plain_keys.long(), keys[:, 4:])
