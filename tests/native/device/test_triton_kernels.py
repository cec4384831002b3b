"""The kernels in Triton, in processes of their own: by the interpreter, and compiled without a GPU."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("triton") is None, reason="triton, which comes with torch for CUDA, is not installed"),
]


def run(name: str, cache: Path, **variables: str) -> list[str]:
    """Lines that a program beside this file writes."""
    program = [sys.executable, str(Path(__file__).with_name(name))]
    settings = {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(cache), "TRITON_DEFAULT_FP_FUSION": "1"}
    done = subprocess.run(program, env=os.environ | settings | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_the_interpreter_finds_what_numpy_does(tmp_path: Path) -> None:
    """Nearest, within, tables and cosines of 16 draws, and 12 histograms."""
    assert len(run("interpreted.py", tmp_path, TRITON_INTERPRET="1")) == 4 * 16 + 12


def test_they_compile_to_what_they_mean(tmp_path: Path) -> None:
    """Bits are counted by the instruction for it: 8 queries × 8 rows a thread × 2 words, and 8 rows × 2 words.

    A thread reads several rows at a time, and no product and sum of distances is fused, which would round otherwise
    than torch and numpy do.
    """
    kernels = {row.pop("name"): row for row in map(json.loads, run("compiled.py", tmp_path))}
    assert all(row["binary"] > 1000 and row["ld.global.v"] for row in kernels.values())
    assert kernels["_hamming_minima"]["popc.b32"] == 128
    assert kernels["_table_minima"]["fma.rn"] == 0
    assert kernels["_hamming_counts"]["popc.b32"] >= 16
    assert kernels["_hamming_counts"]["atom.global"] + kernels["_hamming_counts"]["st.global"] > 0
