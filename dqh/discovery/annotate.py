"""Words for a crop: what the answers of its search are called, weighted by distance, with a calibrated confidence.

Q crops, k answers of a crop, N rows of the index, W words.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.counts import require_counts
from dqh.discovery.calibration import CALIBRATION, Calibration, calibration_of, fit_calibration
from dqh.discovery.fitted import fitted_bytes, read_fitted
from dqh.files import write_bytes
from dqh.ranking import Ranking
from dqh.schema import integer, number, one_of, record

KIND = "annotator"
"""What a file of one calls itself."""

SHAPES = ("equal", "exponential", "gaussian")
WordTable = NDArray[np.bool_] | NDArray[np.float64]
"""(N, W): which row has which word, or how much a word says of a row, 0 … 1."""

_CHUNK = 2**24
"""Weights of words that are held at a time."""


class Kernel(NamedTuple):
    """How much the word of an answer weighs, by how much farther off it is than the nearest answer.

    The excess e of an answer is its distance less that of the nearest one, divided by the mean of that over the
    answers: 0 of the nearest, 1 on average, whatever the unit; 0 of all where all are equally far. A weight is 1
    (`equal`), exp(−s e) (`exponential`) or exp(−s e²) (`gaussian`).

    Attributes:
        shape: of `SHAPES`.
        sharpness: s, at least 0; not read of `equal`.
        answers: how many of the answers count, the nearest ones.
    """

    shape: str
    sharpness: float
    answers: int

    def weights(self, distances: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(Q, min(k, answers)) float64, 0 … 1, of distances (Q, k) by rank; 0 where one is infinite, as of no answer.

        Example:
            >>> Kernel("exponential", 1.0, 3).weights(np.array([[4.0, 5.0, 9.0, 9.0]])).round(3)
            array([[1.   , 0.607, 0.082]])
        """
        near = np.asarray(distances[:, : self.answers], np.float64)
        finite = np.isfinite(near)
        excess = np.where(finite, near - near[:, :1].clip(max=np.finfo(np.float64).max), 0)
        mean = excess.sum(1, keepdims=True) / finite.sum(1, keepdims=True).clip(min=1)
        excess = np.divide(excess, mean, out=np.zeros_like(excess), where=mean > 0)
        exponent = {"equal": np.zeros_like(excess), "exponential": excess, "gaussian": excess**2}[self.shape]
        return np.where(finite, np.exp(-self.sharpness * exponent), 0)


KERNELS = tuple(
    kernel
    for answers in (5, 10, 20, 50)
    for kernel in (
        Kernel("equal", 0.0, answers),
        *(Kernel(shape, sharpness, answers) for shape in SHAPES[1:] for sharpness in (0.5, 1.0, 2.0)),
    )
)
"""What `fit_annotator` chooses among, simpler ones first."""


class Annotation(NamedTuple):
    """A word of a crop.

    Attributes:
        word: as the answers have it.
        share: of the weight of all answers, with words or without, that of those which have it, 0 … 1.
        confidence: that it says what the crop shows, 0 … 1; None where nothing was calibrated.
    """

    word: str
    share: float
    confidence: float | None


def word_table(words_of: Sequence[Collection[str]]) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """The W words that N rows have, sorted, and (N, W) bool which row has which.

    Example:
        >>> word_table([("cat", "sofa"), (), ("cat",)])[0]
        ('cat', 'sofa')
    """
    words, weights = weighted_word_table([dict.fromkeys(row, 1.0) for row in words_of])
    return words, weights > 0


def weighted_word_table(words_of: Sequence[Mapping[str, float]]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The W words that N rows have, sorted, and (N, W) how much each says of a row, 0 … 1, as tags do.

    Example:
        >>> weighted_word_table([{"cat": 1.0, "grey": 0.25}, {}])[1].tolist()
        [[1.0, 0.25], [0.0, 0.0]]
    """
    words = tuple(sorted({word for row in words_of for word in row}))
    numbers = {word: number for number, word in enumerate(words)}
    table = np.zeros((len(words_of), len(words)))
    for row, own in enumerate(words_of):
        table[row, [numbers[word] for word in own]] = list(own.values())
    return words, table


def word_shares(answers: Ranking, table: WordTable, kernel: Kernel) -> NDArray[np.float64]:
    """(Q, W) float64: the weight of the answers that have a word, divided by that of all answers; 0 without answers.

    Where a word says something of an answer in part alone, as a tag may, that part of the answer's weight counts.
    Answers without any word count in the denominator, so that one labelled answer among fifty is little.

    Args:
        answers: (Q, k), nearest first.
        table: (N, W), which row has which word, or how much it says of it; see `word_table`, `weighted_word_table`.
        kernel: how much an answer weighs.

    Raises:
        ValueError: an answer is no row of the table.
    """
    if answers.ids.size and answers.ids.max() >= len(table):
        raise ValueError(
            f"the answers name row {answers.ids.max()}, the table of words has {len(table)} rows; give the words of "
            "all rows of the index that was searched"
        )
    ids = answers.ids[:, : kernel.answers]
    shares = np.zeros((len(ids), table.shape[1]))
    if not len(table):
        return shares
    weights = kernel.weights(answers.distances) * (ids >= 0)
    step = max(1, _CHUNK // max(1, ids.shape[1] * table.shape[1]))
    for start in range(0, len(ids), step):
        rows = slice(start, start + step)
        # shares[q, w] = Σ_j weights[q, j] · table[ids[q, j], w]
        shares[rows] = np.einsum("qk,qkw->qw", weights[rows], table[ids[rows]])
    return shares / np.where((total := weights.sum(1, keepdims=True)) > 0, total, 1)


@dataclass(frozen=True)
class Annotator:
    """Says what crops show, in the words of the answers of their searches.

    Attributes:
        kernel: how much an answer weighs.
        first: from share to confidence, of the word of the largest share.
        further: the same of all other words.
        crops: held-out crops that it was fitted to.
    """

    kernel: Kernel
    first: Calibration
    further: Calibration
    crops: int

    def annotate(
        self, answers: Ranking, table: WordTable, words: Sequence[str], *, most: int = 5
    ) -> list[tuple[Annotation, ...]]:
        """The words of each crop that any of its answers has, by falling share, equal ones in the order of `words`.

        Args:
            answers: (Q, k), nearest first.
            table: (N, W), which row of the index has which word, or how much it says of it.
            words: W.
            most: words of a crop, at most; at least 1.

        Raises:
            ValueError: `most` is below 1, the table has another number of words, or an answer is none of its rows.
        """
        require_counts(most=most)
        if table.shape[1] != len(words):
            raise ValueError(f"the table must be of as many words as there are, got {table.shape[1]} for {len(words)}")
        shares = word_shares(answers, table, self.kernel)
        confidences, order = self.confidences(shares), np.argsort(-shares, axis=1, kind="stable")[:, :most]
        return [
            tuple(
                Annotation(words[word], float(shares[crop, word]), float(confidences[crop, word]))
                for word in order[crop]
                if shares[crop, word] > 0
            )
            for crop in range(len(shares))
        ]

    def confidences(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """(Q, W) confidences, 0 … 1, of shares (Q, W) of `word_shares`; 0 of a word that no answer has."""
        is_first = _is_first(shares)
        return np.where(shares > 0, np.where(is_first, self.first(shares), self.further(shares)), 0)

    def save(self, path: Path) -> None:
        """Write it, atomically, as JSON; `read_annotator` reads it again."""
        write_bytes(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of its file."""
        fields = {"kernel": self.kernel._asdict(), "crops": self.crops}
        return fitted_bytes(KIND, fields | {"first": self.first.to_json(), "further": self.further.to_json()})


def read_annotator(path: str | os.PathLike[str], *, content: bytes | None = None) -> Annotator:
    """The annotator that was saved.

    Args:
        path: of its file.
        content: of the file, where it has been read already.

    Raises:
        NoArtifactError: nothing is there.
        ArtifactError: it is damaged, of another format, or does not make sense.
    """
    kernel = record({"shape": one_of(*SHAPES), "sharpness": number(0, 1000), "answers": integer(1)})
    checks = {"kernel": kernel, "crops": integer(1), "first": CALIBRATION, "further": CALIBRATION}
    fields = read_fitted(path, KIND, checks, content=content)
    return Annotator(
        Kernel(**fields["kernel"]), calibration_of(fields["first"]), calibration_of(fields["further"]), fields["crops"]
    )


def fit_annotator(
    answers: Ranking,
    table: WordTable,
    truth: NDArray[np.bool_],
    *,
    kernels: Sequence[Kernel] = KERNELS,
) -> Annotator:
    """An annotator for crops whose words are known: kernel and calibration by what is right for them.

    The kernel is the one whose first word is right most often, the earlier of equal ones. How sure a share is, is
    learnt of the first word and of the others apart: half of the weight means more for a first word than for a second.

    Args:
        answers: (Q, k) of crops of photos that are not in the index.
        table: (N, W), which row of the index has which word, or how much it says of it.
        truth: (Q, W) bool, which words say what a crop shows.
        kernels: to choose among; those that want more answers than there are, are left out.

    Raises:
        ValueError: shapes differ, no kernel is left, or no answer has a word.
    """
    if truth.shape != (len(answers.ids), table.shape[1]):
        raise ValueError(
            f"truth must be {(len(answers.ids), table.shape[1])}, a row a crop and a column a word, got {truth.shape}"
        )
    fitting = [kernel for kernel in kernels if kernel.answers <= answers.ids.shape[1]]
    if not fitting:
        raise ValueError(
            f"no kernel for {answers.ids.shape[1]} answers a crop, wanted at least "
            f"{min((kernel.answers for kernel in kernels), default=1)}; search for more, or give kernels of fewer"
        )
    best, shares = max(
        ((kernel, word_shares(answers, table, kernel)) for kernel in fitting),
        key=lambda pair: int(first_words_right(pair[1], truth).sum()),
    )
    is_first, named = _is_first(shares), shares > 0
    firsts, others = is_first & named, ~is_first & named
    if not firsts.any():
        raise ValueError("no answer of any crop has a word; give the words of the rows of the index")
    first = fit_calibration(shares[firsts], truth[firsts])
    further = fit_calibration(shares[others], truth[others]) if others.any() else first
    return Annotator(best, first, further, len(shares))


def first_words_right(shares: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(Q,) whether the word of the largest share says what a crop shows; not so where no answer has a word."""
    return np.asarray((_is_first(shares) & truth & (shares > 0)).any(axis=1))


def _is_first(shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(Q, W) whether a word has the largest share of its crop, of equal ones the first."""
    is_first = np.zeros(shares.shape, np.bool_)
    if shares.shape[1]:
        is_first[np.arange(len(shares)), shares.argmax(axis=1)] = True
    return is_first
