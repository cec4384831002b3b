"""Bytes that anyone may have made: sizes are checked before parsing, nothing unpickles."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from dqh.artifact.reading import parse_json, parse_npy, parse_safetensors, read_codes
from dqh.errors import ArtifactError, DataError


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def with_header(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + body


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(
    "array", [np.arange(6, dtype=np.uint8).reshape(2, 3), np.zeros((0, 4), np.float32), np.ones(3)]
)
def test_arrays_come_back(array: np.ndarray, version: tuple[int, int]) -> None:
    for each in (array, np.asfortranarray(array)):
        found = parse_npy(npy(each, version), "a.npy", dtypes=[np.uint8, np.float32, np.float64])
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.npy is no .npy file"),
        (b"\x93NUMPY\x01\x00", "a.npy is no .npy file"),
        (npy(np.ones(3, np.uint8))[:-1], r"names the shape \(3,\), which does not fit its 2 bytes"),
        (npy(np.ones(3, np.uint8)) + b"x", r"does not fit its 4 bytes"),
        (
            with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,), }"),
            "does not fit its 0 bytes",
        ),
        (with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, -1), }", b"x"), "does not fit"),
        (
            with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"x" * 8),
            "it holds object, which is not unpickled",
        ),
        (with_header("[" * 4000), "is no .npy file"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f", "a header of 2147483647 bytes"),
        (npy(np.ones(3, np.float64)), "holds float64, wanted uint8"),
    ],
)
def test_arrays_that_are_none(content: bytes, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        parse_npy(content, "a.npy", dtypes=[np.uint8])


def test_tensors_come_back() -> None:
    found = parse_safetensors(save({"a": torch.arange(3.0), "b": torch.tensor(2)}), "a.safetensors")
    assert {name: value.tolist() for name, value in found.items()} == {"a": [0.0, 1.0, 2.0], "b": 2}


def _tensors(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        (2**40).to_bytes(8, "little") + b"{}",
        (100).to_bytes(8, "little") + b"{}",
        _tensors({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}),
        _tensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        _tensors({"a": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        _tensors([]),
    ],
)
def test_tensors_that_are_none(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"a.safetensors cannot be read"):
        parse_safetensors(content, "a.safetensors")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 200_000])
def test_json_that_is_none(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"a.json is no JSON"):
        parse_json(content, "a.json")


def test_codes_of_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "codes.npy", np.ones((2, 3), np.uint8))
    assert read_codes(tmp_path / "codes.npy").shape == (2, 3)
    np.save(tmp_path / "floats.npy", np.ones((2, 3)))
    with pytest.raises(DataError, match=r"codes: .*floats.npy holds float64, wanted uint8"):
        read_codes(tmp_path / "floats.npy")
    with pytest.raises(DataError, match=r"codes: no file at .*none.npy"):
        read_codes(tmp_path / "none.npy")
