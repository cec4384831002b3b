"""Arrays, tensors and JSON out of files of an artifact that anyone may have made, whose faults are told as its own.

The formats themselves are read in `dqh.npy` and `dqh.tensors`.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dqh import npy, tensors
from dqh.errors import ArtifactError, DataError

if TYPE_CHECKING:
    from torch import Tensor


def parse_npy(content: bytes, name: str, *, dtypes: Collection[type[np.generic]]) -> NDArray[Any]:
    """The array of an .npy file, see `dqh.npy.parse_npy`; `ArtifactError` where it is none, or of another dtype."""
    try:
        array = npy.parse_npy(content)
    except ValueError as error:
        raise ArtifactError(f"{name} is no .npy file of this package: {error}; copy it again") from error
    if array.dtype not in [np.dtype(dtype) for dtype in dtypes]:
        raise ArtifactError(
            f"{name} holds {array.dtype}, wanted {' or '.join(np.dtype(dtype).name for dtype in dtypes)}"
        )
    return array


def read_codes(file: Path) -> NDArray[np.uint8]:
    """Packed codes of an .npy file; `DataError` where there is no such file, or it holds something else."""
    if not file.is_file():
        raise DataError(f"codes: no file at {file}; give an .npy file of packed codes, (N, bytes) uint8")
    try:
        return parse_npy(file.read_bytes(), str(file), dtypes=[np.uint8])
    except ArtifactError as error:
        raise DataError(f"codes: {error}") from error


def parse_safetensors(content: bytes, name: str) -> "dict[str, Tensor]":
    """The tensors of a .safetensors file by name, see `dqh.tensors.read_tensors`; `ArtifactError` where it is none."""
    try:
        return tensors.read_tensors(content)
    except ValueError as error:
        raise ArtifactError(f"{name} cannot be read: {error}; copy it again") from error


def parse_arrays(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The same as arrays of numpy, without torch."""
    try:
        return dict(tensors.read_arrays(content))
    except ValueError as error:
        raise ArtifactError(f"{name} cannot be read: {error}; copy it again") from error


def parse_json(content: bytes, name: str) -> Any:
    """The value of a JSON file; `ArtifactError` where it is none, or nested too deeply."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{name} is no JSON: {error}; copy it again") from error
