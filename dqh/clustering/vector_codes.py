"""Codes of vectors that need not fit into memory, and the quantizers that are fitted to a sample of them.

N vectors of D dimensions, B bits a code.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_points import CHUNK, Vectors, finite_rows
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints
from dqh.codes import code_bytes
from dqh.progress import Progress
from dqh.quantizers.itq import ITQ
from dqh.quantizers.product import ProductQuantizer
from dqh.quantizers.quantizer import Coder

SAMPLE = 2**16
"""Vectors that a quantizer is fitted to at most."""

STAGES = FITTED, CODES = "quantizer", "codes"
"""Of checkpoints."""


def sampled(vectors: Vectors, seed: int) -> NDArray[np.float32]:
    """(m, D) of the vectors, at most `SAMPLE`, drawn at random and in their order; `DataError` where one is wrong."""
    size = min(len(vectors), SAMPLE)
    rows = np.sort(np.random.default_rng(seed).choice(len(vectors), size, replace=False))
    return finite_rows(vectors[rows], 0, size)


def fitted_itq(vectors: Vectors, bits: int, *, seed: int, checkpoints: Checkpoints = KEEP_NOTHING) -> ITQ:
    """ITQ of B bits, fitted to a sample; errors as of `ITQ.fit`."""
    itq = ITQ(bits, seed=seed)
    if (state := checkpoints.load(FITTED)) is not None:
        itq.dimension, itq.mean, itq.projection = len(state["mean"]), state["mean"], state["projection"]
        return itq
    itq.fit(sampled(vectors, seed))
    checkpoints.offer(FITTED, lambda: itq_state(itq), ended=True)
    return itq


def itq_state(itq: ITQ) -> dict[str, NDArray[Any]]:
    """What ITQ consists of: `mean` (D,) and `projection` (D, B), whose product with a vector has the signs."""
    return {"mean": itq.mean, "projection": itq.projection}


def fitted_product(
    vectors: Vectors, subspaces: int, codewords: int, *, seed: int, checkpoints: Checkpoints = KEEP_NOTHING
) -> ProductQuantizer:
    """A product quantizer fitted to a sample; errors as of `ProductQuantizer.fit`."""
    if (state := checkpoints.load(FITTED)) is not None:
        return ProductQuantizer.from_codebooks(state["codebooks"])
    quantizer = ProductQuantizer(subspaces, codewords, seed=seed).fit(sampled(vectors, seed))
    checkpoints.offer(FITTED, quantizer.state, ended=True)
    return quantizer


def encoded(vectors: Vectors, coder: Coder, *, checkpoints: Checkpoints = KEEP_NOTHING) -> NDArray[np.uint8]:
    """Codes (N, ⌈B / 8⌉) of vectors (N, D), which are read once; `DataError` where one is not finite.

    The stage `codes` of the checkpoints has what is done.
    """
    codes = np.empty((len(vectors), code_bytes(coder.bits)), np.uint8)
    state = checkpoints.load(CODES)
    done = 0 if state is None else len(state["codes"])
    if state is not None:
        codes[:done] = state["codes"]
    progress = Progress("encoded", len(vectors), noun="vectors", done=done)
    for start in range(done, len(vectors), CHUNK):
        rows = finite_rows(vectors, start, start + CHUNK)
        stop = start + len(rows)
        codes[start:stop] = coder.encode(rows)
        progress.advance(len(rows))
        checkpoints.offer(CODES, partial(dict, codes=codes[:stop]), ended=stop == len(vectors))
    return codes
