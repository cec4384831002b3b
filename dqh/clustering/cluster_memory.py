"""How much memory a clustering takes at most, before it begins, and how much there is.

Pages of mapped files are not counted: the system takes them back as it needs them.

N points of D dimensions or B bits, k clusters, c codewords of a half, M subspaces of K codewords.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from dqh.clustering.cell_points import CHUNK, MOST_CODEWORDS
from dqh.clustering.cluster_methods import BITS_OF_VECTORS, CODEWORDS, SUBSPACES, ClusterSettings
from dqh.clustering.iq_means import POINTS, POINTS_A_CODEWORD
from dqh.clustering.iq_means import SAMPLE as CELL_SAMPLE
from dqh.clustering.vector_codes import SAMPLE
from dqh.clustering.vector_kmeans import POINTS_A_CLUSTER
from dqh.clustering.vector_kmeans import SAMPLE as START_SAMPLE
from dqh.codes import code_bytes
from dqh.errors import ConfigError
from dqh.quantizers.codebooks import CHUNK as ENCODED

BASE = 800 * 2**20
"""Bytes of the program with its packages, of which torch has most, and of what is read at a time."""

GIB = 2**30

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE)


def bytes_of(text: str) -> int:
    """Bytes that a text such as 4G, 800M or 1.5GiB names; `ValueError` where it names none.

    Example:
        >>> bytes_of("1.5G"), bytes_of("800 MiB")
        (1610612736, 838860800)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"wanted a size of memory such as 4G or 800M, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def shown_bytes(size: float) -> str:
    """A size for people.

    Example:
        >>> shown_bytes(1610612736), shown_bytes(9e7)
        ('1.5 GiB', '86 MiB')
    """
    return f"{size / GIB:,.1f} GiB" if size >= GIB else f"{size / 2**20:,.0f} MiB"


def available_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory that the system says is free for a program, also within its control group; None where it does not say."""
    sizes = []
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        sizes.append(int(fields["MemAvailable"].split()[0]) * 2**10)
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
        sizes += [int(limit) - int(used)] if limit != "max" else []
    except (OSError, ValueError):
        pass
    return max(0, min(sizes)) if sizes else None


def estimated(
    settings: ClusterSettings,
    *,
    points: int,
    dimension: int,
    bits: int | None,
    held_bytes: int,
    codewords: int | None = None,
    cells: int | None = None,
) -> dict[str, int]:
    """Bytes that a clustering takes at most, by what for.

    Args:
        settings: of it; `clusters` may be `auto`.
        points: N.
        dimension: D of vectors; of codes what their quantizer decodes to.
        bits: B of codes; None for vectors.
        held_bytes: that reading takes.
        codewords: of a half, of codes that IQ-means clusters; None for those of the settings.
        cells: with points, where they are counted; None for as many as there can be.
    """
    clusters = (
        (settings.most_clusters or max(1, points // POINTS)) if settings.clusters == "auto" else settings.clusters
    )
    parts = {"the program": BASE + held_bytes, "labels and distances": 8 * points}
    if settings.method == "iqmeans":
        codewords = min(codewords or settings.codewords or CODEWORDS["iqmeans"], MOST_CODEWORDS)
        most = min(points, codewords**2) if cells is None else cells
        parts |= _of_cells(codewords, most, points, dimension, is_coded=bits is not None)
        parts["centres"] = (120 if bits is None else 36) * clusters * dimension  # of vectors the halves of clusters too
    elif settings.method == "kmeans":
        parts["vectors to begin with"] = 12 * dimension * min(points, max(START_SAMPLE, POINTS_A_CLUSTER * clusters))
        levels = 3 + (points // CHUNK).bit_length()  # of sums of chunks, one of them while two are added
        parts["centres"] = (32 + 8 * levels) * clusters * dimension
    else:
        parts |= _of_codes(settings, points, dimension, bits, int(clusters))
    return parts


def require_memory(settings: ClusterSettings, parts: Mapping[str, int], most: int | None, *, told: bool) -> None:
    """Raise `ConfigError` where a clustering may take more memory than there is.

    Args:
        settings: of it.
        parts: what it takes, see `estimated`.
        most: bytes that there are; None where nobody knows.
        told: whether somebody gave that number.
    """
    total = sum(parts.values())
    if most is None or total <= most:
        return
    largest = ", ".join(
        f"{name} {shown_bytes(parts[name])}" for name in sorted(parts, key=lambda name: -parts[name])[:3]
    )
    limit = f"--memory allows {shown_bytes(most)}" if told else f"only {shown_bytes(most)} are free"
    fewer = {"iqmeans": ", or fewer --codewords", "binary_kmeans": ", or fewer --bits"}.get(settings.method, "")
    raise ConfigError(
        f"{settings.method} may take up to {shown_bytes(total)} here ({largest}), and {limit}. Take fewer "
        f"clusters{fewer}, or allow it: --memory {-(-total // GIB)}G"
    )


def _of_cells(codewords: int, cells: int, points: int, dimension: int, *, is_coded: bool) -> dict[str, int]:
    parts = {"cells of points": 4 * points, "the grid": 9 * codewords**2, "cells with points": 64 * cells}
    if not is_coded:
        sample = min(points, max(CELL_SAMPLE, POINTS_A_CODEWORD * codewords))
        parts["vectors that the quantizer is fitted to"] = 20 * dimension * sample
        parts["means of cells"] = 12 * dimension * cells  # three times while room is made for more of them
    return parts


def _of_codes(
    settings: ClusterSettings, points: int, dimension: int, bits: int | None, clusters: int
) -> dict[str, int]:
    subspaces = settings.subspaces or SUBSPACES
    width = (settings.codewords or CODEWORDS["pqkmeans"]).bit_length() - 1
    is_binary = settings.method == "binary_kmeans"
    own_bits = (settings.bits or min(BITS_OF_VECTORS, dimension)) if is_binary else subspaces * width
    parts: dict[str, int] = {}
    if bits is None:
        parts["vectors that the quantizer is fitted to"] = 40 * dimension * min(points, SAMPLE)
    octets = code_bytes(bits or own_bits)
    words = 8 * -(-octets // 8)
    if bits is None and not is_binary:
        parts["encoding"] = 4 * 8 * ENCODED
    # numbers of bits or codewords before and after a step, and what they are compared with
    parts["sums"] = clusters * (40 * 8 * words if is_binary else (8 * octets + 32) * (settings.codewords or 256))
    parts["codes"] = 2 * octets * points
    parts["equal codes"] = (2 * words + 24) * points
    parts["assignment"] = (48 if is_binary else 48 + 10 * octets) * points
    return parts
