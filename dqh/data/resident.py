"""Images that live on a device, as bytes, and are gathered there a batch at a time."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.data.images import centre_crop
from dqh.data.store import Batch, Store

_CHUNK_BYTES = 64 * 2**20  # read from the store at a time


class Resident:
    """Some rows of a store, in any order, on a device; what cannot be used is left out of every batch."""

    def __init__(self, store: Store, rows: NDArray[np.int64], *, device: torch.device) -> None:
        rows = np.unique(rows)
        step = max(1, _CHUNK_BYTES // store.row_bytes)
        parts = store.batches(rows[start : start + step] for start in range(0, len(rows), step))
        *sides, channels = (*store.row_shape[1:], store.row_shape[0])  # channels last; a vector has no sides
        self.device = device
        self._images = torch.empty((len(rows), *sides, channels), dtype=store.row_dtype, device=device)
        self._position = np.full(int(rows.max(initial=-1)) + 1, -1, np.int64)  # of a row of the source in _images
        filled = 0
        for part in parts:
            end = filled + len(part.rows)
            self._images[filled:end] = part.images.movedim(1, -1).to(device) if sides else part.images.to(device)
            self._position[part.rows.numpy()] = np.arange(filled, end)
            filled = end

    def batches(self, groups: Iterable[NDArray[np.int64]], *, size: int | None = None) -> Iterator[Batch]:
        """One batch a group, in order, on the device. All places are sent there at once, before the first batch."""
        usable = [group[self._position[group] >= 0] for group in map(np.asarray, groups)]
        if not usable:
            return
        rows = np.concatenate(usable)
        both = torch.from_numpy(np.stack([rows, self._position[rows]])).to(self.device)
        for of_source, places in zip(*(column.split([len(group) for group in usable]) for column in both), strict=True):
            images = self._images[places]
            if images.ndim == 4:
                images = centre_crop(images.movedim(-1, 1), size).contiguous(memory_format=torch.channels_last)
            yield Batch(images, of_source)


def room_on(device: torch.device) -> int:
    """Bytes of a device that images may take: half of what is free on CUDA; 0 on the CPU, where they are already."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else 0
