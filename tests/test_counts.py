import numpy as np
import pytest

from dqh.counts import require_counts


def test_whole_numbers_of_any_kind() -> None:
    require_counts(k=1, words=np.int64(5), most=2**20)
    require_counts(2**21, k=2**21)


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be a whole number from 1 to 1,048,576, got 0"),
        ({"k": 1, "words": -3}, ValueError, "words must be .* got -3"),
        ({"k": 2**20 + 1}, ValueError, "k must be .* got 1,048,577"),
        ({"k": 3.0}, TypeError, "k must be .* got 3.0"),
        ({"k": None}, TypeError, "k must be .* got None"),
        ({"k": False}, TypeError, "k must be .* got False"),
        ({"k": np.ones(2)}, TypeError, r"k must be .* got array\(\[1., 1.\]\)"),
    ],
)
def test_what_is_none(counts: dict[str, int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        require_counts(**counts)
