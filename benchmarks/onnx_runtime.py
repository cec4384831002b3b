"""ONNX Runtime against eager torch on a CPU: the same codes on a thousand images and more, and the time of each.

    python benchmarks/onnx_runtime.py digits=RUN/artifact clothing=RUN/artifact:DIR …

Each argument names a cell, an artifact of images, and the folder below which its *.jpg lie; without a folder the images
are the digits of scikit-learn. Both runtimes go from decoded uint8 pixels to packed codes on `--threads` threads, in
turns; the median of `--repeats` is kept. Writes benchmarks/results/onnx_runtime.json and .md.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from neighbours import busy_cores, in_words
from numpy.typing import NDArray
from quality import where

from dqh.artifact import Artifact, load_artifact
from dqh.artifact.golden import Answers, eager, parity
from dqh.data import Digits
from dqh.data.decoding import Decoder
from dqh.data.images import to_array
from dqh.data.pixels import decode
from dqh.encoding.onnx_runtime import OnnxForm
from dqh.environment import environment
from dqh.export.artifact.onnx_form import onnx_model
from dqh.inputs import InputSpec

RESULTS = Path(__file__).resolve().parent / "results"
BATCHES = (1, 16)


def images(spec: InputSpec, root: Path | None, most: int) -> NDArray[np.uint8]:
    """(N, 3, S, S): images spread over a folder, or the digits."""
    if root is None:
        source = Digits()
        whole = Decoder(source, spec)[np.arange(min(most, len(source.ids)))].images
    else:
        files = sorted(root.rglob("*.jpg"))
        chosen = [files[row] for row in np.linspace(0, len(files) - 1, min(most, len(files))).astype(int)]
        whole = np.stack([to_array(decode(file.read_bytes()), spec) for file in chosen])
    offset = (spec.resize - spec.size) // 2
    return np.ascontiguousarray(whole[:, :, offset : offset + spec.size, offset : offset + spec.size])


def milliseconds(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median and least time of each, taken in turns so that what else the machine does meets them alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 2):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if repeat >= 2:  # the first ones allocate
                times[name].append(1000 * (time.perf_counter() - started))
    medians = {name: round(statistics.median(each), 3) for name, each in times.items()}
    return medians | {f"{name}_least": round(min(each), 3) for name, each in times.items()}


def measured(artifact: Artifact, inputs: NDArray[np.uint8], *, threads: int, repeats: int) -> dict[str, Any]:
    """Parity on all inputs, and times at each batch size."""
    onnx = OnnxForm(onnx_model(artifact), threads=threads)

    def torch_eager(batch: NDArray[np.uint8]) -> Answers:
        return eager(artifact.encoder, artifact.quantizer, batch)

    flips = soft = 0
    largest = dict.fromkeys(("embedding", "features"), 0.0)
    for start in range(0, len(inputs), 16):
        wanted, found = torch_eager(inputs[start : start + 16]), onnx(inputs[start : start + 16])
        new = parity(wanted.codes, found, artifact.quantizer)
        flips, soft = flips + new[0], soft + new[1]
        for name in largest:
            own = getattr(wanted, name)
            difference = float(np.abs(getattr(found, name) - own).max() / np.abs(own).max())
            largest[name] = max(largest[name], difference)
    cell: dict[str, Any] = {
        "encoder_id": artifact.encoder_id,
        "backbone": artifact.encoder.backbone.name,
        "size": artifact.encoder.spec.size,
        "bits": artifact.quantizer.bits,
        "code_kind": artifact.quantizer.kind,
        "images": len(inputs),
        "bits_compared": len(inputs) * artifact.quantizer.bits,
        "flips": flips,
        "soft": soft,
        "largest_difference": largest,
    }
    for size in BATCHES:
        batch = inputs[:size]
        runs: dict[str, Callable[[], Any]] = {
            "eager": lambda batch=batch: torch_eager(batch),
            "onnx": lambda batch=batch: onnx(batch),
        }
        cell[f"ms_batch_{size}"] = milliseconds(runs, repeats)
    return cell


def main() -> None:
    """Measure every cell and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="+", metavar="NAME=ARTIFACT[:DIR]")
    parser.add_argument("--most", type=int, default=1800, help="images compared, at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cells, busy = {}, busy_cores()
    for each in given.cells:
        name, _, places = each.partition("=")
        path, _, root = places.partition(":")
        artifact = load_artifact(Path(path))
        inputs = images(artifact.encoder.spec, Path(root) if root else None, given.most)
        cells[name] = measured(artifact, inputs, threads=given.threads, repeats=given.repeats)
        print(name, cells[name], flush=True)
    most = "" if given.most == parser.get_default("most") else f" --most {given.most}"
    public = {name: f"RUN/artifact{':DIR' * (':' in each)}" for name, each in zip(cells, given.cells, strict=True)}
    write(given.out, cells, public, most, threads=given.threads, repeats=given.repeats, busy=busy)


def write(
    out: Path,
    cells: dict[str, dict[str, Any]],
    public: dict[str, str],
    most: str,
    *,
    threads: int,
    repeats: int,
    busy: float | None,
) -> None:
    """Write the two files."""
    command = (
        f"python benchmarks/onnx_runtime.py {' '.join(f'{name}={places}' for name, places in public.items())}{most}"
    )
    about = environment(seed=0, command=command)
    lines = [
        "# ONNX Runtime against eager torch on a CPU\n",
        f"From decoded uint8 pixels to packed codes, {threads} thread(s), medians of {repeats} runs in turns, "
        f"last column: of the least times; beside them, {in_words(busy)}. A soft bit may differ by the rule of "
        f"`dqh verify`. onnxruntime {onnxruntime.__version__}, {where(about)}.\n",
        f"    {command}\n",
        "| cell | network | codes | images | bits | flipped | soft | features differ by | batch | eager ms | ONNX ms "
        "| eager / ONNX | of the least |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, cell in cells.items():
        for size in BATCHES:
            ms = cell[f"ms_batch_{size}"]
            lines.append(
                f"| {name} | {cell['backbone']}, {cell['size']} px | {cell['bits']} ({cell['code_kind']}) "
                f"| {cell['images']:,} | {cell['bits_compared']:,} | {cell['flips']} | {cell['soft']} "
                f"| {cell['largest_difference']['features']:.1e} | {size} | {ms['eager']} | {ms['onnx']} "
                f"| {ms['eager'] / ms['onnx']:.2f} | {ms['eager_least'] / ms['onnx_least']:.2f} |"
            )
    out.mkdir(parents=True, exist_ok=True)
    content = {
        "command": command,
        "environment": about,
        "threads": threads,
        "repeats": repeats,
        "busy_cores_before": busy,
        "cells": cells,
    }
    (out / "onnx_runtime.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "onnx_runtime.md").write_text("\n".join(lines) + "\n")
    print((out / "onnx_runtime.md").read_text())


if __name__ == "__main__":
    main()
