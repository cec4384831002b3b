from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.native import table_twins
from dqh.native.extension import extension
from dqh.native.query_tables import book_columns, query_tables


def test_by_hand(table_kernels: ModuleType) -> None:
    """Codewords 0 and 3, 0 and 4; the query (1, 3) is turned to (3, 1): 9 0 and 1 9, products 0 9 and 0 4."""
    turn = np.array([[0, 1], [1, 0]], np.float32)
    books = book_columns(np.array([[[0], [3]], [[0], [4]]], np.float32), turn)
    query = np.array([[1.0, 3.0]])
    assert query_tables(books, query, distance="l2", kernels=table_kernels).tolist() == [[[9, 0], [1, 9]]]
    assert query_tables(books, query, distance="ip", kernels=table_kernels).tolist() == [[[0, 9], [0, 4]]]


def test_queries_that_lie_anywhere_in_memory(table_kernels: ModuleType) -> None:
    """At odd addresses, as behind a header."""
    books = book_columns(np.array([[[0], [3]], [[0], [4]]], np.float32), None)
    query = np.frombuffer(b"-" + np.array([[3.0, 1.0]]).tobytes(), np.float64, offset=1)[None]
    assert not query.flags.aligned
    assert query_tables(books, query, distance="l2", kernels=table_kernels).tolist() == [[[9, 0], [1, 9]]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(0, 5),
    st.integers(1, 9),
    st.sampled_from([1, 2, 16, 64, 128, 256, 512]),
    st.integers(1, 20),
    st.booleans(),
)
def test_they_are_those_of_numpy(
    table_kernels: ModuleType, seed: int, count: int, subspaces: int, codewords: int, width: int, rotated: bool
) -> None:
    """Bit for bit, codewords that are parts of a query among them, and each query as it is alone."""
    generator = np.random.default_rng(seed)
    size = subspaces * width
    codebooks = generator.standard_normal((subspaces, codewords, width)).astype(np.float32)
    queries = generator.standard_normal((count, size)).astype(np.float32)
    queries[:1] = codebooks[:, 0].reshape(-1)
    rotation = np.linalg.qr(generator.standard_normal((size, size)))[0].astype(np.float32) if rotated else None
    books = book_columns(codebooks, rotation)
    for distance in ("l2", "ip"):
        tables = query_tables(books, queries, distance=distance, kernels=table_kernels)
        assert np.array_equal(tables, query_tables(books, queries, distance=distance, kernels=table_twins))
        for query, table in zip(queries, tables, strict=True):
            assert np.array_equal(query_tables(books, query[None], distance=distance, kernels=table_kernels)[0], table)
    if count and not rotated:
        assert not query_tables(books, queries, distance="l2", kernels=table_kernels)[0, :, 0].any()


ARGUMENTS = {
    "queries": np.zeros((2, 6)),
    "count": 2,
    "rotation": np.eye(6, dtype=np.float32),
    "columns": np.zeros((3, 2, 4), np.float32),
    "norms": np.zeros((3, 4)),
    "subspaces": 3,
    "codewords": 4,
    "width": 2,
    "squared": True,
    "scratch": np.zeros(6),
    "tables": np.zeros((2, 3, 4), np.float32),
}


@pytest.mark.parametrize(
    "unfit",
    [
        {"count": 3},
        {"count": -1},
        {"rotation": np.zeros(35, np.float32)},
        {"columns": np.zeros(23, np.float32)},
        {"norms": np.zeros(11)},
        {"subspaces": 0},
        {"subspaces": 2**62, "width": 4},
        {"codewords": 0},
        {"codewords": 2**62},
        {"width": 0},
        {"width": 2**62},
        {"scratch": np.zeros(5)},
        {"tables": np.zeros(23, np.float32)},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(unfit: dict) -> None:
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    assert native.query_tables(*ARGUMENTS.values()) == table_twins.OK
    assert native.query_tables(*(ARGUMENTS | unfit).values()) == table_twins.ARGUMENT
