"""A thousand flipped bits and a thousand truncations over all files of an artifact with all its forms: who finds them?

    python benchmarks/faults_artifact.py RUN/artifact

Works on a copy, to which all forms are added. Each fault is put into one file, larger files are hit as often as small
ones; asked are `dqh verify`, which must name the file or refuse the manifest, and `load_artifact`, which must refuse
it, or, where the file is none that it reads, give the same codes and features as before, bit for bit.
Writes benchmarks/results/faults_artifact.json and .md.
"""

import argparse
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from quality import where

from dqh.artifact import load_artifact, read_manifest
from dqh.artifact.golden import Answers, eager
from dqh.environment import environment
from dqh.errors import ArtifactError
from dqh.export.artifact.forms import FORMS, export_forms
from dqh.export.verify import verify

RESULTS = Path(__file__).resolve().parent / "results"
READ = ("artifact.json", "encoder.safetensors", "quantizer.safetensors", "classifier.safetensors", "split.json")


def faulty(content: bytes, kind: str, generator: np.random.Generator) -> bytes:
    """One bit flipped, or the end cut off."""
    if kind == "truncation":
        return content[: generator.integers(len(content))]
    changed = bytearray(content)
    changed[generator.integers(len(content))] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def found_by_verify(path: Path, file: str) -> bool:
    """Whether verification names the damaged file, or refuses the manifest."""
    try:
        found = verify(path)
    except ArtifactError:
        return file == "artifact.json"
    return not found.holds and len(found.damaged) == 1 and file in found.damaged[0] and not found.runs


def loaded(path: Path, inputs: np.ndarray, wanted: Answers) -> str:
    """`refused`, `same` or `other`: what comes of loading."""
    try:
        artifact = load_artifact(path)
    except ArtifactError:
        return "refused"
    answers = eager(artifact.encoder, artifact.quantizer, inputs)
    return "same" if all(np.array_equal(*each) for each in zip(answers, wanted, strict=True)) else "other"


def main() -> None:
    """Make the faults and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--faults", type=int, default=1000, help="of each kind")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(shutil.copytree(given.artifact, Path(scratch) / "artifact"))
        export_forms(path, FORMS)
        assert verify(path, trust=True).holds, "the artifact is not whole to begin with"
        artifact, inputs = load_artifact(path), np.load(path / "golden" / "inputs.npy")
        wanted = eager(artifact.encoder, artifact.quantizer, inputs)
        files = ["artifact.json", *sorted(read_manifest(path)["files"])]
        for kind in ("flip", "truncation"):
            generator = np.random.default_rng(0)
            for number in range(given.faults):
                file = files[number % len(files)]
                original = (path / file).read_bytes()
                (path / file).write_bytes(faulty(original, kind, generator))
                counts[f"{kind}: found by verify"] += found_by_verify(path, file)
                outcome = loaded(path, inputs, wanted)
                counts[f"{kind}: load {outcome}"] += 1
                counts[f"{kind}: in a file that load reads"] += file in READ
                (path / file).write_bytes(original)
        assert verify(path, trust=True).holds
    write(given.out, counts, files=len(files), faults=given.faults)


def write(out: Path, counts: Counter[str], *, files: int, faults: int) -> None:
    """Write the two files."""
    command = "python benchmarks/faults_artifact.py RUN/artifact"
    about = environment(seed=0, command=command)
    lines = [
        "# Damage to an artifact\n",
        f"{faults:,} flipped bits and {faults:,} truncations over the {files} files of an artifact with all its forms, "
        f"one at a time. {where(about)}.\n",
        f"    {command}\n",
        "| fault | made | found by `dqh verify` | in a file that `load_artifact` reads | refused by it | same answers "
        "| other answers |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in ("flip", "truncation"):
        values = [
            counts[f"{kind}: {each}"]
            for each in ("found by verify", "in a file that load reads", "load refused", "load same", "load other")
        ]
        lines.append(f"| {kind} | {faults} | {' | '.join(map(str, values))} |")
    out.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "environment": about, "files": files, "faults": faults, "counts": dict(counts)}
    (out / "faults_artifact.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "faults_artifact.md").write_text("\n".join(lines) + "\n")
    print((out / "faults_artifact.md").read_text())


if __name__ == "__main__":
    main()
