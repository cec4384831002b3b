import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dqh.discovery.dot_curve import dot_curve

DOTS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=25)


def arrays(dots: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([worth for worth, _ in dots], float), np.array([right for _, right in dots])


def test_a_curve_by_hand() -> None:
    """Worths 9, 5, 5, 1 of right, right, wrong, wrong."""
    curve = dot_curve(np.array([5.0, 9, 1, 5]), np.array([False, True, False, True]))
    assert curve.dots.tolist() == [0, 1, 3, 4]
    assert curve.right.tolist() == [0, 1, 2, 2]
    assert [curve.precision_at(share) for share in (0.25, 0.5, 0.75, 1)] == pytest.approx([1, 1.5 / 2, 2 / 3, 0.5])
    assert [curve.precision_at_recall(recall) for recall in (0.5, 0.75, 1)] == pytest.approx([1, 1.5 / 2, 2 / 3])
    assert curve.auc() == pytest.approx(3.5 / 4)


@given(DOTS)
def test_the_area_is_that_of_scikit_learn(dots: list[tuple[int, bool]]) -> None:
    worth, right = arrays(dots)
    if right.all() or not right.any():
        assert np.isnan(dot_curve(worth, right).auc())
    else:
        assert dot_curve(worth, right).auc() == pytest.approx(roc_auc_score(right, worth))


@given(DOTS, st.floats(0.01, 1), st.randoms())
def test_ties_count_as_on_average_and_order_does_not_matter(
    dots: list[tuple[int, bool]], share: float, random: object
) -> None:
    worth, right = arrays(dots)
    order = list(range(len(dots)))
    random.shuffle(order)  # type: ignore[attr-defined]
    curve = dot_curve(worth, right)
    assert dot_curve(worth[order], right[order]).precision_at(share) == pytest.approx(curve.precision_at(share))
    # whole dots: the mean over many orders of ties is the share of right ones among those that are cut
    kept = max(1, int(share * len(dots)))
    limit = np.sort(worth)[::-1][kept - 1]
    surely, tied = worth > limit, worth == limit
    expected = (right[surely].sum() + (kept - surely.sum()) * right[tied].mean()) / kept
    assert curve.precision_at(kept / len(dots)) == pytest.approx(expected)


@given(DOTS, st.floats(0.01, 1))
def test_recall_and_share_are_one_curve(dots: list[tuple[int, bool]], recall: float) -> None:
    worth, right = arrays(dots)
    curve = dot_curve(worth, right)
    if not right.any():
        with pytest.raises(ValueError, match="no dot is right, so that there is no recall"):
            curve.precision_at_recall(recall)
        return
    precision = curve.precision_at_recall(recall)
    share = recall * right.sum() / precision / len(dots)
    assert curve.precision_at(min(share, 1.0)) == pytest.approx(precision)


@pytest.mark.parametrize("share", [0, -0.1, 1.01])
def test_shares_out_of_range(share: float) -> None:
    curve = dot_curve(np.array([1.0]), np.array([True]))
    with pytest.raises(ValueError, match=f"share must lie above 0 and be at most 1, got {share}"):
        curve.precision_at(share)
    with pytest.raises(ValueError, match="recall must lie"):
        curve.precision_at_recall(share)


@pytest.mark.parametrize(
    ("worth", "right", "message"),
    [
        ([], [], r"at least one dot, got shapes \(0,\) and \(0,\)"),
        ([1.0], [True, False], r"got shapes \(1,\) and \(2,\)"),
        ([np.nan], [True], "and NaN"),
    ],
)
def test_no_curve(worth: list[float], right: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dot_curve(np.array(worth), np.array(right, bool))
