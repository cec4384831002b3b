"""The loops that `train.py` beside this file compares: ours in its forms, the plain one, and a bare pass."""

import gc
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from metrics import peak_bytes
from PIL import Image
from plain_loop import Pictures, PlainNetwork
from plain_loop import epochs as plain_epochs
from torch import nn
from torch.nn import functional

from dqh.data import Augment, ImageFolder, Protocol, Source, prepare
from dqh.data.source import ArraySource
from dqh.encoding.encode import encode
from dqh.methods.dlbhc import DLBHC
from dqh.methods.dqn import DQN
from dqh.models import BACKBONES, WhitenedConvNet
from dqh.training import Fit, HashModule, Optimizer
from dqh.training.datamodule import HashDataModule
from dqh.training.fit import Trained, fit
from dqh.training.profile import on_device
from dqh.training.refit import fit_quantizer

BITS, CLASSES, BATCH = 48, 10, 500
RECIPE_IMAGES = {"dlbhc": 50_000 * 32, "dqn": 5_000 * 64}
"""Images that the papers' recipes show their networks: iterations × batch (Lin et al. 2015, Cao et al. 2016)."""
OPTIMIZER = Optimizer(lr=0.01, nesterov=False)


class Arrays(ArraySource):
    """Images and labels that are at hand.

    Args:
        pixels: (N, S, S, 3) uint8.
        labels: (N,) int64.
    """

    name = "arrays"

    def __init__(self, pixels: Any, labels: Any) -> None:
        self.size = self.bulk_size = pixels.shape[1]
        self._pixels, self._labels = pixels, labels

    @property
    def labels(self) -> Any:
        """(N,) int64."""
        return self._labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """Numbers."""
        return tuple(map(str, range(CLASSES)))

    @property
    def _part_sizes(self) -> dict[str, int]:
        return {"": len(self._labels)}

    def _read_pixels(self) -> Any:
        return self._pixels

    @cached_property
    def pixels(self) -> Any:
        """(N, S, S, 3) uint8."""
        return self._pixels


def trained(
    module: HashModule,
    source: Source,
    *,
    device: torch.device,
    batch_size: int,
    epochs: int,
    in_memory: bool = True,
    augment: Augment = Augment(padding=4, flip=True),  # noqa: B008 - it is frozen
) -> tuple[Trained, HashDataModule]:
    """A training without validation images, by the settings that a user gets; where `in_memory`, images are kept."""
    with tempfile.TemporaryDirectory() as name:
        memory = {} if in_memory else {"memory_gb": 0.0, "device_memory_gb": 0.0}
        settings = Fit(epochs=epochs, batch_size=batch_size, device=device.type, **memory)  # type: ignore[arg-type]
        data = prepare(
            source,
            Protocol("counts", query=CLASSES).draw(source),
            module.encoder.spec,
            allow_duplicates=True,
            skipped_file=Path(name) / "skipped.csv",
            memory_limit=int(settings.memory_gb * 1e9) if not in_memory else 100 * 10**9,
        )
        batches = HashDataModule(
            data,
            augment=augment,
            batch_size=batch_size,
            eval_batch_size=batch_size,
            seed=0,
            device_memory=None if in_memory else 0,
        )
        if module.refit_every is not None:
            fit_quantizer(module.to(device), data.store, data.roles.train, batch_size=batch_size, seed=0)
            module.cpu()
        return fit(module, batches, settings=settings, folder=Path(name), seed=0), batches


def rate(facts: Trained, *, epochs: int | None = None) -> float:
    """Images a second, the median of all epochs but the first, or of so many after it."""
    counted = facts.history[1:] if epochs is None else facts.history[1 : 1 + epochs]
    return float(np.median([row["images_per_s"] or 0.0 for row in counted]))


def our_rate(
    images: Any, labels: Any, *, device: torch.device, widths: tuple[int, int, int], epochs: int
) -> tuple[float, dict[str, float]]:
    """Of our loop on images of 32 pixels, after an epoch that does not count; on CUDA also what `Watched` finds."""
    module = Watched(WhitenedConvNet(widths=widths, size=32), CLASSES, bits=BITS, optimizer=OPTIMIZER)
    module.watched_epoch, watched = 1 + epochs, device.type == "cuda"
    facts, _ = trained(module, Arrays(images, labels), device=device, batch_size=BATCH, epochs=1 + epochs + watched)
    return rate(facts, epochs=epochs), module.found


def plain_rate(images: Any, labels: Any, *, device: torch.device, widths: tuple[int, int, int], epochs: int) -> float:
    """Of the plain loop on the same images, likewise."""
    network = PlainNetwork(WhitenedConvNet(widths=widths, size=32), bits=BITS, classes=CLASSES)
    with closing(plain_epochs(network, Pictures(images, labels, padding=4), batch_size=BATCH, device=device)) as rates:
        return float(np.median(list(islice(rates, 1 + epochs))[1:]))


class Watched(DLBHC):
    """The latent-binary network with torch's profiler around one epoch, where it is trained on a CUDA device.

    Attributes:
        watched_epoch: which, counted from 0.
        found: `share` of the epoch's wall time in which the device worked, `steps`, and `waits_per_step` of the host
            for the device; empty on a CPU.
    """

    watched_epoch = 1

    def on_train_start(self) -> None:
        """Nothing is found yet."""
        self.found: dict[str, float] = {}

    def on_train_epoch_start(self) -> None:
        """Begin to look."""
        if self.current_epoch == self.watched_epoch and self.device.type == "cuda":
            kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
            self._profiler = torch.profiler.profile(activities=kinds)
            self._profiler.__enter__()
            self._begun = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Busy seconds over wall seconds, and how often the host waited."""
        if self.current_epoch == self.watched_epoch and self.device.type == "cuda":
            torch.cuda.synchronize()
            wall = time.perf_counter() - self._begun
            self._profiler.__exit__(None, None, None)
            steps, events = int(self.trainer.num_training_batches), self._profiler.events()
            waits = sum(event.name.endswith("Synchronize") for event in events)
            busy = busy_seconds(on_device(events))
            self.found = {"share": busy / wall, "steps": steps, "waits_per_step": waits / steps}


def busy_seconds(events: Iterable[Any]) -> float:
    """Seconds in which at least one of the events takes place: those of two streams at once count once.

    Args:
        events: of torch's profiler, `time_range` in microseconds, in any order.
    """
    total, reached = 0.0, float("-inf")
    for start, end in sorted((event.time_range.start, event.time_range.end) for event in events):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total / 1e6


def pictures(folder: Path, *, count: int, side: int) -> Path:
    """A folder of JPEG files `<class>/<number>.jpg`, smooth noise of `side` pixels, quality 90."""
    for label in range(CLASSES):
        (folder / str(label)).mkdir()

    def draw(number: int) -> None:
        coarse = Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8))
        picture = coarse.resize((side, side), Image.Resampling.BICUBIC)
        picture.save(folder / str(number % CLASSES) / f"{number}.jpg", quality=90)

    with ThreadPoolExecutor() as threads:  # Pillow lets others work meanwhile
        list(threads.map(draw, range(count)))
    return folder


def rates_at_size(
    method: str, network: str, folder: Path, *, side: int, batch_size: int, device: torch.device, files: bool
) -> dict[str, Any]:
    """Images a second of training and encoding, as they are at hand, and of training from JPEG files if wanted.

    `memory_gb` is the most that training and encoding of images at hand took, as `memory` has it. A paper's recipe
    takes at least `recipe_images` / `images_per_s`: its batches and, of DQN, its codebooks are others.
    """
    source = ImageFolder(root=folder)
    tap = "fc7" if network == "alexnet" else "pool5"

    def module() -> HashModule:
        backbone = BACKBONES[network](tap=tap, size=side, resize=side + side // 7)
        if method == "dlbhc":
            return DLBHC(backbone, CLASSES, bits=BITS, optimizer=OPTIMIZER)
        return DQN(backbone, CLASSES, bits=32, codewords=16, optimizer=OPTIMIZER)

    common: dict[str, Any] = {"device": device, "batch_size": batch_size, "augment": Augment(flip=True)}
    network_of = module()
    facts, data = trained(network_of, source, epochs=3, **common)
    found: dict[str, Any] = {"images_per_s": rate(facts), "warm_up_seconds": facts.warm_up_seconds}
    found |= {"precision": facts.precision, "compiled": facts.compiled, "recipe_images": RECIPE_IMAGES[method]}
    for rows in (data.train[:batch_size], data.train):  # the first batch chooses its kernels
        encoded = encode(
            network_of.encoder.eval(),
            network_of.quantizer(),
            store=data.store,
            rows=rows,
            device=device,
            batch_size=batch_size,
        )
    found["encoding_images_per_s"] = encoded.speed.images_per_s
    found["memory_gb"] = memory(device)
    if files:
        facts, _ = trained(module(), source, epochs=3, in_memory=False, **common)
        found["files_images_per_s"] = rate(facts)
    return found


def bare(network: str, *, side: int, batch_size: int, device: torch.device) -> dict[str, float]:
    """Images a second of a forward and backward pass alone, of one batch that lies on the device; bf16 on CUDA."""
    model: nn.Module = torchvision.models.get_model(network, weights=None, num_classes=CLASSES)
    model = model.to(device, memory_format=torch.channels_last).train()
    images = torch.rand(batch_size, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch_size, dtype=torch.int64, device=device)
    forms: dict[str, Any] = {"as written": model}
    if device.type == "cuda":
        forms["compiled"] = torch.compile(model, dynamic=False)
    found = {}
    for name, form in forms.items():

        def step(form: Any = form) -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = functional.cross_entropy(form(images), labels)
            model.zero_grad()
            loss.backward()

        steps = 50 if device.type == "cuda" else 2
        for _ in range(steps // 5 + 1):
            step()
        waited(device)
        begun = time.perf_counter()
        for _ in range(steps):
            step()
        waited(device)
        found[name] = batch_size * steps / (time.perf_counter() - begun)
    return found


def fresh(device: torch.device) -> None:
    """Let go of what earlier parts left, also of what they compiled, and begin to count memory anew."""
    gc.collect()
    if device.type == "cuda":
        torch.compiler.reset()  # else some networks later torch gives up compiling the same method again
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):  # where this is not Linux, the most is that since the start of the process
            Path("/proc/self/clear_refs").write_text("5")


def memory(device: torch.device) -> float:
    """The most that was in use since `fresh`, GB: of the CUDA device by torch, else of this process."""
    used = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_bytes()
    return round(used / 1e9, 2)


def waited(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
