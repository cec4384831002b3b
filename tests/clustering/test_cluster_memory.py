"""What a clustering takes at most; measured peaks are in docs/clustering.md."""

from pathlib import Path

import pytest

from dqh.clustering.cluster_memory import available_bytes, bytes_of, estimated, require_memory
from dqh.clustering.cluster_methods import METHODS, ClusterSettings
from dqh.errors import ConfigError


def of(method: str, points: int, *, bits: int | None = None, **settings: int) -> dict[str, int]:
    chosen = ClusterSettings(method, 1000, "vectors" if bits is None else "codes", **settings)
    return estimated(chosen, points=points, dimension=128, bits=bits, held_bytes=0)


@pytest.mark.parametrize("method", METHODS)
def test_more_points_take_more(method: str) -> None:
    assert sum(of(method, 10**6).values()) < sum(of(method, 10**7).values())


def test_cells_are_at_most_all_of_the_grid() -> None:
    """512² cells with means of 128 float32, three times while there is made room: 403 MB, however many points."""
    assert of("iqmeans", 10**9)["means of cells"] == 12 * 128 * 512**2
    assert of("iqmeans", 1000)["means of cells"] == 12 * 128 * 1000
    assert "means of cells" not in of("iqmeans", 10**9, bits=18)


def test_sums_of_codes_and_of_chunks() -> None:
    """1,000 centres: of 64 bits 40 bytes each, of 8 subspaces with 256 codewords 96; sums of 2⁵ chunks on 9 levels."""
    assert of("binary_kmeans", 10**6, bits=64)["sums"] == 1000 * 64 * 40
    assert of("pqkmeans", 10**6, bits=64)["sums"] == 1000 * 256 * (8 * 8 + 32)
    assert of("kmeans", 2**20)["centres"] == 1000 * 128 * (32 + 8 * 9)


def test_a_refusal_says_what_takes_it() -> None:
    settings = ClusterSettings("iqmeans", 1000, "vectors", codewords=8192)
    parts = estimated(settings, points=10**8, dimension=128, bits=None, held_bytes=0)
    require_memory(settings, parts, None, told=False)
    require_memory(settings, parts, sum(parts.values()), told=True)
    with pytest.raises(
        ConfigError, match=r"up to 10\d\.\d GiB here \(means of cells 96\.0 GiB, .*\), and only 4\.0 GiB are free"
    ):
        require_memory(settings, parts, 4 * 2**30, told=False)


def test_what_is_free(tmp_path: Path) -> None:
    """The machine has 8 GiB free, the control group 1 of 3."""
    (tmp_path / "meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 8 * 2**30
    (tmp_path / "memory.max").write_text(f"{3 * 2**30}\n")
    (tmp_path / "memory.current").write_text(f"{2 * 2**30}\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 2**30
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 8 * 2**30
    assert available_bytes(tmp_path / "none", tmp_path) is None


@pytest.mark.parametrize("text", ["", "4X", "-1G", "0", "G", "1e9"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="wanted a size of memory such as 4G"):
        bytes_of(text)


def test_cells_that_are_counted_take_less() -> None:
    """Codes of 8,192 codewords in 16 of 67 million cells, 64 bytes each, though the settings name no codewords."""
    settings = ClusterSettings("iqmeans", 1000, "codes")
    given = {"points": 10**8, "dimension": 128, "bits": 26, "held_bytes": 0, "codewords": 8192}
    every, counted = estimated(settings, **given), estimated(settings, cells=16 * 10**6, **given)
    assert every["cells with points"] == 64 * 8192**2
    assert counted["cells with points"] == 64 * 16 * 10**6
    assert counted["the grid"] == every["the grid"] == 9 * 8192**2
