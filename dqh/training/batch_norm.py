"""Batch normalisation over the images of all processes, on any device. torch has it for CUDA alone."""

from torch import Tensor, nn

from dqh.training.gather import total
from dqh.training.processes import count


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose statistics are those of the whole batch; every process has an equal part of it.

    As `torch.nn.SyncBatchNorm`, whose result it has, in plain operations; gradients flow through the statistics.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, …) to the same."""
        if not self.training or count() == 1:
            return super().forward(images)
        over = [axis for axis in range(images.ndim) if axis != 1]
        shape = [1, -1] + [1] * (images.ndim - 2)
        values = images.float()
        size = values.numel() // values.shape[1] * count()
        mean = total(values.sum(over)) / size
        centred = values - mean.view(shape)
        variance = total(centred.square().sum(over)) / size
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach(), share)
            self.running_var.lerp_(variance.detach() * (size / max(1, size - 1)), share)
        scaled: Tensor = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(images.dtype)

    def _check_input_dim(self, images: Tensor) -> None:
        if images.ndim < 2:
            raise ValueError(f"images must be (N, C, …), got shape {tuple(images.shape)}")


def share_batch_norm(module: nn.Module) -> None:
    """Replace the batch normalisations inside `module`, with their weights and statistics."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            shared = SharedBatchNorm(
                child.num_features,
                eps=child.eps,
                momentum=child.momentum,
                affine=child.affine,
                track_running_stats=child.track_running_stats,
            )
            shared.weight, shared.bias = child.weight, child.bias
            shared.running_mean, shared.running_var = child.running_mean, child.running_var
            shared.num_batches_tracked = child.num_batches_tracked
            shared.train(child.training)
            setattr(module, name, shared)
        else:
            share_batch_norm(child)
