import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.index.lookup import lookup_sums, lookup_tables
from dqh.index.tables import query_tables, table_distances
from dqh.quantizers import ProductQuantizer


def test_by_hand() -> None:
    """Tables 1 2 and 10 20, and 100 200 and 1000 2000: codewords (0, 1) and (1, 1)."""
    tables = np.array([[[1, 2], [10, 20]], [[100, 200], [1000, 2000]]], np.float32)
    indices = np.array([[0, 1], [1, 1]])
    assert lookup_sums(tables, indices).tolist() == [[21, 22], [2100, 2200]]
    norms = np.array([0, 2], np.float32)
    assert lookup_sums(tables, indices, norms=norms).tolist() == [[1, 12], [1, 1101]]


@given(
    subspaces=st.integers(1, 12),
    codewords=st.sampled_from([2, 16, 256, 1024]),
    queries=st.integers(0, 40),
    seed=st.integers(0, 2**31),
    cosine=st.booleans(),
)
def test_sums_are_those_of_torch(subspaces: int, codewords: int, queries: int, seed: int, cosine: bool) -> None:
    """Bit for bit, and so is the plain float32 sum over m, however many queries and items there are."""
    generator = np.random.default_rng(seed)
    scale = 10.0 ** generator.integers(-4, 4)
    tables = (generator.standard_normal((queries, subspaces, codewords)) * scale).astype(np.float32)
    indices = generator.integers(0, codewords, (29, subspaces)).astype(np.uint16 if codewords > 256 else np.uint8)
    norms = np.abs(generator.standard_normal(29)).astype(np.float32) if cosine else None
    if norms is not None:
        norms[3] = 0
    found = lookup_sums(tables, indices, norms=norms)
    given_norms = None if norms is None else torch.from_numpy(norms)
    wanted = table_distances(torch.from_numpy(tables), torch.from_numpy(indices), norms=given_norms)
    assert np.array_equal(found, wanted.numpy())
    if norms is None:
        plain = np.zeros((queries, 29), np.float32)
        for m in range(subspaces):
            plain += tables[:, m][:, indices[:, m]]
        assert np.array_equal(found, plain)
    some = slice(queries // 3, queries // 3 + 1)
    rest = None if norms is None else norms[7:]
    assert np.array_equal(lookup_sums(tables[some], indices[7:], norms=rest), found[some, 7:])


def test_parts_of_the_items_are_joined() -> None:
    """More table values than are gathered at a time."""
    generator = np.random.default_rng(0)
    tables = generator.standard_normal((3, 2, 16)).astype(np.float32)
    indices = generator.integers(0, 16, (50_000, 2)).astype(np.uint8)
    found = lookup_sums(tables, indices)
    assert np.array_equal(found, tables[:, 0][:, indices[:, 0]] + tables[:, 1][:, indices[:, 1]])


def test_tables_are_those_of_torch() -> None:
    generator = np.random.default_rng(0)
    rotation = np.linalg.qr(generator.standard_normal((12, 12)))[0]
    books = generator.standard_normal((4, 16, 3)).astype(np.float32)
    quantizer = ProductQuantizer.from_codebooks(books, rotation=rotation)
    queries = generator.standard_normal((5, 12)).astype(np.float32)
    for distance in ("l2", "ip", "cosine"):
        found = lookup_tables(quantizer, queries, distance=distance)
        assert np.array_equal(found, query_tables(quantizer, queries, distance=distance).numpy())
