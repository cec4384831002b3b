"""What a network last said of each training image, for losses that compare a batch with more than itself.

A bank is no part of the weights: it stands in checkpoints beside them (`HashModule.on_save_checkpoint`) and in no
artifact.
"""

import torch
from torch import Tensor, nn

from dqh.losses.pairs import Pairs, within
from dqh.losses.precision import wide

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, are spread evenly however many there are."""


class Bank(nn.Module):
    """A value for each training image, renewed whenever a step sees it.

    It takes 4 bytes a number, on the device and in every checkpoint: 256 MB of a million images and 64 bits.

    Args:
        bits: B, numbers of a value.
        most_pairs: of a batch of N images with others, at least 1: of more than `most_pairs` / N training images, N is
            compared with so many, others at each step, evenly spread.

    Attributes:
        rows: (N,) int64, the training images in rising order; none until `open`.
        labels: (N,) int64 or (N, C) bool.
        values: (N, B) float32, the last value of each.
        seen: (N,) bool, which have one.

    Raises:
        ValueError: a number below 1.
    """

    rows: Tensor
    labels: Tensor
    values: Tensor
    seen: Tensor

    def __init__(self, bits: int, *, most_pairs: int = 2**20) -> None:
        super().__init__()
        if most_pairs < 1:
            raise ValueError(f"most_pairs must be at least 1, got {most_pairs}")
        self.bits = bits
        self.most_pairs = most_pairs
        self._steps = 0
        for name in ("rows", "labels", "values", "seen"):
            self.register_buffer(name, torch.empty(0), persistent=False)

    def open(self, rows: Tensor, labels: Tensor) -> None:
        """Make room for the training images, of which none is seen.

        Args:
            rows: (N,) int64, of the training images in their source, all different.
            labels: (N,) int64 or (N, C) bool.
        """
        device = self.rows.device
        order = rows.argsort()
        self.rows, self.labels = rows[order].to(device), labels[order].to(device)
        self.values = torch.zeros(len(rows), self.bits, device=device)
        self.seen = torch.zeros(len(rows), dtype=torch.bool, device=device)
        self._steps = 0

    def put(self, rows: Tensor, values: Tensor) -> None:
        """Renew the values, (n, B), of these training images, (n,)."""
        places = self.places(rows)
        self.values[places] = values.detach().to(self.values.dtype)
        self.seen.index_fill_(0, places, True)
        self._steps += 1

    def places(self, rows: Tensor) -> Tensor:
        """Where these training images, (n,), stand."""
        return torch.searchsorted(self.rows, rows)

    def pairs(self, embedding: Tensor, labels: Tensor, rows: Tensor, *, values: Tensor | None = None) -> Pairs:
        """The images of a batch with those of the bank, in which they are renewed first.

        Of `Pairs`, the second have no gradient; an image and itself are no pair, and none is one not seen yet. A bank
        that is not open has no images: those of the batch are then compared with one another.

        Args:
            embedding: (N, B) float, of the batch, of all processes together.
            labels: (N,) int64 or (N, C) bool.
            rows: (N,) int64, of training images.
            values: (N, B), what the bank has of them from now on; None for their embeddings.
        """
        if len(self.rows) == 0:
            return within(embedding, labels)
        self.put(rows, embedding if values is None else values)
        drawn = self.drawn(len(rows))
        counted = (rows[:, None] != self.rows[drawn]) & self.seen[drawn]
        first = wide(embedding)
        return Pairs(first, self.values[drawn].to(first.dtype), labels, self.labels[drawn], counted)

    def drawn(self, images: int) -> Tensor:
        """Places of what so many images are compared with: all, or every n-th, from another one at each step."""
        count, device = len(self.rows), self.rows.device
        most = max(1, self.most_pairs // images)
        if count <= most:
            return torch.arange(count, device=device)
        places = torch.arange(most, device=device) * count // most
        return (places + int(self._steps * GOLDEN * count) % count) % count

    def state(self) -> dict[str, Tensor]:
        """What a resumed training goes on with."""
        return {"values": self.values, "seen": self.seen, "steps": torch.tensor(self._steps)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on with a `state` of the same training images.

        Raises:
            ValueError: it is of other ones.
        """
        if state["values"].shape != self.values.shape:
            raise ValueError(
                f"the checkpoint has values of {tuple(state['values'].shape)}, the training images want "
                f"{tuple(self.values.shape)}; resume with the same data and bits"
            )
        self.values.copy_(state["values"])
        self.seen.copy_(state["seen"])
        self._steps = int(state["steps"])
