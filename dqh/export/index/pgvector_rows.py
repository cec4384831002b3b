r"""Rows as PostgreSQL's COPY reads them, in its text format: a line a row, tabs between values, \N where there is none.

    id  path  path_bytes  labels  x0  y0  x1  y1  content_hash  code  features

Codes of bits are written as bit strings, bit 0 of the code first, product-quantized ones as bytes.

n rows, B bits a code, F feature dimensions.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dqh.codes import unpack
from dqh.export.index.content import IndexContent, path_of, whole_text
from dqh.index.store.rows import Box, StoredRow

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_ELEMENT = str.maketrans({"\\": r"\\", '"': r"\""})
_NOTHING = r"\N"


def copy_lines(collection: IndexContent) -> Iterator[bytes]:
    """The line of each row, UTF-8.

    Raises:
        StoreError: features are damaged.
    """
    for part in collection.parts():
        codes = _octets(part.codes) if collection.product else bit_strings(part.codes, collection.bits)
        for columns in zip(map(_known, part.rows), codes, halfvecs(part.features), strict=True):
            yield ("\t".join(columns) + "\n").encode()


def text_value(text: str) -> str:
    r"""A text within a line.

    Example:
        >>> print(text_value("a\tb\\N"))
        a\tb\\N
    """
    return text.translate(_ESCAPES)


def array_value(texts: tuple[str, ...]) -> str:
    r"""A text[] within a line: every element quoted, its quotes and backslashes escaped, and then those of the line.

    Example:
        >>> print(array_value(('hat', 'a "b"')))
        {"hat","a \\"b\\""}
    """
    return text_value("{" + ",".join(f'"{text.translate(_ELEMENT)}"' for text in texts) + "}")


def bytes_value(content: bytes) -> str:
    r"""A bytea within a line, hexadecimal.

    Example:
        >>> print(bytes_value(b"ab"))
        \\x6162
    """
    return rf"\\x{content.hex()}"


def bit_strings(codes: NDArray[np.uint8], bits: int) -> list[str]:
    """A bit(B) a code, bit 0 of the code first.

    Example:
        >>> bit_strings(np.array([[0b00000001, 0b0010]], np.uint8), 12)
        ['100000000100']
    """
    digits = unpack(codes, bits).astype(np.uint8) + ord("0")
    return [row.tobytes().decode("ascii") for row in digits]


def halfvecs(features: NDArray[np.float16]) -> Iterator[str]:
    """A halfvec(F) a row, one after the other, in digits that give the same numbers again.

    Example:
        >>> next(halfvecs(np.array([[0.1, -2]], np.float16)))
        '[0.099976,-2]'
    """
    digits = _halves().__getitem__
    for row in np.ascontiguousarray(features).view(np.uint16):
        yield f"[{','.join(map(digits, row.tolist()))}]"


@cache
def _halves() -> list[str]:
    """The decimal of every bit pattern of float16: five digits tell any two apart, also where they become float32."""
    return [f"{value:.5g}" for value in np.arange(2**16, dtype=np.uint16).view(np.float16).tolist()]


def _known(row: StoredRow) -> str:
    text, name = path_of(row)
    values = [
        str(row.id),
        _NOTHING if text is None else text_value(text),
        bytes_value(name),
        array_value(tuple(map(whole_text, row.labels))),
        *_corners(row.box),
        bytes_value(row.content_hash),
    ]
    return "\t".join(values)


def _corners(box: Box | None) -> list[str]:
    """The shortest digits that are the same float32 again."""
    return [_NOTHING] * 4 if box is None else [str(np.float32(value)) for value in box]


def _octets(codes: NDArray[np.uint8]) -> list[str]:
    return [bytes_value(code.tobytes()) for code in codes]
