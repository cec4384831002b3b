"""Hamming, AQD, SQD and float rankings and all metrics on a CUDA device that is not there.

They may wait, where `MAY_WAIT` says so; their numbers are those of the CPU, to the last digit, although other branches
make them. What makes distances, keys and histograms runs as a step, too: there nothing may wait.
"""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dqh.codes import pack
from dqh.evaluation import Retrieval, metrics, reproduction
from dqh.evaluation.conventions import CONVENTIONS
from dqh.evaluation.retrieval import retrieve
from dqh.index.orders.hamming import hamming_buckets, hamming_pools
from dqh.index.orders.order import Order
from dqh.index.tables import decoded_norms, query_tables, table_distances
from dqh.index.ways import WAYS, Candidates, main_way
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold
from dqh.ranking.buckets import Buckets, group, split_ties
from dqh.ranking.keys import float_keys
from dqh.ranking.relevance import label_tensor, relevance
from dqh.ranking.side import Side
from dqh.training.validation import leave_one_out_map
from tests.devices.guard import OnCuda, stand_in_cuda
from tests.devices.variants import required

Q, N, B, D, C = 13, 70, 12, 12, 4
RNG = np.random.default_rng(0)
QUERY, ITEMS = (RNG.normal(size=(count, D)).astype(np.float32) for count in (Q, N))
SINGLE = [RNG.integers(0, C, count) for count in (Q, N)]
SEVERAL = [RNG.random((count, C)) < 0.3 for count in (Q, N)]
LABELS = {
    name: dict(zip(("query_labels", "database_labels"), both, strict=True))
    for name, both in (("single", SINGLE), ("several", SEVERAL))
}
BOOKS = RNG.normal(size=(3, 16, 4)).astype(np.float32)
ROTATION = np.linalg.qr(RNG.normal(size=(D, D)))[0].astype(np.float32)
QUANTIZERS: dict[str, Quantizer] = {
    "threshold": Threshold(B, threshold=0.0),
    "pq by l2": ProductQuantizer.from_codebooks(BOOKS),
    "pq by ip": ProductQuantizer.from_codebooks(BOOKS, distance="ip"),
    "pq with a rotation": ProductQuantizer.from_codebooks(BOOKS, rotation=ROTATION),
}
CODES = [pack(vectors > 0) for vectors in (QUERY, ITEMS)]
Device = str
Work = Callable[[Device], Any]


def sides(quantizer: Quantizer, labels: str = "single") -> tuple[Side, Side]:
    known = LABELS[labels].values()
    query, items = (Side(quantizer.encode(v), v, v[:, :5], some) for v, some in zip((QUERY, ITEMS), known, strict=True))
    return query, items


def placed(values: Any, device: Device) -> Tensor:
    return torch.from_numpy(np.asarray(values)).to(device)


def tied(device: Device) -> Buckets:
    """Buckets with ties of both kinds, some empty, and a query without a relevant item."""
    counts = np.random.default_rng(1).integers(0, 5, (6, 9))
    counts[:, -1] += 50 - counts.sum(1)
    relevant = np.random.default_rng(2).integers(0, counts + 1)
    relevant[3] = 0
    return Buckets(placed(counts, device), placed(relevant, device))


def indices(quantizer: Quantizer, device: Device) -> Tensor:
    assert isinstance(quantizer, ProductQuantizer)
    return placed(quantizer.codewords_of(quantizer.encode(ITEMS)), device)


def distances(quantizer: Quantizer, *, queries: int, distance: str, device: Device, symmetric: bool = False) -> Tensor:
    """By look-up tables, of items with equal codes among them."""
    assert isinstance(quantizer, ProductQuantizer)
    tables = query_tables(quantizer, QUERY[:queries], distance=distance, symmetric=symmetric).to(device)
    norms = decoded_norms(quantizer, indices(quantizer, device)) if distance == "cosine" else None
    return table_distances(tables, indices(quantizer, device), norms=norms)


def orders() -> "dict[str, Callable[[Device], Order]]":
    """Every way for every kind of codes that it fits, and for none."""
    return {
        f"{way.name} of {name}, {labels}": lambda device, way=way, quantizer=quantizer, labels=labels: way.among(
            Candidates(9)
        ).order(*sides(quantizer or QUANTIZERS["threshold"], labels), quantizer, device=device)
        for name, quantizer in {**QUANTIZERS, "no codes": None}.items()
        for way in WAYS.values()
        if way.fits(quantizer)
        for labels in (LABELS if name in ("threshold", "pq by l2") else ["single"])
    }


def ranked(order: Order) -> list[Any]:
    """All that an order says, but for what it refuses."""
    found: list[Any] = [order.keys(slice(0, 5)), order.keys(slice(5, None)), order.pool_sizes()]
    for stable in (False, True):
        found += [list(order.buckets(stable=stable)), list(order.along(stable=stable))]
    try:
        found.append(order.pools(pool=7))
    except ValueError as error:
        found.append(str(error))
    return found


ORDERS = orders()
BY_CODES: dict[str, Work] = {
    f"hamming of {labels} labels": lambda device, known=known: hamming_buckets(*CODES, bits=B, device=device, **known)
    for labels, known in LABELS.items()
}
BY_TABLES: dict[str, Work] = {
    f"{name}, {distance}, {queries} queries{', both quantized' if symmetric else ''}": (
        lambda device, options=(quantizer, queries, distance, symmetric): distances(
            options[0], queries=options[1], distance=options[2], symmetric=options[3], device=device
        )
    )
    for name, quantizer in QUANTIZERS.items()
    if name.startswith("pq")
    for distance in ("l2", "ip", "cosine")
    for queries in (1, Q)
    for symmetric in (False, True)
}
KEYS: dict[str, Work] = {
    f"float keys, signed {signed}": lambda device, signed=signed: float_keys(
        placed(np.abs(QUERY) if not signed else QUERY, device), signed=signed
    )
    for signed in (False, True)
}
POOLS: dict[str, Work] = {
    "pool": lambda device: hamming_pools(tied(device), pool=7),
    "radius": lambda device: hamming_pools(tied(device), radius=3),
    "ties": lambda device: [split_ties(tied(device), rule) for rule in ("best", "worst")],
}
RELEVANCE: dict[str, Work] = {
    f"relevance of {labels} labels": lambda device, known=known: relevance(
        *(label_tensor(some, device) for some in known.values())
    )
    for labels, known in LABELS.items()
}
GROUPS: dict[str, Work] = {
    f"groups of {kind.__name__}, {'stable' if stable else 'tied'}": lambda device, kind=kind, stable=stable: group(
        placed(np.random.default_rng(4).integers(0, 6, (Q, N)).astype(kind), device),
        placed(np.random.default_rng(5).random((Q, N)) < 0.4, device),
        stable=stable,
    )
    for kind in (np.int32, np.int64)
    for stable in (False, True)
}
RANKED: dict[str, Work] = {name: lambda device, order=order: ranked(order(device)) for name, order in ORDERS.items()}
OTHERS: dict[str, Work] = {
    f"others by {name}, {labels}": lambda device, quantizer=quantizer, labels=labels: list(
        main_way(quantizer).order(*[sides(quantizer, labels)[1]] * 2, quantizer, device=device).others()
    )
    for name, quantizer in QUANTIZERS.items()
    for labels in LABELS
}
OF_METRICS: dict[str, Any] = {"cutoffs": (1, 3, 10), "percent": (1, 50, 100), "radius": 2}
METRICS: dict[str, Work] = {
    f"{name} {changed or ''}": lambda device, name=name, changed=changed: getattr(metrics, name)(
        tied(device),
        **{other: OF_METRICS[other] for other in required(getattr(metrics, name)) if other != "buckets"},
        **changed,
    )
    for name, function in inspect.getmembers(metrics, inspect.isfunction)
    if not name.startswith("_")
    and next(iter(inspect.signature(function).parameters)) == "buckets"
    and function.__module__ == metrics.__name__
    for changed in (
        [{}]
        if "cutoff" not in inspect.signature(function).parameters
        else [{"cutoff": cutoff} for cutoff in (None, 1, 7)]
    )
}
RULES: dict[str, Work] = {
    f"convention {name} at {cutoff}": lambda device, rules=rules, cutoff=cutoff: (
        rules.average_precision(rules.arrange(tied(device)), cutoff=cutoff),
        reproduction.bounds([reproduction.extremes_of(tied(device), rules.normaliser, cutoff=cutoff)], rules),
    )
    for name, rules in CONVENTIONS.items()
    for cutoff in (None, 7)
}
SETTINGS = Retrieval(pool=9, map_cutoffs=(None, 10), precision_cutoffs=(1, 5), recall_cutoffs=(10,), timed_queries=1)
WHOLE: dict[str, Work] = {
    f"all searches of {name}, {labels}": lambda device, quantizer=quantizer, labels=labels: retrieve(
        *sides(quantizer, labels), quantizer=quantizer, retrieval=SETTINGS, device=device
    )
    for name, quantizer in QUANTIZERS.items()
    for labels in (LABELS if name == "threshold" else ["single"])
}
REPRODUCED: dict[str, Work] = {
    f"all conventions of {name}": lambda device, quantizer=quantizer: reproduction.reproduction(
        main_way(quantizer).order(*sides(quantizer), quantizer, device=device), cutoffs=(None, 10)
    )
    for name, quantizer in list(QUANTIZERS.items())[:2]
}
VALIDATION: dict[str, Work] = {
    f"validation of {name}, {labels}": lambda device, quantizer=quantizer, labels=labels: leave_one_out_map(
        quantizer, ITEMS, torch.from_numpy(LABELS[labels]["database_labels"]), device=torch.device(device)
    )
    for name, quantizer in QUANTIZERS.items()
    for labels in LABELS
}

WITHOUT_WAIT = BY_CODES | BY_TABLES | KEYS | RELEVANCE
OF_ORDERS = RANKED | OTHERS
PATHS = WITHOUT_WAIT | POOLS | GROUPS | OF_ORDERS | METRICS | RULES | WHOLE | REPRODUCED | VALIDATION


def plain(value: Any) -> Any:
    """Values alone, without where they lie and how long they took."""
    if isinstance(value, Tensor):
        held = value.held if isinstance(value, OnCuda) else value
        return str(held.dtype), held.tolist()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(part) for name, part in vars(value).items()}
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items() if name not in ("query_ms", "qps")}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in WHOLE | REPRODUCED else ()) for name in PATHS]
)
def test_the_numbers_are_those_of_the_cpu(name: str) -> None:
    wanted = plain(PATHS[name]("cpu"))
    with stand_in_cuda():
        found = plain(PATHS[name]("cuda"))
    assert str(found) == str(wanted)  # NaN and −0 are told apart


@pytest.mark.parametrize("name", WITHOUT_WAIT)
def test_distances_and_histograms_never_wait(name: str) -> None:
    """Arrays reach the device first, as they do here."""
    with stand_in_cuda() as device:
        WITHOUT_WAIT[name]("cuda")
        assert device.waited == set()


@pytest.mark.parametrize("name", ORDERS)
def test_keys_never_wait_once_all_is_on_the_device(name: str) -> None:
    with stand_in_cuda() as device:
        order = ORDERS[name]("cuda")
        order.keys(slice(0, 5))
        device.waited.clear()
        assert order.keys(slice(5, None)).is_cuda
        assert device.waited == set()
