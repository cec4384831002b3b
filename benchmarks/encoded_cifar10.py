"""What the benchmarks on a trained network share: its artifact, CIFAR-10 as parquet files, and both sides encoded."""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from quality import RESULTS

from dqh.artifact import Artifact, load_artifact
from dqh.data import Prepared, prepare
from dqh.data.parquet import Parquet
from dqh.encoding.encode import encode
from dqh.ranking.side import Side

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def arguments(about: str | None) -> argparse.Namespace:
    """`artifact`, `root` and `out` of the command line."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, required=True, help="folder of the artifact")
    parser.add_argument("--root", type=Path, required=True, help="folder of the parquet files")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


@contextmanager
def opened(given: argparse.Namespace) -> Iterator[tuple[Artifact, Prepared]]:
    """The artifact, and its images as it wants them."""
    artifact = load_artifact(given.artifact)
    source = Parquet(root=given.root, train="train.parquet", test="test.parquet", name="cifar10_jpeg")
    with tempfile.TemporaryDirectory() as scratch:
        skipped = Path(scratch) / "skipped.csv"
        spec = artifact.encoder.spec
        yield artifact, prepare(source, artifact.split, spec, allow_duplicates=True, skipped_file=skipped)


def encoded(artifact: Artifact, data: Prepared, *roles: str) -> list[Side]:
    """The images of each role by the network of the artifact."""
    sides = []
    for role in roles:
        rows = getattr(data.roles, role)
        side = encode(artifact.encoder, artifact.quantizer, store=data.store, rows=rows, device=DEVICE, batch_size=256)
        sides.append(Side(side.codes, side.embedding, side.features, data.source.labels[side.rows]))
    return sides


def write(out: Path, name: str, content: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Write `<name>.json` and `<name>.md`, and show the page."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / f"{name}.md").write_text("\n".join(lines) + "\n")
    print((out / f"{name}.md").read_text())
