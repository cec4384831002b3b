"""The kernels in Triton by its interpreter, against those in numpy: a program to be run with TRITON_INTERPRET=1.

Writes a line for each comparison that held.
"""

import sys
from itertools import product
from typing import Any

import numpy as np

from dqh.native import table_twins, twins
from dqh.native.bitmaps import bitmap_of
from dqh.native.device import triton_kernels
from dqh.native.device.hamming_tensors import HammingTensors
from dqh.native.device.histogram_tensors import histogram_tensors
from dqh.native.device.product_tensors import ProductTensors
from dqh.native.hamming_codes import HammingCodes
from dqh.native.hamming_histograms import hamming_histograms
from dqh.native.product_codes import ProductCodes

RNG = np.random.default_rng(0)
KERNELS: Any = triton_kernels


def hold(name: str, ours: Any, wanted: Any) -> None:
    for one, other in zip(ours, wanted, strict=True):
        assert one.dtype == other.dtype, name
        assert np.array_equal(one, other), name
    sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    for (count, size, k), queries, share in product(
        [(1, 1, 1), (300, 3, 50), (3000, 8, 20), (1100, 33, 700)], (1, 9), (None, 0.3)
    ):
        name = f"{count} codes of {size} bytes, {queries} queries, {share} allowed"
        codes = RNG.integers(0, 256, (count, size), dtype=np.uint8) & RNG.integers(0, 16, size, dtype=np.uint8)
        asked = RNG.integers(0, 256, (queries, size), dtype=np.uint8)
        allowed = None if share is None else bitmap_of(RNG.random(count) < share)
        host, placed = HammingCodes(size, kernels=twins), HammingTensors(size, device="cpu", kernels=KERNELS)
        host.add(codes)
        placed.add(codes)
        hold(
            f"nearest, {name}",
            placed.nearest(asked, k, allowed=allowed),
            host.nearest(asked, min(k, count), allowed=allowed),
        )
        hold(f"within, {name}", placed.within(asked, 9, allowed=allowed), host.within(asked, 9, allowed=allowed))
        indices, tables = RNG.integers(0, 16, (size, count), dtype=np.uint8), RNG.normal(size=(queries, size, 16))
        products = ProductTensors(indices, device="cpu", kernels=KERNELS)
        wanted = ProductCodes(indices, 16, kernels=table_twins).nearest(tables.astype(np.float32), k, allowed=allowed)
        hold(f"tables, {name}", products.nearest(tables.astype(np.float32), k, allowed=allowed), wanted)
        norms = RNG.integers(0, 3, count).astype(np.float32)
        cosines = [
            ProductTensors(indices.astype(kind), norms=norms, device="cpu", kernels=kernels)
            for kind, kernels in ((np.uint16, KERNELS), (np.uint8, None))
        ]
        hold(f"cosine, {name}", *(each.nearest(tables, k, allowed=allowed) for each in cosines))

    for count, bits, several in product((1, 1500), (12, 64, 130), (False, True)):
        codes = RNG.integers(0, 16, (count, -(-bits // 8)), dtype=np.uint8)
        labels: Any = RNG.random((count, 40)) < 0.05 if several else RNG.integers(-1, 2, count) * 2**40
        sides = {"query_labels": labels[:3], "database_labels": labels, "bits": bits}
        counts = histogram_tensors(codes[:3], codes, **sides, device="cpu", kernels=KERNELS)
        wanted_counts = hamming_histograms(codes[:3], codes, **sides, kernels=twins)
        hold(f"histograms, {count} codes of {bits} bits, several {several}", [counts.numpy()], [wanted_counts])
