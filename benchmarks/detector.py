"""A detector that others trained, by `dqh.detection`: how well it finds the objects of photos, and how long one takes.

    python benchmarks/detector.py --data DIR --model yolox_nano.onnx

DIR holds `annotations.json` (see `dqh.data.json_boxes`) and `query.txt`, whose photos are looked at. The network is a
YOLOX trained on COCO: its classes are mapped to those of the photos, and others are left out. Measured at several score
thresholds and overlaps of its non-maximum suppression, by `dqh.evaluation.detection`; the time is of one photo after
another on `--threads` threads, JPEG decoding apart. Writes benchmarks/results/detector.json and .md.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from neighbours import busy_cores, in_words
from numpy.typing import NDArray
from quality import where

from dqh.cores import usable_cores
from dqh.data.class_map import ClassMap, class_numbers
from dqh.data.json_boxes import JSONBoxes
from dqh.data.photo_files import read_photo
from dqh.detection.class_names import COCO, read_class_names
from dqh.detection.decoders import DECODERS
from dqh.detection.detections import Detections
from dqh.detection.detector_manifest import MODEL, read_detector_manifest, read_model
from dqh.detection.letter_box import letter_box
from dqh.detection.network import OnnxNetwork
from dqh.detection.onnx_detector import OnnxDetector
from dqh.detection.writing import save_detector
from dqh.environment import environment
from dqh.evaluation.detection import DetectionResult, evaluate_detections, in_classes

RESULTS = Path(__file__).resolve().parent / "results"
OTHER_NAMES = {"motorcycle": "motorbike"}
"""Of COCO → of PASCAL VOC, of the classes that are in these photos."""

LOW = 0.01
"""Score threshold by which YOLOX itself is evaluated: a lower one changes nothing in the second digit of AP."""

THRESHOLDS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.3, 0.5)
OVERLAPS = (0.45, 0.55, 0.65)


class Photos(NamedTuple):
    """What is looked at: the photos, decoded, with their true boxes, and the classes."""

    paths: list[str]
    images: list[NDArray[np.uint8]]
    truth: list[Any]
    classes: Sequence[str]


def photos_of(data: Path) -> Photos:
    """The photos of `query.txt`."""
    source = JSONBoxes(root=data, query="query.txt")
    paths = [str(data.resolve() / name) for name in source.ids]
    images = [np.asarray(read_photo(path)) for path in paths]
    return Photos(paths, images, [source.boxes(row) for row in range(len(paths))], source.class_names)


def measured(photos: Photos, found: Detections, names: Sequence[str]) -> DetectionResult:
    """The detections in the classes of the photos, against the true boxes."""
    mapped = {name: OTHER_NAMES.get(name, name) for name in names}
    left = {name: meant if meant in photos.classes else None for name, meant in mapped.items()}
    numbers = class_numbers(names, photos.classes, ClassMap(left))
    return evaluate_detections(photos.truth, in_classes(found, numbers), class_names=photos.classes)


def milliseconds(run: Callable[[Any], Any], items: Sequence[Any], repeats: int) -> dict[str, float]:
    """Over the items: median and 95th percentile of the median of the repeats of each, and median of the least."""
    times = np.empty((repeats, len(items)))
    for item in items[:5]:
        run(item)  # the first ones allocate
    for repeat in range(repeats):
        for place, item in enumerate(items):
            started = time.perf_counter()
            run(item)
            times[repeat, place] = 1000 * (time.perf_counter() - started)
    each = np.median(times, axis=0)
    least = float(np.median(times.min(axis=0)))
    middle, slow = float(np.median(each)), float(np.percentile(each, 95))
    return {"median": round(middle, 2), "p95": round(slow, 2), "least": round(least, 2)}


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    photos, busy = photos_of(given.data), busy_cores()
    print(f"{len(photos.images)} photos", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "detector"
        save_detector(given.model, kept, classes=read_class_names(COCO))
        manifest = read_detector_manifest(kept)
        network = OnnxNetwork(read_model(kept, manifest), MODEL, threads=given.threads)
    usual = DECODERS["yolox"].usual

    def detector(threshold: float, iou: float) -> OnnxDetector:
        settings = usual._replace(threshold=threshold, iou=iou)
        return OnnxDetector(network, manifest.spec._replace(settings=settings), manifest.detector_id)

    variants = dict.fromkeys([*((LOW, iou) for iou in OVERLAPS), *((threshold, usual.iou) for threshold in THRESHOLDS)])
    rows: dict[tuple[float, float], DetectionResult] = {}
    for threshold, iou in variants:
        own = detector(threshold, iou)
        rows[threshold, iou] = measured(photos, own.detect(photos.images), own.classes)
        print(threshold, iou, rows[threshold, iou].ap50, flush=True)
    inputs = [
        letter_box(image, manifest.spec.height, manifest.spec.width, padding=114).pixels for image in photos.images
    ]
    blobs = [np.ascontiguousarray(pixels[np.newaxis, ..., ::-1].transpose(0, 3, 1, 2), np.float32) for pixels in inputs]
    usually, low = detector(usual.threshold, usual.iou), detector(LOW, usual.iou)
    times = {
        "read and decode the JPEG": milliseconds(
            lambda path: np.asarray(read_photo(path)), photos.paths, given.repeats
        ),
        f"detect, threshold {usual.threshold:g}": milliseconds(
            lambda image: usually.detect([image]), photos.images, given.repeats
        ),
        f"detect, threshold {LOW:g}": milliseconds(lambda image: low.detect([image]), photos.images, given.repeats),
        "of which the network in its process": milliseconds(network.run, blobs, given.repeats),
    }
    print(times, flush=True)
    network.close()
    write(given, photos, manifest.to_json(), rows, times, busy)


def write(
    given: argparse.Namespace,
    photos: Photos,
    manifest: dict[str, Any],
    rows: dict[tuple[float, float], DetectionResult],
    times: dict[str, dict[str, float]],
    busy: float | None,
) -> None:
    """Write the two files."""
    command = "python benchmarks/detector.py --data DIR --model yolox_nano.onnx"
    about = environment(seed=0, command=command)
    usual = DECODERS["yolox"].usual
    best = rows[LOW, usual.iou]
    sides = sorted(max(image.shape[:2]) for image in photos.images)
    lines = [
        "# A ready detector: YOLOX-nano through ONNX Runtime\n",
        f"{best.photos} photos of `query.txt`, {best.negatives} of them without a box of the {len(photos.classes)} "
        f"classes; {best.boxes} true boxes; longer side {sides[0]} to {sides[-1]} pixels. COCO names become these "
        f"classes ({', '.join(f'{coco} is {own}' for coco, own in OTHER_NAMES.items())}), others are left out. "
        f"Model of SHA-256 `{manifest['model']['sha256'][:16]}…`, input {manifest['height']} × {manifest['width']}; "
        f"{usual.most} objects of a photo at most, of all {len(manifest['classes'])} classes together. "
        f"{where(about)}.\n",
        f"    {command}\n",
        f"By class, score threshold {LOW:g}, overlap {usual.iou:g} in the suppression; AP and AR as COCO does:\n",
        "| class | AP@.5 | AP@[.5:.95] | AR@100 | true boxes | photos |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.name} | {_shown(row.ap50)} | {_shown(row.ap)} | {_shown(row.ar)} | {row.boxes} | {row.photos} |"
            for row in best.classes
        ),
        f"| mean of {best.measured} | {_shown(best.ap50)} | {_shown(best.ap)} | {_shown(best.ar)} | {best.boxes} "
        f"| {best.photos - best.negatives} |\n",
        "By threshold and overlap; the one of the table above is "
        f"{LOW:g} and {usual.iou:g}, `dqh detector` takes {usual.threshold:g} and {usual.iou:g} where nobody says:\n",
        "| threshold | overlap | AP@.5 | AP@[.5:.95] | AR@100 | found a photo |",
        "|---|---|---|---|---|---|",
        *(
            f"| {threshold:g} | {iou:g} | {_shown(row.ap50)} | {_shown(row.ap)} | {_shown(row.ar)} "
            f"| {row.detections / row.photos:.2f} |"
            for (threshold, iou), row in rows.items()
        ),
        f"\nMilliseconds a photo on {given.threads} thread(s), each the median (or the least) of {given.repeats} runs, "
        f"over {len(photos.images)} photos; {in_words(busy)}, of {usable_cores()}, and this ran "
        f"at niceness {os.getpriority(os.PRIO_PROCESS, 0)}:\n",
        "| step | median | 95th percentile | median of the least |",
        "|---|---|---|---|",
        *(
            f"| {step} | {time['median']:.1f} | {time['p95']:.1f} | {time['least']:.1f} |"
            for step, time in times.items()
        ),
    ]
    content = {
        "command": command,
        "environment": about,
        "threads": given.threads,
        "repeats": given.repeats,
        "busy_cores_before": busy,
        "detector": manifest,
        "rows": [{"threshold": threshold, "iou": iou} | row.to_json() for (threshold, iou), row in rows.items()],
        "milliseconds": times,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "detector.json").write_text(json.dumps(content, indent=1) + "\n")
    (given.out / "detector.md").write_text("\n".join(lines) + "\n")
    print((given.out / "detector.md").read_text())


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
