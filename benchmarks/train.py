"""How fast networks are trained and images are encoded: time to mAP, images a second, beside a plain loop in one run.

    python benchmarks/train.py --root DIR             DIR/train.parquet and DIR/test.parquet: CIFAR-10 as JPEG copies
    python benchmarks/train.py --root DIR --threads 2 --load nothing

The first is the whole command on a machine with a CUDA device, made to end within nine minutes. What it needs there:
this repository (`benchmarks/`, `conf/`, `dqh/`); the two files, 18 MB; torch, of which 2.11 is enough, with its
torchvision, and for compiled networks triton and a C compiler; pytorch-lightning, hydra-core (with omegaconf and
antlr4-python3-runtime), faiss-cpu, pyarrow, numpy, pillow, scikit-learn, matplotlib, safetensors and threadpoolctl. No
weights and no network; where dqh is not installed, `PYTHONPATH=.` before the command finds it.

On a CPU it is reduced (`train_scale.py`): rows that need a GPU say "not measured", and what measures them runs on a few
small images, to show that it does. benchmarks/results/train.json and .md are written after every part; a part for which
no time is left is named there, and so is one that failed, for which the exit status is 1.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from loops import bare, fresh, memory, our_rate, pictures, plain_rate, rates_at_size
from metrics import make_side, measure_large
from omegaconf import OmegaConf
from parts import Parts
from quality import RESULTS, ROOT
from train_page import page
from train_scale import CPU, GPU, METHODS, NETWORKS, RECIPES, SECONDS, Scale

from dqh.data import Parquet
from dqh.environment import environment
from dqh.evaluation import torch_device
from dqh.files import write_json, write_text
from dqh.training import assemble, run


def main() -> int:
    """Measure, write and print; exit status 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of train.parquet and test.parquet")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, help="of torch on the CPU")
    parser.add_argument("--load", default="not told", help="what else the machine was doing, for the page")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    device = torch_device(given.device)
    missing = [name for name in ("train.parquet", "test.parquet") if not (given.root / name).is_file()]
    if missing:
        parser.error(f"--root: {given.root} has no {' and no '.join(missing)}; name the folder that has both")
    if given.threads:
        torch.set_num_threads(given.threads)
    command = "python benchmarks/train.py --root DIR" + (f" --threads {given.threads}" if given.threads else "")
    scale = GPU if device.type == "cuda" else CPU
    content = {"command": command, "load": given.load, "threads": torch.get_num_threads(), "device": device.type}
    content |= {"scale": scale._asdict(), "environment": environment(command=command, seed=0)}
    given.out.mkdir(parents=True, exist_ok=True)

    def keep() -> None:
        write_json(given.out / "train.json", content)
        write_text(given.out / "train.md", page(content))

    measure(given.root.resolve(), Parts(content, limit=SECONDS, keep=keep), device=device, scale=scale)
    print(page(content))
    return 1 if content["failed"] else 0


def measure(root: Path, parts: Parts, *, device: torch.device, scale: Scale) -> None:
    """All parts, those of most weight first."""

    def part(name: str, work: Callable[[], Any], *, share: float = 1.0) -> None:
        def begin() -> Any:
            fresh(device)
            return work()

        parts.do(name, begin, share=share)

    data = ("data=parquet", f"data.root={root}", "data.name=cifar10_jpeg")
    for recipe, overrides in RECIPES.items():
        part(f"recipe {recipe}", partial(time_to_map, data, overrides, device=device, scale=scale))
    part("against the plain loop", partial(against_plain, root, device=device, scale=scale), share=0.5)
    part("metrics", partial(metrics_of_many, device), share=0.5)
    with tempfile.TemporaryDirectory() as name:
        sizes: dict[str, Any] = {"side": scale.side, "batch_size": scale.batch_size, "device": device}
        part("bare resnet50", partial(bare, "resnet50", **sizes))
        folder = pictures(Path(name), count=scale.images, side=scale.side + scale.side // 7)
        for network in NETWORKS:
            for method in METHODS:
                files, first = (network, method) == ("resnet50", "dlbhc"), method == METHODS[0]
                part(
                    f"{method} {network}",
                    partial(rates_at_size, method, network, folder, files=files, **sizes),
                    share=0.5 if first and not files else 1.0,  # each network takes half of the one before at most
                )


def time_to_map(
    data: tuple[str, ...], recipe: tuple[str, ...], *, device: torch.device, scale: Scale
) -> dict[str, Any]:
    """A whole run of the speed recipe: loop, warm-up and wall seconds apart, and what its codes are worth."""
    overrides = [*data, "experiment=dlbhc_speed", "backbone.size=32", *recipe]
    overrides += [f"trainer.device={device.type}", "search.baselines=[]"]
    overrides.append(f"backbone.widths={list(scale.widths)}")
    if scale.train is not None:
        overrides += ["split.protocol=counts", "split.query=500", "split.allow_duplicates=true"]
        overrides += [f"split.{role}={scale.train}" for role in ("train", "database")]
    if scale.passes is not None:
        overrides.append(f"trainer.epochs={scale.passes}")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", [opened(each) for each in overrides]), resolve=True)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        metrics = run(assemble(config), Path(folder), command="").metrics
    facts = metrics["training"]
    found = {row["search"]: row["mAP@all"] for row in metrics["rows"]}
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
        "mAP@all": found["binary"],
        "class_index": found["class_index"],
        "accuracy": metrics["accuracy"],
        "memory_gb": memory(device),
    }


def opened(override: str) -> str:
    """A key that hydra need not know yet, as train.py takes it."""
    key = override.partition("=")[0]
    return f"++{override}" if "." in key else override


def against_plain(root: Path, *, device: torch.device, scale: Scale) -> dict[str, Any]:
    """Images a second of our loop and of the plain one, in turn, with the ratio of the medians; ours by the profiler.

    The profiler's epoch is that of the first turn.
    """
    images, labels = cifar(root, scale.compared)
    given: dict[str, Any] = {"device": device, "widths": scale.widths, "epochs": scale.epochs}
    ours, plain = [], []
    for _ in range(scale.repeats):
        ours.append(our_rate(images, labels, **given))
        plain.append(plain_rate(images, labels, **given))
    return {
        "images": len(labels),
        "epochs": scale.epochs,
        "ours_images_per_s": [round(rate, 1) for rate, _ in ours],
        "plain_images_per_s": [round(rate, 1) for rate in plain],
        "ratio": round(float(np.median([rate for rate, _ in ours]) / np.median(plain)), 2),
        "kernels": ours[0][1],
    }


def cifar(root: Path, count: int) -> tuple[Any, Any]:
    """(N, 32, 32, 3) uint8 images of the training part, spread over it, and their labels."""
    source = Parquet(root=root, train="train.parquet", size=32)
    rows = np.linspace(0, len(source) - 1, min(count, len(source))).astype(int)
    return np.stack([np.asarray(source.read(int(row))) for row in rows]), np.asarray(source.labels[rows])


def metrics_of_many(device: torch.device) -> dict[str, Any]:
    """Seconds of all metrics and curves of 10,000 × 50,000 binary codes, as `metrics.py` takes them."""
    with tempfile.TemporaryDirectory() as folder:
        for seed, (name, count) in enumerate((("query", 10_000), ("database", 50_000)), start=1):
            for field, values in make_side(count, seed=seed)._asdict().items():
                np.save(Path(folder) / f"{name}-{field}.npy", values)
        found = measure_large("binary", Path(folder), device=device.type)
    return {key: found[key] for key in ("queries", "database", "threads", "seconds")}


if __name__ == "__main__":
    sys.exit(main())
