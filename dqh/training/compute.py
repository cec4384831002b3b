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
Setting = Literal["auto", "bf16-where-fast", Precision]
"""One of them, or what stands for one on a device, see `precision_of`."""

BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Instructions of CPUs for bf16, as torch names them; others take a whole step many times as long in it."""

ROUNDS = 3
"""Steps of the warm-up: torch compiles in the first, and what it finds out about the memory settles in the next."""


def precision_of(name: Setting, device: torch.device) -> Precision:
    """The format that a name stands for; but for two they are themselves.

    `bf16-where-fast` is bf16-mixed on devices with instructions for it, else float32; so is `auto` on CUDA, and on the
    CPU it is always float32, as the numbers of a run are then those of all CPUs.
    """
    if name == "auto" or name == "bf16-where-fast":
        wanted = device.type == "cuda" or name != "auto"
        return "bf16-mixed" if wanted and has_bf16(device) else "32-true"
    return name


def has_bf16(device: torch.device) -> bool | None:
    """Whether a device has instructions for bf16; None of a CPU that this version of torch cannot tell it of."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):
        return None
    return any(torch.cpu.get_capabilities().get(name, False) for name in BF16)


def warn_of_slow_format(name: Precision, device: torch.device) -> None:
    """Tell whoever asked for bf16 of a CPU that has no instructions for it."""
    if name == "bf16-mixed" and device.type == "cpu" and has_bf16(device) is False:
        logger.warning(
            "precision: this CPU has no instructions for bf16-mixed, which takes it many times as long as "
            "trainer.precision=32-true; bf16-where-fast takes what suits"
        )


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
