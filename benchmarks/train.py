"""How fast networks are trained and images are encoded: time to mAP, images a second, beside a plain loop in one run.

    python benchmarks/train.py --root DIR             DIR/train.parquet and DIR/test.parquet: CIFAR-10 as JPEG copies
    python benchmarks/train.py --root DIR --threads 2 --load idle

On a machine with a CUDA device it takes under nine minutes, on a CPU it is reduced: rows that need a GPU then say "not
measured", and what measures them runs on a few small images, to show that it does. It needs the packages of the project
and pyarrow, no weights and no network; where dqh is not installed, PYTHONPATH=. finds it. Writes
benchmarks/results/train.json and .md.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from loops import bare, kernel_share, our_rate, pictures, plain_rate, rates_at_size
from omegaconf import OmegaConf
from quality import RESULTS, ROOT, where

from dqh.environment import environment
from dqh.evaluation import torch_device
from dqh.training import assemble, run

SECONDS = 510.0
"""After so many seconds of the whole no further row begins."""

RECIPES = {"15 s": ("trainer.epochs=24",), "60 s": ("trainer.epochs=96",)}
NETWORKS = ("alexnet", "resnet18", "resnet50")


class Scale(NamedTuple):
    """How large the measurements are.

    Attributes:
        train: images of the recipe and of the comparison with the plain loop; None for all.
        recipes: of `RECIPES`, by name.
        repeats: of the comparison, ours and the plain loop in turn.
        epochs: of each, after one that does not count.
        widths: of the network of the comparison.
        side: of the large images, pixels.
        images: how many of them there are.
        batch_size: of the large images.
    """

    train: int | None
    recipes: tuple[str, ...]
    repeats: int
    epochs: int
    widths: tuple[int, int, int]
    side: int
    images: int
    batch_size: int


GPU = Scale(None, ("15 s", "60 s"), 1, 3, (128, 384, 512), 224, 8192, 256)
CPU = Scale(2000, ("15 s",), 3, 2, (32, 96, 96), 64, 64, 16)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of train.parquet and test.parquet")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, help="of torch on the CPU")
    parser.add_argument("--load", default="not told", help="what else the machine was doing, for the page")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    device = torch_device(given.device)
    if given.threads:
        torch.set_num_threads(given.threads)
    command = "python benchmarks/train.py --root DIR" + (f" --threads {given.threads}" if given.threads else "")
    content = measure(given.root.resolve(), device=device, scale=GPU if device.type == "cuda" else CPU)
    content = {"command": command, "load": given.load, "threads": torch.get_num_threads(), **content}
    content["environment"] = environment(command=command, seed=0)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "train.json").write_text(json.dumps(content, indent=1) + "\n")
    (given.out / "train.md").write_text(page(content))
    print(page(content))


def measure(root: Path, *, device: torch.device, scale: Scale) -> dict[str, Any]:
    """All numbers, in the order of their weight; what no time is left for is absent."""
    started = time.perf_counter()
    found: dict[str, Any] = {"device": device.type, "scale": scale._asdict()}

    def part(name: str, work: Callable[[], Any]) -> None:
        if time.perf_counter() - started < SECONDS:
            begun = time.perf_counter()
            found[name] = work()
            print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)

    data = ("data=parquet", f"data.root={root}", "data.name=cifar10_jpeg")
    for recipe in scale.recipes:
        part(f"recipe {recipe}", partial(time_to_map, data, RECIPES[recipe], device=device, scale=scale))
    part("against the plain loop", partial(against_plain, root, device=device, scale=scale))
    part("kernel share", partial(kernel_share, device, images=scale.train or 50_000, widths=scale.widths))
    with tempfile.TemporaryDirectory() as name:
        folder = pictures(Path(name), count=scale.images, side=scale.side + scale.side // 7)
        sizes: dict[str, Any] = {"side": scale.side, "batch_size": scale.batch_size, "device": device}
        for network in NETWORKS:
            for method in ("dlbhc", "dqn"):
                files = network == "resnet50" and method == "dlbhc"
                part(f"{method} {network}", partial(rates_at_size, method, network, folder, files=files, **sizes))
        part("bare resnet50", partial(bare, "resnet50", **sizes))
    found["seconds"] = round(time.perf_counter() - started, 1)
    return found


def time_to_map(
    data: tuple[str, ...], recipe: tuple[str, ...], *, device: torch.device, scale: Scale
) -> dict[str, Any]:
    """A whole run of the speed recipe: loop, warm-up and wall seconds apart, and what its codes are worth."""
    overrides = [*data, "experiment=dlbhc_speed", "backbone.size=32", *recipe]
    overrides += [f"trainer.device={device.type}", "search.baselines=[]"]
    if scale.train is not None:
        overrides += [
            "split.protocol=counts",
            "split.query=500",
            f"split.train={scale.train}",
            "split.allow_duplicates=true",
        ]
        overrides += [f"split.database={scale.train}", "trainer.epochs=2", f"backbone.widths={list(scale.widths)}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", [opened(each) for each in overrides]), resolve=True)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        metrics = run(assemble(config), Path(folder), command="").metrics
    facts = metrics["training"]
    row = next(each for each in metrics["rows"] if each["search"] == "binary")
    return {
        "loop_seconds": facts["seconds"],
        "warm_up_seconds": facts["warm_up_seconds"],
        "wall_seconds": round(time.perf_counter() - begun, 1),
        "waiting_seconds": facts["waiting_seconds"],
        "epochs": facts["epochs"],
        "train_images": scale.train or 50_000,
        "images_per_s": facts["images_per_s"],
        "precision": facts["precision"],
        "compiled": facts["compiled"],
        "mAP@all": row["mAP@all"],
        "accuracy": metrics["accuracy"],
        "memory_gb": round(memory(device), 2),
    }


def opened(override: str) -> str:
    """A key that hydra need not know yet, as train.py takes it."""
    key = override.partition("=")[0]
    return f"++{override}" if "." in key else override


def memory(device: torch.device) -> float:
    """The most that was in use so far, GB: of the CUDA device, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def against_plain(root: Path, *, device: torch.device, scale: Scale) -> dict[str, Any]:
    """Images a second of our loop and of the plain one, in turn; the medians and the ratio of each turn."""
    images, labels = cifar(root, scale.train or 50_000)
    ours, plain = [], []
    for _ in range(scale.repeats):
        ours.append(our_rate(images, labels, device=device, widths=scale.widths, epochs=scale.epochs + 1))
        plain.append(plain_rate(images, labels, device=device, widths=scale.widths, count=scale.epochs + 1))
    ratios = sorted(one / other for one, other in zip(ours, plain, strict=True))
    return {
        "images": len(labels),
        "ours_images_per_s": [round(each, 1) for each in ours],
        "plain_images_per_s": [round(each, 1) for each in plain],
        "ratio": round(float(np.median(ratios)), 2),
        "ratios": [round(each, 2) for each in ratios],
    }


def cifar(root: Path, count: int) -> tuple[Any, Any]:
    """(N, 32, 32, 3) uint8 images of the training part, spread over it, and their labels."""
    from dqh.data import Parquet

    source = Parquet(root=root, train="train.parquet", size=32)
    rows = np.linspace(0, len(source) - 1, min(count, len(source))).astype(int)
    return np.stack([np.asarray(source.read(int(row))) for row in rows]), np.asarray(source.labels[rows])


def page(content: dict[str, Any]) -> str:
    """The results as markdown."""
    on_gpu, scale = content["device"] == "cuda", content["scale"]
    lines = [
        "# Training and encoding: time and speed\n",
        f"{where(content['environment'])}, {content['threads']} threads, beside it: {content['load']}.\n",
        f"    {content['command']}\n",
        "Seconds of the loop are those of the steps; compilation and warm-up before them, validation, checkpoints and "
        "evaluation stand apart. No test-time augmentation. CIFAR-10 as JPEG copies (quality 75, about 30 dB), "
        "protocol full, 48 bits, latent-binary network from scratch.\n",
        "## Time to accuracy\n",
        "| recipe | loop s | warm-up s | wall s | waiting s | images/s | mAP@all | accuracy | GB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for recipe in RECIPES:
        row = content.get(f"recipe {recipe}")
        if row is None or not on_gpu:
            lines.append(f"| {recipe}, one GPU | not measured |" + " |" * 7)
        if row is not None:
            of = (
                recipe
                if on_gpu
                else f"reduced: {row['train_images']:,} images, {row['epochs']} epochs, {content['device']}"
            )
            values = [row[key] for key in ("loop_seconds", "warm_up_seconds", "wall_seconds", "waiting_seconds")]
            quality = [f"{row['mAP@all']:.4f}", f"{row['accuracy']:.4f}", f"{row['memory_gb']}"]
            lines.append(
                f"| {of} | {' | '.join(map(str, values))} | {row['images_per_s']:,.0f} | {' | '.join(quality)} |"
            )
    lines += plain_lines(content, on_gpu=on_gpu)
    lines += [
        f"\n## Networks at {GPU.side} pixels, batches of {GPU.batch_size}\n",
        "| method, network | training, images at hand | training, JPEG files | encoding | the paper's recipe, hours |",
        "|---|---|---|---|---|",
    ]
    reduced = "" if on_gpu else f" (reduced: {scale['side']} px, {scale['images']} images, CPU)"
    for network in NETWORKS:
        for method in ("dlbhc", "dqn"):
            row = content.get(f"{method} {network}")
            if not on_gpu:
                lines.append(f"| {method}, {network}, 224 px, GPU | not measured | | | |")
            if row is None:
                continue
            files = f"{row['files_images_per_s']:,.0f}" if "files_images_per_s" in row else "–"
            hours = f"{row['recipe_images'] / row['images_per_s'] / 3600:.2f}" if on_gpu else "–"
            lines.append(
                f"| {method}, {network}{reduced} | {row['images_per_s']:,.0f} | {files} "
                f"| {row['encoding_images_per_s']:,.0f} | {hours} |"
            )
    bare_row, ours = content.get("bare resnet50"), content.get("dlbhc resnet50")
    if bare_row and ours:
        shares = [f"{name} {ours['images_per_s'] / rate:.2f}" for name, rate in bare_row.items() if rate]
        shares += [
            f"{name}, from files {ours['files_images_per_s'] / rate:.2f}" for name, rate in bare_row.items() if rate
        ]
        lines.append(f"\nResNet-50 against its bare forward and backward pass{reduced}: {', '.join(shares)}.")
    return "\n".join(lines) + "\n"


def plain_lines(content: dict[str, Any], *, on_gpu: bool) -> list[str]:
    """The comparison with the plain loop, and the share of kernels."""
    row, share = content.get("against the plain loop"), content.get("kernel share")
    lines = ["\n## Against a plain loop\n"]
    if row:
        name = "one GPU" if on_gpu else f"{content['threads']} CPU threads"
        ours, plain = (", ".join(f"{each:,.0f}" for each in row[f"{who}_images_per_s"]) for who in ("ours", "plain"))
        lines += [
            f"{row['images']:,} images of 32 pixels, the same network and batch, in turn: PIL transforms in 8 workers, "
            "pinned memory, TF32, no compilation, the loss read at every step.\n",
            "| machine | ours, images/s | plain, images/s | median ratio |",
            "|---|---|---|---|",
            f"| {name} | {ours} | {plain} | {row['ratio']} × |",
        ]
    if not on_gpu:
        lines.append("| one GPU | not measured | | |")
    if share and on_gpu:
        lines.append(
            f"\nKernels run in {100 * share['share']:.1f} % of the loop's wall time (torch.profiler, "
            f"{share['steps']} steps); the host waits for the device {share['waits_per_step']:.2f} times a step."
        )
    else:
        lines.append("\nShare of kernels in the loop's wall time: not measured (needs a GPU).")
    return lines


if __name__ == "__main__":
    main()
