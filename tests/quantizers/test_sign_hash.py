"""What the shallow baselines share: signs, checks, principal directions."""

import re

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dqh.codes import pack
from dqh.errors import NotFittedError
from dqh.quantizers import sign_hash as module
from dqh.quantizers.sign_hash import SignHash, label_indicators, principal_directions, project, require_vectors


class Axes(SignHash):
    """Bit b is the sign of coordinate b."""

    def _learn(self, vectors: np.ndarray, labels: np.ndarray | None) -> None:
        self.dimension = vectors.shape[1]
        self.mean = np.zeros(self.dimension)
        self.projection = np.eye(self.dimension)[:, : self.bits]


def test_a_bit_is_set_from_0_on() -> None:
    """Signs − 0 +, and −0.0 counts as 0: bits 1 and 2 are 2 + 4 = 6, bits 0 and 1 are 1 + 2 = 3."""
    vectors = np.array([[-1.0, 0.0, 2.0], [-0.0, 1e-30, -1e-30]], np.float32)
    assert Axes(3).fit(vectors).encode(vectors).tolist() == [[6], [3]]


def blas_threads() -> set[int]:
    return {int(library["num_threads"]) for library in threadpool_info() if library["user_api"] == "blas"}


def test_a_fit_takes_one_thread_of_blas_and_gives_the_others_back() -> None:
    seen = []

    class Watched(Axes):
        def _learn(self, vectors: np.ndarray, labels: np.ndarray | None) -> None:
            seen.append(blas_threads())
            raise ValueError("no fit")

    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ValueError, match="no fit"):
            Watched(3).fit(np.eye(3))
        assert (seen, blas_threads()) == ([{1}], {2})


def test_codes_do_not_know_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).standard_normal((10, 13))
    monkeypatch.setattr(module, "_CHUNK", 4)
    assert np.array_equal(Axes(13).fit(vectors).encode(vectors), pack(vectors >= 0))
    mean, directions = vectors.mean(axis=0), np.random.default_rng(1).standard_normal((13, 5))
    np.testing.assert_allclose(project(vectors, directions, mean=mean), (vectors - mean) @ directions, atol=1e-12)


def test_no_vectors_have_no_codes() -> None:
    assert Axes(9).fit(np.eye(9)).encode(np.zeros((0, 9))).shape == (0, 2)


def test_single_labels_have_a_column_for_each_class_that_occurs() -> None:
    """Of classes 7, −2, 7 the smaller comes first."""
    found = label_indicators(np.array([7, -2, 7]), np.zeros((3, 1)))
    assert found.tolist() == [[False, True], [True, False], [False, True]]


def test_multiple_labels_are_copied() -> None:
    labels = np.array([[True, True, False], [False, False, False]])
    found = label_indicators(labels, np.zeros((2, 1)))
    assert np.array_equal(found, labels)
    assert not np.shares_memory(found, labels)


def test_principal_directions_equal_the_eigenvectors_of_the_covariance() -> None:
    vectors = np.random.default_rng(2).standard_normal((200, 6)) * [1, 2, 3, 4, 5, 6] + 10
    mean, directions = principal_directions(vectors, 4, seed=0)
    wanted = np.linalg.eigh(np.cov(vectors.T))[1][:, ::-1][:, :4]
    np.testing.assert_allclose(mean, vectors.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(np.abs(directions.T @ wanted), np.eye(4), atol=1e-9)  # up to a sign each


VECTORS = np.eye(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Axes(0), ValueError, "bits must be at least 1, got 0"),
        (lambda: Axes(2).encode(VECTORS), NotFittedError, "Axes is not fitted; call fit(vectors, labels) first"),
        (lambda: Axes(2).encode(VECTORS[0]), NotFittedError, "not fitted"),  # the state before the shape
        (lambda: Axes(2).fit(VECTORS).encode(np.eye(4)), ValueError, "shape (N, 3), got float64 of shape (4, 4)"),
        (lambda: require_vectors(VECTORS[0]), ValueError, "shape (N, F), got float64 of shape (3,)"),
        (lambda: require_vectors(np.eye(2, dtype=int)), ValueError, "must be float of shape (N, F), got int64"),
        (lambda: require_vectors(np.zeros((4, 0))), ValueError, "got float64 of shape (4, 0)"),
        (lambda: require_vectors(np.diag([1, np.inf])), ValueError, "NaN or infinity in 1 rows, first row 1"),
        (lambda: require_vectors(VECTORS[:1], least=2), ValueError, "fit needs at least 2 vectors, got 1"),
        (lambda: require_vectors(np.ones((4, 3)), least=2), ValueError, "must differ from one another, got 4 equal"),
        (lambda: module.require_iterations(-1), ValueError, "iterations must be at least 0, got -1"),
        (lambda: label_indicators(None, VECTORS), ValueError, "call fit(vectors, labels)"),
        (lambda: label_indicators(np.zeros(3), VECTORS), TypeError, "got float64 of shape (3,)"),
        (lambda: label_indicators(np.zeros(3, bool), VECTORS), ValueError, "got bool of shape (3,)"),
        (lambda: label_indicators(np.eye(3, dtype=int), VECTORS), ValueError, "got int64 of shape (3, 3)"),
        (lambda: label_indicators(np.arange(4), VECTORS), ValueError, "got 4 rows for 3 vectors"),
    ],
)
def test_errors(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()
