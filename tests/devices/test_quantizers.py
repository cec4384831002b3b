"""Quantizers on a CUDA device that is not there: fits, codes, tables and soft bits are those of the CPU."""

import inspect
from typing import Any

import numpy as np
import pytest

from dqh import quantizers
from dqh.quantizers import ProductQuantizer
from tests.devices.guard import stand_in_cuda
from tests.devices.variants import required

D = 8
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(90, D)).astype(np.float32)
ALIKE = np.repeat(VECTORS[:3], 12, axis=0)
SIZES = {"subspaces": 2, "codewords": 8}

ON_A_DEVICE: list[type[ProductQuantizer]] = [
    kind
    for name in quantizers.__all__
    if inspect.isclass(kind := getattr(quantizers, name)) and "device" in inspect.signature(kind).parameters
]


def made(kind: type[ProductQuantizer], vectors: Any, device: str) -> dict[str, Any]:
    """All that a quantizer makes of vectors."""
    few = {"rotations": 1} if "rotations" in inspect.signature(kind).parameters else {}
    quantizer = kind(**{name: SIZES[name] for name in required(kind)}, device=device, iterations=3, **few).fit(vectors)
    again = kind(**{name: SIZES[name] for name in required(kind)}, device=device, iterations=2, **few)
    codes = quantizer.encode(VECTORS)
    return {
        "codes": codes,
        "decoded": quantizer.decode(codes),
        "soft": quantizer.soft(VECTORS, codes, quantizer.encode(VECTORS + np.float32(1e-6))),
        "codebooks": quantizer.codebooks,
        "rotation": quantizer.rotation,
        "warm": again.fit(vectors, start=quantizer.codebooks).codebooks,
        "l2": quantizer.tables(VECTORS[:5], "l2"),
        "ip": quantizer.tables(VECTORS[:5], "ip"),
    }


def test_some_compute_on_a_device() -> None:
    assert {ProductQuantizer, quantizers.OptimizedProductQuantizer, quantizers.VectorQuantizer} <= set(ON_A_DEVICE)


@pytest.mark.parametrize("vectors", [VECTORS, ALIKE], ids=["spread", "fewer distinct ones than codewords"])
@pytest.mark.parametrize("kind", ON_A_DEVICE)
def test_a_device_changes_nothing(kind: type[ProductQuantizer], vectors: Any) -> None:
    wanted = made(kind, vectors, "cpu")
    with stand_in_cuda():
        found = made(kind, vectors, "cuda")
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
