"""Batches of several processes as one, for losses over pairs: every image meets those of the other processes."""

import torch
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_gather


def gather(values: Tensor) -> Tensor:
    """The rows of all processes, (W · N, …) from (N, …) of each of W; as they are where there is one process.

    Gradients flow to the rows of every process: the backward pass sums over the processes what reaches the rows of
    each. A loss that every process computes of all rows then has W times its gradient, which the mean over processes
    (of DistributedDataParallel) undoes, so that W processes move as one process with all the rows would.

    Args:
        values: (N, …), N the same in every process. Integers and bool are gathered without gradients.
    """
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return values
    if values.is_floating_point():
        return torch.cat(all_gather(values))  # type: ignore[no-untyped-call]
    parts = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, values.contiguous())
    return torch.cat(parts)
