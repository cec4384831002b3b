"""Detectors trained on photos of PASCAL VOC by the two scripts, as a user runs them: how well, and how long it takes.

    python benchmarks/detectors_pascal.py --root DIR --weights FILE
    python benchmarks/detectors_pascal.py --root DIR --weights FILE --cases ssd --parts options

DIR holds `annotations.json`, `query.txt` and `database.txt`; FILE the ImageNet weights of MobileNetV2. A case is a run
of `train.py experiment=…` on the photos of the database, and one of `evaluate.py` on its artifact and the queries,
which must give the same numbers. `--parts recipe options` also trains each option of a case once, on a schedule that
all of them share. What is done already under --runs is not done again; cases and parts that are not asked for keep what
they have in benchmarks/results/detectors_pascal.json, beside which the page is written anew after each run.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from neighbours import busy_cores, in_words
from quality import RESULTS, ROOT, where
from torchvision.ops import box_iou

from dqh.data.json_boxes import JSONBoxes
from dqh.detection.trained_detector import open_trained
from dqh.evaluation.detector_evaluation import LEAST_SCORE

NAME = "detectors_pascal"
COMMAND = f"python benchmarks/{NAME}.py --root DIR --weights FILE"
DATA = ("data=json_boxes", "data.name=pascal", "data.train=null")
"""Of evaluate.py, as the experiments name them for train.py."""


SIDES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Bounds of the groups by size: side of the square of a box's area over the longer side of its photo."""

IOU = 0.5
PARTS = ("recipe", "options")


class Case(NamedTuple):
    """A detector with its recipe.

    Attributes:
        title: of its part of the page.
        about: what must be known to read the numbers.
        arguments: of train.py, beside the data and the weights.
        targets: measure → what is wanted of it, in words.
        short: arguments that shorten the schedule of the options; none where they have the whole one.
        options: what differs → arguments of train.py beside `short`; the first one is the recipe itself.
    """

    title: str
    about: str
    arguments: tuple[str, ...]
    targets: Mapping[str, str]
    short: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]


CASES = {
    "ssd": Case(
        "SSD on MobileNetV2",
        "The lower layers of the backbone are frozen; the upper ones and the heads learn from what these give of each "
        "photo, its mirror image and twelve random views.",
        ("experiment=ssd_pascal",),
        {"AP@.5": "floor .45, aim .50", "recall": "at least .75"},
        ("trainer.epochs=20", "augment.views=0"),
        {
            "none": (),
            "input of 290 pixels": ("backbone.size=290",),
            "matching at an overlap of .7": ("method.iou=0.7",),
            "further map without stride": ("method.extra_stride=1",),
            "hard examples of all boxes": ("method.mining=all",),
            "backbone frozen as a whole": ("optimizer.lr_multipliers.network.trunk=0",),
        },
    ),
    "faster_rcnn": Case(
        "Faster R-CNN on MobileNetV2",
        "The lower layers of the backbone are frozen; the upper ones and both stages learn from what these give of "
        "each photo, its mirror image and four random views.",
        ("experiment=faster_rcnn_pascal",),
        {"AP@.5": "floor .48, aim .55", "proposals": "at least .85"},
        ("backbone.size=320", "trainer.epochs=4", "augment.views=0"),
        {
            "none": (),
            "matching at an overlap of .7": ("method.iou=0.7",),
            "300 proposals": ("method.proposals=300",),
            "proposals of an objectness of .1": ("method.objectness=0.1",),
            "backbone frozen as a whole": ("optimizer.lr_multipliers.network.trunk=0",),
        },
    ),
}


_OF_PROPOSALS = (
    " Proposals: the same by the boxes that lie least on the background, before they have a class, 100 at most: of SSD "
    "among the 1,000 surest, of Faster R-CNN among 300 that its first stage proposes and its second has moved."
)


def run(arguments: Sequence[str], folder: Path, *, data: Path, weights: Path) -> dict[str, Any]:
    """Train and evaluate below `folder`, unless that is done, and tell what was measured and what it took."""
    kept = folder / "measured.json"
    if kept.is_file():
        content: dict[str, Any] = json.loads(kept.read_text())
        return content
    busy = busy_cores()
    root = f"data.root={data.resolve()}"
    used = {"train": _script("train.py", [*arguments, root, f"backbone.weights={weights.resolve()}"], runs=folder)}
    latest = (folder / "latest").resolve()
    used["evaluate"] = _script("evaluate.py", [*DATA, root, f"artifact={latest / 'artifact'}"], runs=folder)
    trained = json.loads((latest / "metrics.json").read_text())
    (again,) = (path for path in latest.parent.glob("*_evaluate_*/metrics.json"))
    measures = ("detection", "proposals", "first_stage")
    if any(trained[name] != json.loads(again.read_text())[name] for name in measures):
        raise SystemExit(f"{again} says something else than {latest / 'metrics.json'}")
    training = {key: value for key, value in trained["training"].items() if key != "history"}
    environment = {key: value for key, value in trained["environment"].items() if key != "command"}
    content = {
        **{name: trained[name] for name in (*measures, "photo_ms")},
        "protocol": trained["protocol"],
        "training": training,
        "environment": environment,
        "busy_cores_before": busy,
        "arguments": list(arguments),
        "used": used,
    }
    kept.write_text(json.dumps(content, indent=1) + "\n")
    return content


def by_size(artifact: Path, *, data: Path) -> list[dict[str, float]]:
    """How many of the true boxes of the queries are reached at `IOU` by 100 found ones, in groups by size.

    Returns:
        `least` and `most` of `SIDES`, `boxes`, and of these the shares `reached`, and `named`, by a box of their class.
    """
    source = JSONBoxes(root=data, query="query.txt")
    sides, reached, named = [], [], []
    with open_trained(artifact, threshold=LEAST_SCORE) as detector:
        for row in source.roles["query"].tolist():
            photo, truth = np.asarray(source.read(row), np.uint8), source.boxes(row)
            boxes, _, classes, valid = (part[0] for part in detector.detect([photo]))
            overlaps = box_iou(torch.from_numpy(truth.boxes), torch.from_numpy(boxes[valid])).numpy()
            same = truth.classes[:, np.newaxis] == classes[valid]
            reached += (overlaps >= IOU).any(1).tolist()
            named += ((overlaps >= IOU) & same).any(1).tolist()
            area = np.prod(truth.boxes[:, 2:] - truth.boxes[:, :2], axis=1)
            sides += (np.sqrt(area) / max(photo.shape[:2])).tolist()
    group = np.digitize(sides, SIDES[1:-1])
    return [
        {
            "least": SIDES[number],
            "most": SIDES[number + 1],
            "boxes": int((group == number).sum()),
            "reached": round(float(np.mean(np.array(reached)[group == number])), 3),
            "named": round(float(np.mean(np.array(named)[group == number])), 3),
        }
        for number in np.unique(group).tolist()
    ]


def _script(name: str, arguments: Sequence[str], *, runs: Path) -> dict[str, float]:
    """Run one of the two scripts; seconds by the clock, and of all cores together."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, str(ROOT / name), *arguments, f"runs={runs.resolve()}"], check=True, cwd=ROOT)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cores = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(wall, 1), "cpu_s": round(cores, 1)}


def page(cases: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as markdown."""
    measured_options = any(content.get("options") for content in cases.values())
    parts = " --parts recipe options" * measured_options
    lines = ["# Detectors trained on photos of PASCAL VOC\n", f"    {COMMAND}{parts}\n"]
    for name, content in cases.items():
        if "recipe" not in content:
            lines += [f"## {CASES[name].title}\n", *_options(CASES[name], content["options"])]
            continue
        case, best = CASES[name], content["recipe"]
        protocol, training = best["protocol"], best["training"]
        lines += [
            f"## {case.title}\n",
            f"{protocol['query']} photos of `query.txt` are asked, {protocol['train']} of `database.txt` trained on, "
            f"{protocol['validation'] or 'none'} of them left out to choose the epoch; {protocol['classes']} classes. "
            f"{case.about} {where(best['environment'])}.\n",
            f"    python train.py {' '.join(case.arguments)} data.root=DIR backbone.weights=FILE\n",
            "| | measured | wanted |",
            "|---|---|---|",
            *(f"| {title} | {value:.3f} | {case.targets.get(title, '')} |" for title, value in _measures(best).items()),
            f"\nRecall is that of the true boxes at IoU {best['proposals']['iou']:g} by the "
            f"{best['proposals']['most']} surest boxes of a photo, all classes as one."
            f"{_OF_PROPOSALS * bool(best.get('first_stage'))}\n",
            f"Training: {training['epochs']} epochs, {best['used']['train']['wall_s'] / 60:.1f} minutes for the whole "
            f"of `train.py`, {best['used']['train']['cpu_s']:.0f} CPU seconds, on {training['threads']} thread(s); "
            f"{in_words(best['busy_cores_before'])}. Detecting takes {best['photo_ms']:.0f} ms a photo.\n",
            "| class | AP@.5 | AP@[.5:.95] | AR@100 | true boxes | photos |",
            "|---|---|---|---|---|---|",
            *(
                f"| {row['name']} | {_shown(row['ap50'])} | {_shown(row['ap'])} | {_shown(row['ar'])} | {row['boxes']} "
                f"| {row['photos']} |"
                for row in best["detection"]["classes"]
            ),
            "\nBy the side of a box, in parts of the longer side of its photo: the share of the true boxes that a "
            f"found one overlaps with by {IOU:g}, whatever its class, and one of their class:\n",
            "| side | true boxes | any class | their class |",
            "|---|---|---|---|",
            *(
                f"| {row['least']:g} … {row['most']:g} | {row['boxes']} | {row['reached']:.2f} | {row['named']:.2f} |"
                for row in best["sizes"]
            ),
            "",
        ]
        if content.get("options"):
            lines += _options(case, content["options"])
    return "\n".join(lines)


def _options(case: Case, options: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The table of the options of a case."""
    first = next(iter(options.values()))
    titles = list(_measures(first))
    missing = [title for title in case.options if title not in options]
    return [
        f"### Options, one at a time, {' '.join(case.short)}\n",
        f"| what differs | {' | '.join(titles)} | CPU s | ms a photo | machine |",
        f"|---|{'---|' * (len(titles) + 3)}",
        *(
            f"| {title} | {' | '.join(f'{value:.3f}' for value in _measures(row).values())} "
            f"| {row['used']['train']['cpu_s']:.0f} | {row['photo_ms']:.0f} | {row['environment']['machine']['cpu']} |"
            for title, row in options.items()
        ),
        "",
        *([f"Not measured: {', '.join(missing)}.\n"] if missing else []),
    ]


def _measures(content: Mapping[str, Any]) -> dict[str, float]:
    """The columns of a table."""
    detection = content["detection"]
    measures = {
        "AP@.5": detection["ap50"],
        "AP@[.5:.95]": detection["ap"],
        "AR@100": detection["ar"],
        "recall": content["proposals"]["recall"],
    }
    if content.get("first_stage"):
        measures["proposals"] = content["first_stage"]["recall"]
    return measures


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def main() -> None:
    """Run what is not done yet, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, metavar="DIR")
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["recipe"], help="its recipe, or each option")
    parser.add_argument("--runs", type=Path, default=Path("runs") / NAME, help="where the runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    file = given.out / f"{NAME}.json"
    cases: dict[str, dict[str, Any]] = json.loads(file.read_text())["cases"] if file.is_file() else {}
    for name in given.cases:
        case, about = CASES[name], {"data": given.root, "weights": given.weights}
        content = cases.setdefault(name, {})
        if "recipe" in given.parts:
            folder = given.runs / name / "recipe"
            content["recipe"] = run(case.arguments, folder, **about)
            content["recipe"]["sizes"] = by_size((folder / "latest" / "artifact").resolve(), data=given.root)
            write(cases, given.out)
        for title, own in case.options.items() if "options" in given.parts else ():
            arguments = [*case.arguments, *case.short, *own]
            options = content.get("options", {}) | {title: run(arguments, given.runs / name / _folder(title), **about)}
            content["options"] = {each: options[each] for each in case.options if each in options}
            write(cases, given.out)
    print((given.out / f"{NAME}.md").read_text())


def write(cases: Mapping[str, Mapping[str, Any]], out: Path) -> None:
    """The table and the numbers."""
    out.mkdir(parents=True, exist_ok=True)
    ordered = {name: cases[name] for name in CASES if name in cases}
    (out / f"{NAME}.json").write_text(json.dumps({"command": COMMAND, "cases": ordered}, indent=1) + "\n")
    (out / f"{NAME}.md").write_text(page(ordered))


def _folder(title: str) -> str:
    return "option_" + "".join(letter if letter.isalnum() else "_" for letter in title)


if __name__ == "__main__":
    main()
