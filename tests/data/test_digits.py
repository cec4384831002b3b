import numpy as np
from sklearn.datasets import load_digits

from dqh.data.digits import Digits


def test_digits_are_those_of_scikit_learn():
    source, wanted = Digits(), load_digits()
    assert (len(source), source.size, source.kind) == (1797, 16, "image")
    assert source.ids[[0, -1]].tolist() == ["0", "1796"]
    assert source.roles == {}
    np.testing.assert_array_equal(source.labels, wanted.target)
    # 0 … 16 becomes 0 … 255: 8 · 255 / 16 = 127.5, which rounds to the even 128
    values = {int(old): int(new) for old, new in zip(wanted.images.ravel(), source.pixels.ravel(), strict=True)}
    assert (values[0], values[8], values[16]) == (0, 128, 255)
    assert source.read(0).size == (8, 8)
    assert source.read(0).mode == "RGB"
