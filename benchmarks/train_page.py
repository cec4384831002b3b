"""The page of `train.py` beside this file, at any time of its run: what is not measured yet, or here, says so."""

from typing import Any

from loops import BATCH, RECIPE_IMAGES
from quality import where
from train_scale import GPU, METHODS, NETWORKS, RECIPES


def page(content: dict[str, Any]) -> str:
    """The results as markdown.

    Args:
        content: of `train.json`, whole or not.
    """
    on_gpu = content["device"] == "cuda"
    lines = [
        "# Training and encoding: time and speed\n",
        f"{where(content['environment'])}, {content['threads']} threads, beside it: {content['load']}.\n",
        f"    {content['command']}\n",
        *_recipe_lines(content, on_gpu=on_gpu),
        *_plain_lines(content, on_gpu=on_gpu),
        *_metrics_lines(content, on_gpu=on_gpu),
        *_network_lines(content, on_gpu=on_gpu),
        *_bare_lines(content, on_gpu=on_gpu),
    ]
    if content["no time left"]:
        lines.append(f"\nNo time was left for: {', '.join(content['no time left'])}.")
    lines += [f"\nFailed: {name}: {reason}" for name, reason in content["failed"].items()]
    took = ", ".join(f"{name} {seconds:.0f}" for name, seconds in content["seconds"].items())
    lines.append(f"\nSeconds of the parts, {sum(content['seconds'].values()):.0f} in all: {took}.")
    return "\n".join(lines) + "\n"


def _recipe_lines(content: dict[str, Any], *, on_gpu: bool) -> list[str]:
    lines = [
        "Seconds of the loop are those of the steps; compilation and warm-up before them, validation, checkpoints and "
        "evaluation stand apart. No test-time augmentation. CIFAR-10 as JPEG copies (quality 75, about 30 dB), "
        "protocol full, 48 bits, latent-binary network from scratch.\n",
        "## Time to accuracy\n",
        "| recipe | loop s | warm-up s | wall s | waiting s | images/s | GB | mAP@all | accuracy | mAP − accuracy "
        "| mAP@all of the class index |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for recipe in RECIPES:
        row = content.get(f"recipe {recipe}")
        if row is None or not on_gpu:
            lines.append(f"| {recipe}, one GPU | not measured |" + " |" * 9)
        if row is None:
            continue
        reduced = f"{recipe}, reduced: {row['train_images']:,} images, {row['epochs']} epochs, {content['device']}"
        times = [row[key] for key in ("loop_seconds", "warm_up_seconds", "wall_seconds", "waiting_seconds")]
        found, right = row["mAP@all"], row["accuracy"]
        lines.append(
            f"| {recipe if on_gpu else reduced} | {' | '.join(map(str, times))} | {row['images_per_s']:,.0f} "
            f"| {row['memory_gb']} | {found:.4f} | {right:.4f} | {found - right:+.4f} | {row['class_index']:.4f} |"
        )
    return [
        *lines,
        "\nAccuracy is that of the network's own classifier on the queries. `class_index` ranks by its arg-max, what a "
        "supervised hash must be compared with. Wanted on one H200: mAP@all .93 within 15 s of the loop and .95 within "
        "60 s, and mAP − accuracy at least −.005.",
    ]


def _plain_lines(content: dict[str, Any], *, on_gpu: bool) -> list[str]:
    """The comparison with the plain loop, and the share of kernels."""
    row = content.get("against the plain loop")
    lines = ["\n## Against a plain loop\n"]
    if row:
        name = "one GPU" if on_gpu else f"{content['threads']} CPU threads"
        ours, plain = (", ".join(f"{each:,.0f}" for each in row[f"{who}_images_per_s"]) for who in ("ours", "plain"))
        lines += [
            f"{row['images']:,} images of 32 pixels, the same network and batches of {BATCH}, in turn, each the median "
            f"of {row['epochs']} epochs after one: PIL transforms in 8 workers, pinned memory, TF32, no compilation, "
            "the loss read at every step. Wanted: 10 × on a GPU, 1.4 × on two CPU cores.\n",
        ]
    lines += ["| machine | ours, images/s | plain, images/s | ratio of the medians |", "|---|---|---|---|"]
    if row:
        lines.append(f"| {name} | {ours} | {plain} | {row['ratio']} × |")
    if not (row and on_gpu):
        lines.append("| one GPU | not measured | | |")
    kernels = row["kernels"] if row else {}
    if kernels:
        lines.append(
            f"\nKernels or copies run in {100 * kernels['share']:.1f} % of the wall time of the loop (torch.profiler, "
            f"{kernels['steps']} steps; wanted: 90 %); the host waits for the device {kernels['waits_per_step']:.2f} "
            "times a step."
        )
    else:
        lines.append("\nShare of kernels in the wall time of the loop: not measured (needs a GPU).")
    return lines


def _metrics_lines(content: dict[str, Any], *, on_gpu: bool) -> list[str]:
    row = content.get("metrics")
    lines = ["\n## Metrics\n"]
    if row:
        lines.append(
            f"All metrics and curves of binary codes, {row['queries']:,} queries × {row['database']:,} items: "
            f"{row['seconds']} s{'' if on_gpu else ' on the CPU'}."
        )
    if not (row and on_gpu):
        lines.append("On one GPU: not measured.")
    return [*lines, "Wanted on one H200: .1 s."]


def _network_lines(content: dict[str, Any], *, on_gpu: bool) -> list[str]:
    scale = content["scale"]
    reduced = "" if on_gpu else f" (reduced: {scale['side']} px, {scale['images']} images, CPU)"
    lines = [
        f"\n## Networks at {GPU.side} pixels, batches of {GPU.batch_size}\n",
        "Images a second. GB: the most that torch held on the device, on a CPU that of the process. The paper's recipe "
        f"shows {RECIPE_IMAGES['dlbhc']:,} images (`dlbhc`, batches of 32) or {RECIPE_IMAGES['dqn']:,} (`dqn`, batches "
        "of 64, 256 codewords); the hours are those of as many images at the rate here (16 codewords), so the least "
        "that it takes: small batches are slower, and refits and validation come on top.\n",
        "| method, network | training, images at hand | training, JPEG files | encoding | GB | the paper's recipe, "
        "hours at least |",
        "|---|---|---|---|---|---|",
    ]
    for network in NETWORKS:
        for method in METHODS:
            row = content.get(f"{method} {network}")
            if row is None or not on_gpu:
                lines.append(f"| {method}, {network}, {GPU.side} px, GPU | not measured | | | | |")
            if row is None:
                continue
            files = f"{row['files_images_per_s']:,.0f}" if "files_images_per_s" in row else "–"
            hours = f"{row['recipe_images'] / row['images_per_s'] / 3600:.2f}" if on_gpu else "–"
            how = f", {row['precision']}{', compiled' if row['compiled'] else ', not compiled'}" if on_gpu else ""
            lines.append(
                f"| {method}, {network}{reduced}{how} | {row['images_per_s']:,.0f} | {files} "
                f"| {row['encoding_images_per_s']:,.0f} | {row['memory_gb']} | {hours} |"
            )
    return lines


def _bare_lines(content: dict[str, Any], *, on_gpu: bool) -> list[str]:
    """ResNet-50 against itself alone."""
    bare, ours = content.get("bare resnet50"), content.get("dlbhc resnet50")
    lines = ["\nResNet-50 against its bare forward and backward pass, wanted .90 in bf16 on one H200:\n"]
    lines += ["| bare | images/s | ours, images at hand | ours, JPEG files |", "|---|---|---|---|"]
    if not (bare and on_gpu):
        lines.append("| one GPU | not measured | | |")
    where_it_ran = "" if on_gpu else " (reduced, CPU)"
    for name, rate in (bare or {}).items():
        shares = [f"{ours[key] / rate:.2f}" if ours else "–" for key in ("images_per_s", "files_images_per_s")]
        lines.append(f"| {name}{where_it_ran} | {rate:,.0f} | {' | '.join(shares)} |")
    return lines
