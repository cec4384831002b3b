"""Which layer, raw or binarised, L1 or L2? The feature study on clothing photos, MobileNetV2 with ImageNet weights.

    python benchmarks/feature_study.py --root DIR --weights FILE      DIR/{train,test,validation}/<class>/*.jpg

Random AlexNet, VGG16 and ResNet run at 64 pixels, as a check that all their layers do. Both parts are runs of
`evaluate.py study=features`. Writes benchmarks/results/feature_study.md, .csv, .json and .svg.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from dqh.environment import environment
from dqh.evaluation.study.result import StudyResult

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DATA = (
    *("data=image_folder", "data.name=clothing", "data.roles={query: test, database: train, validation: validation}"),
    *("split.protocol=given", "split.query=null", "split.validation=null"),
)
TRAINED = ("study.networks={{mobilenet_v2: {weights}, colour_histogram: null}}", "study.size=224", "study.resize=256")
RANDOM = ("study.networks={alexnet: null, vgg16: null, resnet18: null, resnet50: null}", "study.size=64")


def run(arguments: list[str], runs: Path) -> dict[str, Any]:
    """A study; what its `study.json` says."""
    command = [sys.executable, str(ROOT / "evaluate.py"), "study=features", *arguments, f"runs={runs.resolve()}"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    page = next(line.split(maxsplit=1)[1] for line in printed.splitlines() if line.startswith("study "))
    return json.loads(Path(page).with_name("study.json").read_text())


def note(about: dict[str, Any], more: str) -> str:
    """What must be known to read the numbers, and where they were made."""
    machine, versions = about["machine"], about["versions"]
    where = f"{', '.join(machine['gpus']) or machine['cpu']}, {machine['usable_cores']} cores"
    packages = ", ".join(f"{name} {versions[name]}" for name in ("dqh", "torch", "torchvision", "faiss-cpu"))
    return (
        "MobileNetV2 with ImageNet weights sees the centre 224 × 224 of 256 × 256 pixels. Random weights at 64 × 64 "
        f"pixels are a check that every layer runs, and say nothing of trained ones. {where}, Python "
        f"{machine['python']}, {packages}, {about['date'][:10]}. {more}".rstrip()
    )


def main() -> None:
    """Run both parts, join them, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the clothing photos")
    parser.add_argument("--weights", type=Path, required=True, help="ImageNet weights of MobileNetV2")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs go")
    parser.add_argument("--note", default="", help="a sentence more about machine and weights")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    networks, *sizes = TRAINED
    data = [*DATA, f"data.root={given.root.resolve()}"]
    trained = run([*data, networks.format(weights=given.weights.resolve()), *sizes], given.runs)
    random = run([*data, *RANDOM], given.runs)
    command = "python benchmarks/feature_study.py --root DIR --weights FILE"
    about = environment(command=command, seed=0)
    given.out.mkdir(parents=True, exist_ok=True)
    result = StudyResult(trained["protocol"] | {"environment": about}, [*trained["rows"], *random["rows"]])
    result.write(given.out, command=command, name="feature_study", note=note(about, given.note))
    print((given.out / "feature_study.md").read_text())


if __name__ == "__main__":
    main()
