"""Tensors that anyone may have made: the header is measured before it is parsed."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from dqh.tensors import MAX_HEADER, load_tensors, read_arrays, read_tensors, write_arrays

STATE = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7, np.int64)}


def test_they_come_back_with_and_without_torch(tmp_path: Path) -> None:
    content = save(STATE)
    (tmp_path / "a.safetensors").write_bytes(content)
    arrays = read_arrays(content)
    assert set(arrays) == set(STATE)
    assert all(np.array_equal(arrays[name], STATE[name]) for name in STATE)
    for state in (read_tensors(content), load_tensors(tmp_path / "a.safetensors")):
        assert all(torch.equal(state[name], torch.from_numpy(STATE[name])) for name in STATE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a header of 0 bytes"),
        (b"\x08\0\0", "a header of 8 bytes"),
        (struct.pack("<Q", 9) + b"{}", "a header of 9 bytes"),
        (struct.pack("<Q", MAX_HEADER + 1) + b"{" * (MAX_HEADER + 1), f"a header of {MAX_HEADER + 1} bytes"),
        (struct.pack("<Q", 2) + b"[]", "[hH]eader"),
        (save(STATE)[:-1], "[bB]uffer|[iI]ncomplete|[mM]etadata"),
    ],
)
def test_those_that_are_none_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    for read in (read_arrays, read_tensors, lambda content: load_tensors(tmp_path / "a")):
        with pytest.raises(ValueError, match=message):
            read(content)


def test_equal_values_give_equal_bytes_in_whatever_order_they_lie() -> None:
    turned = {"b": STATE["b"], "a": np.asfortranarray(STATE["a"])}
    assert write_arrays(turned) == write_arrays(STATE) == save(STATE)
