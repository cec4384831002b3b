"""Searches of codes and features on a CUDA device that is not there, by kernels of torch: answers as on the CPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from dqh.index import AQDIndex, HammingIndex, rerank
from dqh.index.engines import exact_on
from dqh.index.ways import WAYS, Candidates, ways_by_codes
from dqh.native.bitmaps import bitmap_of
from dqh.native.device import selection, torch_kernels
from dqh.native.device.feature_tensors import FeatureTensors
from dqh.native.device.hamming_tensors import HammingTensors, words_of
from dqh.native.device.product_tensors import ProductTensors
from dqh.ranking import Ranking
from dqh.ranking.side import Side
from tests.devices.guard import CUDA, fake_cuda, stand_in_cuda
from tests.devices.test_evaluation import ITEMS, QUANTIZERS, QUERY

ALLOWED = bitmap_of(np.random.default_rng(3).random(len(ITEMS)) < 0.5)
FEATURES, ASKED = (vectors[:, :5].astype(np.float16) for vectors in (ITEMS, QUERY))


def bits(name: str, device: str, k: int) -> list[Any]:
    index = HammingIndex(QUANTIZERS[name], device=device)  # type: ignore[arg-type]
    for part in np.array_split(QUANTIZERS[name].encode(ITEMS), 3):
        index.add(part)
    answers = [index.search(QUERY, k), index.search(QUERY[:1], k), index.search(QUERY, k, allowed=ALLOWED)]
    return [*answers, index.search_radius(QUERY, 4), index.search_radius(QUERY, 5, allowed=ALLOWED)]


def sums(name: str, device: str, k: int, **options: Any) -> list[Any]:
    index = AQDIndex(QUANTIZERS[name], device=device, **options)  # type: ignore[arg-type]
    index.add(QUANTIZERS[name].encode(ITEMS))
    first = index.search(QUERY[:1], k)
    filtered = index.search(QUERY, k, allowed=ALLOWED)
    near = index.search_radius(QUERY, float(first.distances[0, 0]) + 0.5)
    index.add(QUANTIZERS[name].encode(ITEMS[:9]))
    return [first, filtered, near, index.search(QUERY, k)]


def reranked(device: str, k: int) -> list[Any]:
    candidates = np.random.default_rng(4).integers(-1, len(ITEMS), (len(QUERY), 30))
    if device == "cpu":
        distances = np.zeros(candidates.shape, np.float32)
        return [rerank(Ranking(candidates, distances), ASKED, database_features=FEATURES, k=k)]
    return [Ranking(*FeatureTensors(FEATURES, device=device).nearest(ASKED, candidates, k))]


SEARCHES: dict[str, Callable[[str, int], list[Any]]] = {"by bits": partial(bits, "threshold")}
SEARCHES |= {
    f"{name} by {distance}, symmetric {symmetric}": partial(sums, name, distance=distance, symmetric=symmetric)
    for name in QUANTIZERS
    if name.startswith("pq")
    for distance in ("l2", "ip", "cosine")
    for symmetric in (False, True)
}


@pytest.mark.parametrize("k", [1, 30, 100])
@pytest.mark.parametrize("name", SEARCHES)
def test_answers_are_those_of_the_cpu(name: str, k: int) -> None:
    wanted = SEARCHES[name]("cpu", k)
    with stand_in_cuda():
        answers = SEARCHES[name]("cuda", k)
    for one, other in zip(wanted, answers, strict=True):
        for values, right in zip(other, one, strict=True):
            assert values.dtype == right.dtype
            assert np.array_equal(values, right)


@pytest.mark.parametrize("k", [1, 40])
def test_candidates_are_those_of_the_cpu(k: int) -> None:
    """Up to the order of summing five values."""
    (wanted,) = reranked("cpu", k)
    with stand_in_cuda():
        (answers,) = reranked("cuda", k)
    assert answers.ids.tolist() == wanted.ids.tolist()
    assert answers.distances == pytest.approx(wanted.distances, rel=1e-6)


@pytest.mark.parametrize("allowed", [None, ALLOWED], ids=["all", "filtered"])
def test_no_search_waits_before_its_answer(allowed: Any) -> None:
    codes, tables = QUANTIZERS["threshold"].encode(ITEMS), np.ones((4, 3, 16), np.float32)
    with stand_in_cuda() as device:
        by_bits = HammingTensors(codes.shape[1], device=CUDA)
        by_bits.add(codes)
        by_sums = ProductTensors(
            np.zeros((3, len(ITEMS)), np.uint8), norms=np.ones(len(ITEMS), np.float32), device=CUDA
        )
        features = FeatureTensors(FEATURES, device=CUDA)
        queries, mask = words_of(codes[:4], CUDA), selection.placed(allowed, CUDA)
        placed, asked = torch.from_numpy(tables).to(CUDA), torch.from_numpy(ASKED[:4]).float().to(CUDA)
        rows = torch.arange(12).view(4, 3).to(CUDA)
        assert device.waited == set()
        with device.step():
            answers = [
                *by_bits._nearest(queries, mask, size=32, taken=2, k=5),
                *by_sums._nearest(placed, mask, size=32, taken=2, k=5),
                *features._nearest(asked, rows, 2),
            ]
        assert all(answer.is_cuda for answer in answers)


def test_no_kernel_mixes_devices_or_waits() -> None:
    with fake_cuda() as device:
        with torch.device("cuda"):
            words, queries = torch.zeros(2, 100, dtype=torch.int32), torch.zeros(2, 7, dtype=torch.int32)
            indices, tables = torch.zeros(3, 100, dtype=torch.uint8), torch.zeros(7, 3, 16)
            allowed, inverses = torch.zeros(13, dtype=torch.uint8), torch.zeros(100)
        with device.step():
            minima = [
                torch_kernels.hamming_minima(words, queries, allowed, 32),
                torch_kernels.table_minima(indices, tables, inverses, allowed, 32),
            ]
    assert all(values.is_cuda and values.shape == (7, 4) for values in minima)


@pytest.fixture
def seeming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch says that there is a CUDA device, which Triton would need."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(selection, "triton_kernels", lambda: None)


@pytest.mark.usefixtures("seeming")
@pytest.mark.parametrize("name", QUANTIZERS)
def test_ways_search_where_codes_lie(name: str) -> None:
    """By an engine on CUDA where there is one, else by that of the way."""
    quantizer, codes = QUANTIZERS[name], QUANTIZERS[name].encode(ITEMS)
    for way in ways_by_codes(quantizer):
        wanted = exact_on("cpu", quantizer, way, codes)
        with stand_in_cuda():
            engine = exact_on("cuda:0", quantizer, way, codes)
            answers = engine.search(QUERY, 8)
            near = engine.within(QUERY, float(answers.distances[0, 3]))
            assert exact_on("cuda", quantizer, way, codes[:0]).search(QUERY, 2).ids.tolist() == [[-1, -1]] * len(QUERY)
        assert (wanted.name, engine.name) == (way.engine, way.engine + "_cuda" * (way.engine != "sqd"))
        for values, right in zip(answers, wanted.search(QUERY, 8), strict=True):
            assert np.array_equal(values, right)
        for values, right in zip(near, wanted.within(QUERY, float(answers.distances[0, 3])), strict=True):
            assert np.array_equal(values, right)


@pytest.mark.usefixtures("seeming")
@pytest.mark.parametrize("candidates", [Candidates(20), Candidates(radius=4)], ids=str)
def test_coarse_to_fine_compares_features_where_they_lie(candidates: Candidates) -> None:
    quantizer = QUANTIZERS["threshold"]
    query, items = (
        Side(quantizer.encode(vectors), vectors, features, np.zeros(len(vectors), np.int64))
        for vectors, features in ((QUERY, ASKED), (ITEMS, FEATURES))
    )
    way = WAYS["coarse_to_fine"].among(candidates)
    wanted = way.searcher(items, quantizer, k=9)(query.embedding, query.features)
    with stand_in_cuda() as device:
        answers = way.searcher(items, quantizer, k=9, device="cuda")(query.embedding, query.features)
        assert "dqh.native.device.feature_tensors.FeatureTensors.nearest" in device.waited
    assert answers.ids.tolist() == wanted.ids.tolist()
    assert answers.distances == pytest.approx(wanted.distances, rel=1e-6)
