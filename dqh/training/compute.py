"""How a step is computed: number formats, and a forward pass that torch compiles where that works."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn

from dqh.errors import first_line
from dqh.models import EncoderOutput
from dqh.training.module import HashModule

logger = logging.getLogger(__name__)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

ROUNDS = 3
"""Steps of the warm-up: torch compiles in the first, and what it finds out about the memory settles in the next."""


def precision_of(name: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """The format that `auto` stands for: bf16-mixed on a CUDA device that has it, else float32; others are themselves.

    On the CPUs measured so far bf16 is slower, but for those with instructions of their own for it.
    """
    if name != "auto":
        return name
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if has_bf16 else "32-true"


@contextmanager
def tf32(wanted: bool) -> Iterator[None]:
    """Matrix products of float32 on tensor cores, with 10 bits behind the point, if wanted; convolutions have them."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if wanted else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def can_compile(device: torch.device) -> bool:
    """Whether torch can be expected to compile for a device: on CUDA, with triton and a C compiler."""
    compiles = any(map(shutil.which, ("cc", "gcc", "clang")))
    return device.type == "cuda" and compiles and find_spec("triton") is not None


class Compiled:
    """A forward pass compiled for batches of one size; others, and all once the compiler fails, run as written.

    Args:
        forward: images → output.
        size: of the batches that are compiled for.

    Attributes:
        failed: whether the compiler did.
    """

    def __init__(self, forward: Callable[[Tensor], EncoderOutput], *, size: int) -> None:
        self.size = size
        self.failed = False
        self._plain = forward
        self._compiled = torch.compile(forward, dynamic=False)

    def __call__(self, images: Tensor) -> EncoderOutput:
        """The output of the forward pass."""
        if self.failed or len(images) != self.size:
            return self._plain(images)
        try:
            return self._compiled(images)
        except torch._dynamo.exc.TorchDynamoException as error:
            self.give_up(error)
            return self._plain(images)

    def give_up(self, error: Exception) -> None:
        """Run as written from now on, and say so once."""
        if not self.failed:
            logger.warning("torch.compile failed, going on without it (trainer.compile=false): %s", first_line(error))
        self.failed = True


class WarmUp(Callback):
    """Compiles the network and lets the device choose its kernels, before the clock of the first epoch runs.

    It computes gradients of made-up images and takes nothing from them: weights, statistics and their gradients stay.

    Args:
        images: of the shape, type and strides of a training batch; a small one is enough where nothing is compiled.
        compiling: whether to compile.

    Attributes:
        seconds: that it took; 0 where there was nothing to do.
        compiled: whether the network was compiled and ran.
    """

    def __init__(self, images: Callable[[torch.device], Tensor], *, compiling: bool) -> None:
        self.images = images
        self.compiling = compiling
        self.seconds = 0.0
        self.compiled = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compile, if wanted, and take a few steps that change nothing."""
        assert isinstance(pl_module, HashModule)
        device = pl_module.device
        if not self.compiling and device.type != "cuda":
            return
        started = time.perf_counter()
        images = self.images(device)
        if self.compiling:
            compiled = Compiled(pl_module.encoder.forward, size=len(images))
            try:
                self._steps(trainer, pl_module.encoder, compiled, images)
                pl_module.forward_of_step = compiled
                self.compiled = not compiled.failed
            except Exception as error:  # compilers fail in many ways; the steps below tell whether it was the compiler
                compiled.give_up(error)
        self._steps(trainer, pl_module.encoder, pl_module.forward_of_step or pl_module.encoder, images)
        self.seconds = time.perf_counter() - started

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the module without what was compiled."""
        assert isinstance(pl_module, HashModule)
        pl_module.forward_of_step = None

    def _steps(
        self, trainer: pl.Trainer, encoder: nn.Module, forward: Callable[[Tensor], EncoderOutput], images: Tensor
    ) -> None:
        kept = [(buffer, buffer.clone()) for buffer in encoder.buffers()]
        weights = [weight for weight in encoder.parameters() if weight.requires_grad]
        try:
            for _ in range(ROUNDS):
                with trainer.precision_plugin.train_step_context():
                    output = forward(images)
                if weights:
                    torch.autograd.grad(output.embedding.float().sum(), weights, allow_unused=True)
        finally:
            with torch.no_grad():
                for buffer, before in kept:
                    buffer.copy_(before)
            if images.device.type == "cuda":
                torch.cuda.synchronize(images.device)
