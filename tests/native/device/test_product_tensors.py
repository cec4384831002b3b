import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.index.lookup import lookup_sums
from dqh.native import table_twins
from dqh.native.bitmaps import bitmap_of
from dqh.native.device import selection, torch_kernels
from dqh.native.device.product_tensors import ProductTensors
from dqh.native.product_codes import ProductCodes


def tables_of(kind: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    values = {
        "distances": lambda: generator.standard_normal(shape) ** 2,
        "products": lambda: generator.standard_normal(shape) - 0.3,
        "few values": lambda: generator.integers(-2, 3, shape),
        "constant": lambda: np.full(shape, 0.7),
        "zero": lambda: -np.zeros(shape),
        "far apart": lambda: 10.0 ** generator.integers(-30, 30, shape),
    }[kind]()
    return np.asarray(values, np.float32)


DRAWS = {
    "seed": st.integers(0, 2**32),
    "count": st.integers(0, 300) | st.integers(1000, 5000),
    "subspaces": st.integers(1, 20),
    "queries": st.sampled_from([1, 3]),
    "k": st.integers(1, 150),
    "kind": st.sampled_from(["distances", "products", "few values", "constant", "zero", "far apart"]),
}


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    **DRAWS,
    codewords=st.sampled_from([2, 16, 256]),
    share=st.sampled_from([None, 0.0, 0.02, 0.6]),
    cosine=st.booleans(),
)
def test_the_nearest_are_those_of_numpy(
    device: str,
    seed: int,
    count: int,
    subspaces: int,
    queries: int,
    k: int,
    kind: str,
    codewords: int,
    share: float | None,
    cosine: bool,
) -> None:
    """Bit for bit, −0 as 0; within a distance of an answer, too."""
    generator = np.random.default_rng(seed)
    indices = generator.integers(0, codewords, (subspaces, count), dtype=np.uint8)
    tables = tables_of(kind, (queries, subspaces, codewords), generator)
    allowed = None if share is None else bitmap_of(generator.random(count) < share)
    norms = generator.integers(0, 4, count).astype(np.float32) if cosine else None
    host = ProductCodes(indices, codewords, norms=norms, kernels=table_twins)
    placed = ProductTensors(indices, norms=norms, device=device)
    answers = placed.nearest(tables, k, allowed=allowed)
    third = float(np.quantile(answers[1][answers[0] >= 0], 0.3)) if (answers[0] >= 0).any() else 1.0
    for radius in (third, np.inf, -1e300):
        for one, other in zip(*(each.within(tables, radius, allowed=allowed) for each in (host, placed)), strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
    for one, other in zip(host.nearest(tables, k, allowed=allowed), answers, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert not np.signbit(answers[1][answers[1] == 0]).any()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**DRAWS, codewords=st.sampled_from([16, 512, 4096]))
def test_the_cosine_and_many_codewords(
    device: str, seed: int, count: int, subspaces: int, queries: int, k: int, kind: str, codewords: int
) -> None:
    """As sums by numpy, divided by norms of which some are 0."""
    generator = np.random.default_rng(seed)
    indices = generator.integers(0, codewords, (subspaces, count)).astype(np.uint16)
    tables = tables_of(kind, (queries, subspaces, codewords), generator)
    norms = generator.integers(0, 4, count).astype(np.float32)
    sums = lookup_sums(tables, indices.T, norms=norms) + 0
    order = np.argsort(sums, axis=1, kind="stable")[:, :k]
    ids, distances = ProductTensors(indices, norms=norms, device=device).nearest(tables, k)
    assert ids[:, : order.shape[1]].tolist() == order.tolist()
    assert distances[:, : order.shape[1]].tolist() == np.take_along_axis(sums, order, axis=1).tolist()
    assert (ids[:, order.shape[1] :] == -1).all()


@pytest.mark.parametrize("cells", [1, 500, 5000])
def test_memory_changes_no_answer(cells: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    indices, tables = generator.integers(0, 16, (3, 3000), dtype=np.uint8), generator.random((9, 3, 16), np.float32)
    placed = ProductTensors(indices, device=device)
    wanted = placed.nearest(tables, 40)
    assert torch_kernels.CELLS is selection.CELLS
    monkeypatch.setitem(selection.CELLS, device, cells)
    for one, other in zip(wanted, placed.nearest(tables, 40), strict=True):
        assert np.array_equal(one, other)


def test_codewords_take_a_byte_where_they_can() -> None:
    indices = np.zeros((2, 5), np.uint8)
    assert ProductTensors(indices, device="cpu")._indices.dtype == torch.uint8
    assert ProductTensors(indices.astype(np.uint16), device="cpu")._indices.dtype == torch.int32
