"""Tensors out of .safetensors files that anyone may have made: the header is measured before it is parsed.

Nothing in such a file is executed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dqh.files import open_regular

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER = 16 * 2**20
"""Bytes. A network of a thousand tensors takes a tenth of a MiB."""

_Made = TypeVar("_Made")


def write_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of a file of arrays: equal names and values give equal bytes, in whatever order they lie."""
    from safetensors.numpy import save

    content: bytes = save({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)})
    return content


def read_arrays(content: bytes) -> dict[str, NDArray[np.generic]]:
    """The tensors of a file by name, as arrays, without torch.

    Raises:
        ValueError: not the format, or a header beyond `MAX_HEADER` or the file; the text says why.
    """
    from safetensors.numpy import load

    return _read(content[:8], len(content), lambda: load(content))


def read_tensors(content: bytes) -> "dict[str, Tensor]":
    """The same as tensors of torch, on the CPU."""
    from safetensors.torch import load

    return _read(content[:8], len(content), lambda: load(content))


def load_tensors(file: Path) -> "dict[str, Tensor]":
    """The same out of a file, or a link to one, which is mapped and not read whole first.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: as above.
    """
    from safetensors.torch import load_file

    with open_regular(file, links=True) as opened:
        head, size = opened.read(8), file.stat().st_size
    return _read(head, size, lambda: load_file(file))


def _read(head: bytes, size: int, load: Callable[[], dict[str, _Made]]) -> dict[str, _Made]:
    from safetensors import SafetensorError

    length = int.from_bytes(head, "little")
    if len(head) < 8 or length > min(MAX_HEADER, size - 8):
        raise ValueError(f"a header of {length} bytes")
    try:
        return dict(load())
    except (SafetensorError, KeyError, RuntimeError) as error:  # KeyError: a dtype that it has not
        raise ValueError(str(error)) from error
