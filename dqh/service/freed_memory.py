"""Memory that was let go, given back to the system.

Pillow keeps an image in blocks of 16 MB, which the allocator of glibc does not give back by itself once it has seen
larger ones: after a few images of 40 megapixels it holds some hundred megabytes that nobody uses.
"""

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Give back what is free, in some milliseconds; nothing where the system has another allocator."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: of Windows, which has no library without a name
        return None
    return trim
