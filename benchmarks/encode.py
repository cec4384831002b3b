"""Images a second from JPEG files to codes, with decoding, transfer and network apart.

    python benchmarks/encode.py [--device cuda] [--images 20000] [--networks resnet50 alexnet]

The photos are made here: 320 × 256 pixels, JPEG of quality 90, smooth noise of about the size of a photo file. Each
network, with random weights, is measured five ways: reading and decoding alone, by as many workers as `Store` takes;
copies to the device alone; the network alone on a batch that lies on the device; `encode` of images in memory; and
`encode` of the files, where the parts run beside each other as far as they can. Encoding is in float32, whose codes are
the same on every device but for the last digits.

The command on a GPU machine is the same with `--device cuda`. Writes benchmarks/results/encode-<device>.json and .md.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from quality import RESULTS, where

from dqh.data import ImageFolder, Store
from dqh.environment import environment
from dqh.evaluation import encode, torch_device
from dqh.models import AlexNet, Encoder, HashHead, MobileNetV2, ResNet18, ResNet50, SmallResNet
from dqh.quantizers import Threshold

NETWORKS: dict[str, Callable[[], Any]] = {
    "alexnet": lambda: AlexNet(tap="fc7"),
    "resnet18": lambda: ResNet18(tap="pool5"),
    "resnet50": lambda: ResNet50(tap="pool5"),
    "mobilenet_v2": lambda: MobileNetV2(tap="pool"),
    "small_resnet": lambda: SmallResNet(size=32),
}
IMAGES, BATCH_SIZE = {"cpu": 256, "cuda": 20_000}, {"cpu": 32, "cuda": 256}
BITS, FILES, SECONDS = 48, 256, 2.0
COLUMNS = ("decode", "transfer", "network", "encode_memory", "encode_files")


def make_photos(folder: Path, *, seed: int = 0) -> int:
    """`FILES` JPEG files in two classes; the mean of their bytes."""
    generator, sizes = np.random.default_rng(seed), []
    for number in range(FILES):
        coarse = generator.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        photo = Image.fromarray(coarse).resize((320, 256), Image.Resampling.BICUBIC)
        path = folder / f"class_{number % 2}" / f"{number:04d}.jpg"
        path.parent.mkdir(exist_ok=True)
        photo.save(path, quality=90)
        sizes.append(path.stat().st_size)
    return round(float(np.mean(sizes)))


def per_second(work: Callable[[], int], *, device: torch.device) -> float:
    """Images a second of some work, done again for two seconds after a first time; it returns its images."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    work()
    wait()
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        images += work()
        wait()
    return round(images / (time.perf_counter() - start), 1)


def measure(
    name: str, folder: Path, *, images: int, batch_size: int, workers: int, device: torch.device
) -> dict[str, Any]:
    """Images a second of one network, by `COLUMNS`, and where the time of `encode` went."""
    torch.manual_seed(0)
    backbone = NETWORKS[name]()
    encoder = Encoder(backbone, HashHead(backbone.dimension, BITS)).eval().to(device)
    spec, quantizer = encoder.spec, Threshold(BITS)
    rows = np.resize(np.arange(FILES), images)
    store = Store(ImageFolder(root=folder), spec, workers=workers)
    groups = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    start = time.perf_counter()
    decoded = sum(len(batch.images) for batch in store.batches(groups, size=spec.size))
    result: dict[str, Any] = {"decode": round(decoded / (time.perf_counter() - start), 1)}
    (batch,) = store.batches([np.resize(np.arange(FILES), batch_size)], size=spec.size)
    result["transfer"] = None
    if device.type == "cuda":
        pinned = batch.images.pin_memory()
        result["transfer"] = per_second(lambda: len(pinned.to(device, non_blocking=True)), device=device)
        encoder.to(memory_format=torch.channels_last)
    there = batch.images.to(device)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        result["network"] = per_second(lambda: len(encoder(there).embedding), device=device)
    memory = batch.images.numpy()[np.resize(np.arange(batch_size), images)]
    for way, source, chosen in (("encode_memory", memory, None), ("encode_files", store, rows)):
        found = encode(encoder, quantizer, store=source, rows=chosen, device=device, batch_size=batch_size)
        result[way] = round(found.speed.images_per_s, 1)
        result[f"{way}_seconds"] = {key: round(value, 3) for key, value in found.speed._asdict().items()}
    return result | {"size": spec.size}


def table(result: dict[str, Any]) -> str:
    """The result as markdown."""
    title = "GPU" if result["device"] == "cuda" else "CPU"
    lines = [
        f"# Encoding on a {title}, images a second\n",
        f"{where(result['environment'])}; load average {result['environment']['load_average']} at the start.\n",
        f"    {result['command']}\n",
        f"{result['images']:,} images of {FILES} JPEG files of {result['file_bytes'] / 1000:.0f} kB "
        f"(320 × 256 pixels), {result['batch_size']} at a time, {result['workers']} decoding workers, "
        f"{result['threads']} threads, float32, random weights, {BITS} bits.\n",
        "| network | pixels | decode alone | transfer alone | network alone | `encode`, in memory | `encode`, files |",
        f"|---|{'---|' * 6}",
    ]
    for name, row in result["networks"].items():
        speeds = ["–" if row[column] is None else f"{row[column]:,.0f}" for column in COLUMNS]
        lines.append(f"| {name} | {row['size']} | {' | '.join(speeds)} |")
    lines.append("\nSeconds of `encode` of the files, by what they went into:\n")
    lines += ["| network | whole | waiting for images | transfer | network |", "|---|---|---|---|---|"]
    for name, row in result["networks"].items():
        spent = row["encode_files_seconds"]
        parts = [f"{spent[part]:.2f}" for part in ("seconds", "waiting", "transfer", "network")]
        lines.append(f"| {name} | {' | '.join(parts)} |")
    if result["device"] == "cpu" and not (RESULTS / "encode-cuda.json").is_file():
        lines.append("\nOn a GPU: not measured; `python benchmarks/encode.py --device cuda` measures it.")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--images", type=int, help="encoded with each network: 256 on a CPU, 20,000 on a GPU")
    parser.add_argument("--batch-size", type=int, help="32 on a CPU, 256 on a GPU")
    parser.add_argument("--workers", type=int, help="that decode: none on a CPU, one a core up to 16 on a GPU")
    parser.add_argument("--threads", type=int, help="of PyTorch on a CPU; its own choice without")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    device = torch_device(given.device)
    if given.threads:
        torch.set_num_threads(given.threads)
    options = f" --device {given.device}" if given.device != "cpu" else ""
    for name in ("networks", "images", "batch_size", "workers", "threads"):
        value = getattr(given, name)
        if value is not None and value != list(NETWORKS):
            options += f" --{name.replace('_', '-')} {' '.join(value) if name == 'networks' else value}"
    command = f"python benchmarks/encode.py{options}"
    images, size = given.images or IMAGES[device.type], given.batch_size or BATCH_SIZE[device.type]
    workers = min(16, os.cpu_count() or 1) if device.type == "cuda" else 0
    workers = workers if given.workers is None else given.workers
    about = environment(command=command, seed=0)
    about["load_average"] = round(float(Path("/proc/loadavg").read_text().split()[0]), 1)
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "command": command,
            "device": device.type,
            "images": images,
            "batch_size": size,
            "workers": workers,
            "threads": torch.get_num_threads(),
            "file_bytes": make_photos(Path(folder)),
            "environment": about,
            "networks": {
                name: measure(name, Path(folder), images=images, batch_size=size, workers=workers, device=device)
                for name in given.networks
            },
        }
    given.out.mkdir(parents=True, exist_ok=True)
    stem = given.out / f"encode-{device.type}"
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    stem.with_suffix(".md").write_text(table(result))
    print(table(result))


if __name__ == "__main__":
    main()
