"""What `cluster.py` clusters: deep features, or vectors and codes that a seed decides, written once and mapped.

Vectors from a seed lie around centres as deep features do: dimension i has a variance of i^(-2/3), that of centres, and
half as much more around them. 100,000 of them around 1,000 centres fill 18,577 cells of 256 x 256, deep features
18,415; IQ-means with 512 codewords leaves 5 and 6 % of the points unvisited.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.clustering.cell_codebooks import fitted_quantizer
from dqh.clustering.cell_points import Space
from dqh.codes import pack_indices
from dqh.quantizers.product import ProductQuantizer

DIMENSION, BITS, CHUNK, SAMPLE = 128, 64, 2**16, 2**15
DRAWS = 32
"""Points of each centre from which its codes take their halves."""

SPREAD = (np.arange(1, DIMENSION + 1) ** (-1 / 3)).astype(np.float32)
"""Standard deviation of each dimension."""

AROUND = np.float32(0.5**0.5)
"""Standard deviation of points around their centre, of 1 for centres."""


class Data(NamedTuple):
    """What is clustered: vectors or codes, their classes where they have some, and the quantizer of the codes."""

    points: NDArray[Any]
    labels: NDArray[np.int64] | None = None
    quantizer: ProductQuantizer | None = None


def written(folder: Path, given: argparse.Namespace) -> None:
    """Write the points of a part into a folder, and what else `loaded` wants."""
    generator = np.random.default_rng(0)
    if given.part == "deepfeatures":
        source = given.data / "deepfeatures"
        np.save(folder / "points.npy", np.load(source / "features_pca128_f16.npy", mmap_mode="r")[: given.points])
        np.save(folder / "labels.npy", np.load(source / "labels.npy")[: given.points])
    elif given.part == "vectors":
        _vectors(_new(folder, (given.points, DIMENSION), np.float16), given.clusters, generator)
    elif given.part == "codes":
        _codes(folder, given, generator)
    else:
        _bits(_new(folder, (given.points, BITS // 8), np.uint8), given.clusters, generator)


def loaded(folder: Path) -> Data:
    """What was written, its points mapped."""
    points, labels, books = np.load(folder / "points.npy", mmap_mode="r"), folder / "labels.npy", folder / "books.npz"
    quantizer = None
    if books.is_file():
        arrays = np.load(books)
        quantizer = ProductQuantizer.from_codebooks(arrays["codebooks"], rotation=arrays["rotation"])
    return Data(points, np.load(labels) if labels.is_file() else None, quantizer)


def about(folder: Path) -> dict[str, Any]:
    """What is worth telling of the data."""
    file = folder / "about.json"
    told: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return told


def _new(folder: Path, shape: tuple[int, int], dtype: type) -> NDArray[Any]:
    return np.lib.format.open_memmap(folder / "points.npy", mode="w+", dtype=np.dtype(dtype), shape=shape)


def _vectors(points: NDArray[np.float16], clusters: int, generator: np.random.Generator) -> None:
    centres = generator.standard_normal((clusters, DIMENSION), np.float32)
    for start in range(0, len(points), CHUNK):
        size = min(CHUNK, len(points) - start)
        noise = generator.standard_normal((size, DIMENSION), np.float32) * AROUND
        points[start : start + size] = (centres[generator.integers(0, clusters, size)] + noise) * SPREAD


def _codes(folder: Path, given: argparse.Namespace, generator: np.random.Generator) -> None:
    """Codes of such vectors: each half of a code is that of one of 32 points of its centre, any two of them."""
    codewords = given.codewords
    centres = generator.standard_normal((given.clusters, DIMENSION), np.float32)
    owners = generator.integers(0, given.clusters, max(SAMPLE, 16 * codewords))
    sample = centres[owners] + generator.standard_normal((len(owners), DIMENSION), np.float32) * AROUND
    quantizer = fitted_quantizer(sample * SPREAD, codewords, seed=0)
    rotation: Any = quantizer.rotation
    np.savez(folder / "books.npz", codebooks=quantizer.codebooks, rotation=rotation)
    space, width = Space(quantizer), codewords.bit_length() - 1
    halves = np.empty((2, given.clusters, DRAWS), np.uint16)
    for draw in range(DRAWS):
        near = (centres + generator.standard_normal(centres.shape, np.float32) * AROUND) * SPREAD
        numbers = space.cells(space.enter(near))[0]
        halves[0, :, draw], halves[1, :, draw] = numbers // codewords, numbers % codewords
    codes = _new(folder, (given.points, -(-2 * width // 8)), np.uint8)
    filled = np.zeros(codewords**2, np.bool_)
    for start in range(0, len(codes), 2**20):
        size = min(2**20, len(codes) - start)
        owner, draws = generator.integers(0, given.clusters, size), generator.integers(0, DRAWS, (2, size))
        rows = halves[0, owner, draws[0]], halves[1, owner, draws[1]]
        codes[start : start + size] = pack_indices(np.stack(rows, axis=1), width)
        filled[rows[0].astype(np.int64) * codewords + rows[1]] = True
    told = {"cells with points": int(filled.sum()), "cells": codewords**2}
    (folder / "about.json").write_text(json.dumps(told))


def _bits(codes: NDArray[np.uint8], clusters: int, generator: np.random.Generator) -> None:
    """Each bit of a centre turned with a chance of 10 %."""
    centres = generator.integers(0, 2, (clusters, BITS), dtype=np.uint8)
    for start in range(0, len(codes), CHUNK):
        size = min(CHUNK, len(codes) - start)
        turned = generator.random((size, BITS), np.float32) < 0.1
        codes[start : start + size] = np.packbits(centres[generator.integers(0, clusters, size)] ^ turned, axis=1)


def as_float32(points: NDArray[Any]) -> NDArray[np.float32]:
    """All points in memory."""
    return np.asarray(points, np.float32)


def sampled(points: NDArray[Any], size: int) -> NDArray[np.float32]:
    """Some of the points, as of `rows_of`."""
    return np.asarray(points[rows_of(len(points), size)], np.float32)


def rows_of(number: int, size: int) -> NDArray[np.int64]:
    """At most `size` of so many rows, from a seed, ascending."""
    return np.sort(np.random.default_rng(0).choice(number, min(size, number), replace=False))


def set_threads(count: int) -> None:
    """Of torch; faiss is told by who uses it."""
    torch.set_num_threads(count)
