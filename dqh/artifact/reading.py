"""Arrays and tensors out of bytes that anyone may have made: sizes are checked against the content before parsing."""

import io
import json
from collections.abc import Callable, Collection
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays

from dqh.errors import ArtifactError, DataError

if TYPE_CHECKING:
    from torch import Tensor

_Value = TypeVar("_Value")

MAX_NPY_HEADER = 4096
MAX_SAFETENSORS_HEADER = 16 * 2**20
"""Bytes. A network of a thousand tensors takes a tenth of a MiB."""


def parse_npy(content: bytes, name: str, *, dtypes: Collection[type[np.generic]]) -> NDArray[Any]:
    """The array of an .npy file.

    Args:
        content: the whole file.
        name: of the file, for errors.
        dtypes: those that it may have.

    Raises:
        ArtifactError: not the format, a header beyond `MAX_NPY_HEADER`, another dtype, or a shape of another size than
            what follows.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        width = 2 if version == (1, 0) else 4
        length = int.from_bytes(content[stream.tell() : stream.tell() + width], "little")
        if length > MAX_NPY_HEADER:
            raise ValueError(f"a header of {length} bytes")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream, max_header_size=MAX_NPY_HEADER)
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise ArtifactError(f"{name} is no .npy file of this package: {error}; copy it again") from error
    if dtype not in [np.dtype(each) for each in dtypes] or dtype.hasobject:
        raise ArtifactError(f"{name} holds {dtype}, wanted {' or '.join(np.dtype(each).name for each in dtypes)}")
    rest = len(content) - stream.tell()
    if min(shape, default=1) < 0 or prod(shape) * dtype.itemsize != rest:
        raise ArtifactError(f"{name} names the shape {shape}, which does not fit its {rest} bytes; copy it again")
    array = np.frombuffer(content, dtype, offset=stream.tell())
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def read_codes(file: Path) -> NDArray[np.uint8]:
    """Packed codes of an .npy file.

    Raises:
        DataError: no such file, or it holds something else.
    """
    if not file.is_file():
        raise DataError(f"codes: no file at {file}; give an .npy file of packed codes, (N, bytes) uint8")
    try:
        return parse_npy(file.read_bytes(), str(file), dtypes=[np.uint8])
    except ArtifactError as error:
        raise DataError(f"codes: {error}") from error


def parse_safetensors(content: bytes, name: str) -> "dict[str, Tensor]":
    """The tensors of a .safetensors file, by name.

    Args:
        content: the whole file.
        name: of the file, for errors.

    Raises:
        ArtifactError: not the format, or a header beyond `MAX_SAFETENSORS_HEADER` or the file.
    """
    from safetensors.torch import load

    return _parsed(content, name, load)


def parse_arrays(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The same as arrays of numpy, without torch."""
    return _parsed(content, name, load_arrays)


def _parsed(content: bytes, name: str, load: Callable[[bytes], dict[str, _Value]]) -> dict[str, _Value]:
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(MAX_SAFETENSORS_HEADER, len(content) - 8):
        raise ArtifactError(f"{name} cannot be read: a header of {length} bytes; copy it again")
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:  # KeyError: a dtype that it has not
        raise ArtifactError(f"{name} cannot be read: {error}; copy it again") from error


def parse_json(content: bytes, name: str) -> Any:
    """The value of a JSON file.

    Raises:
        ArtifactError: not JSON, or nested too deeply.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{name} is no JSON: {error}; copy it again") from error
