"""Words of answers: kernels and shares by hand, and what is fitted on searches whose words are known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.discovery.annotate import (
    KERNELS,
    SHAPES,
    Annotator,
    Kernel,
    first_words_right,
    fit_annotator,
    read_annotator,
    word_shares,
    word_table,
)
from dqh.discovery.calibration import Calibration
from dqh.discovery.fitted import fitted_bytes
from dqh.errors import ArtifactError
from dqh.ranking import Ranking

LINE = Calibration((0.0, 1.0), (0.0, 1.0))


def ranking(ids: list[list[int]], distances: list[list[float]]) -> Ranking:
    return Ranking(np.array(ids, np.int64), np.array(distances, np.float32))


def test_weights_by_hand() -> None:
    """Distances 4, 5, 9: excesses 0, 1, 5 of mean 2, so e = 0, .5, 2.5."""
    distances = np.array([[4.0, 5.0, 9.0]])
    assert Kernel("equal", 1.0, 3).weights(distances) == pytest.approx(np.ones((1, 3)))
    assert Kernel("exponential", 2.0, 3).weights(distances) == pytest.approx(np.exp([[0.0, -1.0, -5.0]]))
    assert Kernel("gaussian", 2.0, 3).weights(distances) == pytest.approx(np.exp([[0.0, -0.5, -12.5]]))
    assert Kernel("equal", 1.0, 2).weights(distances).shape == (1, 2)


def test_equal_distances_weigh_alike_and_missing_answers_nothing() -> None:
    distances = np.array([[3.0, 3.0, np.inf], [np.inf, np.inf, np.inf]])
    for shape in SHAPES:
        assert Kernel(shape, 2.0, 3).weights(distances).tolist() == [[1, 1, 0], [0, 0, 0]]


@given(
    st.lists(st.integers(0, 2000), min_size=1, max_size=20),
    st.floats(0.01, 100),
    st.floats(-100, 100),
    st.sampled_from(KERNELS),
)
def test_the_unit_of_a_distance_does_not_matter(
    distances: list[int], factor: float, start: float, kernel: Kernel
) -> None:
    rising = np.sort(np.array([distances], float))
    weights = kernel.weights(rising)
    assert kernel.weights(start + factor * rising) == pytest.approx(weights, abs=1e-6)
    assert weights[0, 0] == 1
    assert (np.diff(weights) <= 0).all()
    assert (weights >= 0).all()


def test_shares_by_hand() -> None:
    """Weights 1, e⁻¹, e⁻⁵ as above: the cat has 1 and e⁻⁵, the sofa e⁻¹ and e⁻⁵; the row without words counts below."""
    words, table = word_table([("cat",), ("sofa",), ("cat", "sofa"), ()])
    assert words == ("cat", "sofa")
    kernel = Kernel("exponential", 2.0, 3)
    near, far = np.exp(-1), np.exp(-5)
    shares = word_shares(ranking([[0, 1, 2], [0, 1, 3]], [[4, 5, 9], [4, 5, 9]]), table, kernel)
    total = 1 + near + far
    assert shares == pytest.approx(np.array([[1 + far, near + far], [1, near]]) / total)


def test_shares_equal_nested_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqh.discovery.annotate._CHUNK", 100)  # several chunks
    generator = np.random.default_rng(0)
    table = generator.random((30, 4)) < 0.4
    answers = Ranking(generator.integers(-1, 30, (17, 8)), np.sort(generator.random((17, 8)).astype(np.float32)))
    kernel = Kernel("gaussian", 1.0, 6)
    expected = np.zeros((17, 4))
    for crop in range(17):
        near = answers.distances[crop, :6].astype(float)
        mean = np.mean(near - near[0])
        weights = [
            np.exp(-(((value - near[0]) / mean) ** 2)) if row >= 0 else 0.0
            for value, row in zip(near, answers.ids[crop], strict=False)
        ]
        for word in range(4):
            having = [w for w, row in zip(weights, answers.ids[crop], strict=False) if row >= 0 and table[row, word]]
            expected[crop, word] = sum(having) / sum(weights)
    assert word_shares(answers, table, kernel) == pytest.approx(expected)


def test_no_answers_and_no_rows() -> None:
    nothing = ranking([[-1, -1]], [[np.inf, np.inf]])
    kernel = Kernel("equal", 0.0, 2)
    assert word_shares(nothing, np.ones((3, 2), bool), kernel).tolist() == [[0, 0]]
    assert word_shares(nothing, np.ones((0, 2), bool), kernel).tolist() == [[0, 0]]
    annotator = Annotator(kernel, LINE, LINE, 1)
    assert annotator.annotate(nothing, np.ones((3, 2), bool), ("a", "b")) == [()]


def test_an_answer_outside_the_table() -> None:
    with pytest.raises(
        ValueError, match="the answers name row 3, the table of words has 3 rows; give the words of all"
    ):
        word_shares(ranking([[3]], [[1]]), np.ones((3, 1), bool), Kernel("equal", 0.0, 1))


def test_words_fall_by_share_and_have_their_own_confidence() -> None:
    words, table = word_table([("cat",), ("cat", "sofa"), ("rug", "sofa"), ("cat",)])
    first, further = Calibration((0.0, 1.0), (0.5, 0.9)), Calibration((0.0, 1.0), (0.0, 0.4))
    annotator = Annotator(Kernel("equal", 0.0, 4), first, further, 9)
    ((cat, sofa, rug),) = annotator.annotate(ranking([[0, 1, 2, 3]], [[1, 2, 3, 4]]), table, words)
    assert cat == ("cat", 0.75, pytest.approx(0.8))
    assert sofa == ("sofa", 0.5, pytest.approx(0.2))
    assert rug == ("rug", 0.25, pytest.approx(0.1))
    ((only,),) = annotator.annotate(ranking([[0, 1, 2, 3]], [[1, 2, 3, 4]]), table, words, most=1)
    assert only == cat


def test_the_first_of_equal_words_is_that_of_the_table() -> None:
    words, table = word_table([("b",), ("a",)])
    annotator = Annotator(Kernel("equal", 0.0, 2), LINE, LINE, 1)
    for ids in ([[0, 1]], [[1, 0]]):
        (named,) = annotator.annotate(ranking(ids, [[1, 1]]), table, words)
        assert [word for word, *_ in named] == ["a", "b"]


def clusters(crops: int, rows: int, *, noise: float, seed: int = 0) -> tuple[Ranking, np.ndarray, np.ndarray]:
    """Points on a line around one centre a word, searched exactly."""
    generator = np.random.default_rng(seed)
    of_row, of_crop = generator.integers(0, 4, rows), generator.integers(0, 4, crops)
    items, queries = (labels + noise * generator.normal(size=len(labels)) for labels in (of_row, of_crop))
    apart = np.abs(queries[:, None] - items)
    ids = np.argsort(apart, axis=1, kind="stable")[:, :20]
    distances = np.take_along_axis(apart, ids, 1).astype(np.float32)
    return Ranking(ids, distances), np.eye(4, dtype=bool)[of_row], np.eye(4, dtype=bool)[of_crop]


def test_what_is_fitted_is_sure_where_it_is_right() -> None:
    answers, table, truth = clusters(600, 400, noise=0.4)
    annotator = fit_annotator(answers, table, truth)
    others, _, right_of = clusters(600, 400, noise=0.4)
    shares = word_shares(others, table, annotator.kernel)
    right, sure = first_words_right(shares, right_of), annotator.confidences(shares).max(axis=1)
    assert right.mean() > 0.7
    assert sure[right].mean() > sure[~right].mean() + 0.1
    assert annotator.crops == 600


def test_the_kernel_is_the_one_whose_first_word_is_right_most_often() -> None:
    """The nearest answer is always right, the five behind it never: one is better than six, and sharp than flat."""
    table = np.array([[True, False], [False, True]])
    answers = ranking([[0, 1, 1, 1, 1, 1]] * 3, [[0, 10, 10, 10, 10, 10]] * 3)
    truth = np.array([[True, False]] * 3)
    one, six, sharp = Kernel("equal", 0.0, 1), Kernel("equal", 0.0, 6), Kernel("exponential", 3.0, 6)
    assert fit_annotator(answers, table, truth, kernels=(six, one)).kernel == one
    assert fit_annotator(answers, table, truth, kernels=(six, sharp)).kernel == sharp
    assert fit_annotator(answers, table, truth, kernels=(sharp, one)).kernel == sharp  # the earlier of equal ones


def test_a_further_word_is_judged_by_further_words() -> None:
    """All first words are right and all second ones wrong, at the same share of one half."""
    table = np.array([[True, False], [False, True]])
    answers = ranking([[0, 1]] * 20, [[1, 1]] * 20)
    truth = np.array([[True, False]] * 20)
    annotator = fit_annotator(answers, table, truth, kernels=(Kernel("equal", 0.0, 2),))
    assert annotator.first(np.array([0.5])) == pytest.approx([21 / 22])
    assert annotator.further(np.array([0.5])) == pytest.approx([1 / 22])


def test_without_further_words_the_first_ones_stand_for_them() -> None:
    annotator = fit_annotator(
        ranking([[0]], [[1]]), np.array([[True]]), np.array([[True]]), kernels=(Kernel("equal", 0.0, 1),)
    )
    assert annotator.further == annotator.first


@pytest.mark.parametrize(
    ("truth", "table", "kernels", "message"),
    [
        (np.ones((2, 1), bool), np.ones((1, 1), bool), KERNELS, r"truth must be \(1, 1\), a row a crop .*got \(2, 1\)"),
        (np.ones((1, 1), bool), np.ones((1, 1), bool), KERNELS, "no kernel for 1 answers a crop, wanted at least 5"),
        (np.ones((1, 1), bool), np.zeros((1, 1), bool), KERNELS[:0], "no kernel for 1 answers"),
        (np.ones((1, 1), bool), np.zeros((1, 1), bool), [Kernel("equal", 0.0, 1)], "no answer of any crop has a word"),
    ],
)
def test_what_cannot_be_fitted(truth: np.ndarray, table: np.ndarray, kernels: list[Kernel], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_annotator(ranking([[0]], [[1]]), table, truth, kernels=kernels)


@pytest.mark.parametrize(
    ("most", "words", "message"), [(0, ("a",), "most must be a whole number"), (1, ("a", "b"), "got 1 for 2")]
)
def test_words_that_do_not_fit(most: int, words: tuple[str, ...], message: str) -> None:
    annotator = Annotator(Kernel("equal", 0.0, 1), LINE, LINE, 1)
    with pytest.raises(ValueError, match=message):
        annotator.annotate(ranking([[0]], [[1]]), np.ones((1, 1), bool), words, most=most)


def test_it_answers_the_same_after_saving(tmp_path: Path) -> None:
    answers, table, truth = clusters(100, 60, noise=0.4)
    annotator = fit_annotator(answers, table, truth)
    annotator.save(tmp_path / "words.json")
    again = read_annotator(tmp_path / "words.json")
    assert again == annotator
    words = ("a", "b", "c", "d")
    assert again.annotate(answers, table, words) == annotator.annotate(answers, table, words)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    kernel = {"shape": "square", "sharpness": -1.0, "answers": 5}
    line = LINE.to_json()
    (tmp_path / "x").write_bytes(
        fitted_bytes("annotator", {"kernel": kernel, "crops": 0, "first": line, "further": line})
    )
    with pytest.raises(ArtifactError, match=r"kernel\.shape must be .*; kernel\.sharpness must be .*; crops must be"):
        read_annotator(tmp_path / "x")
