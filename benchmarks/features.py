"""Features of MobileNetV2 with ImageNet weights as .npy files, for the benchmarks that train on ready-made vectors."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from dqh.data import Protocol, Source, prepare
from dqh.encoding.encode import encode
from dqh.models import Encoder, HashHead, MobileNetV2
from dqh.quantizers import Threshold


def cache(folder: Path, source: Source, *, size: int, resize: int, weights: Path) -> None:
    """Write features.npy, (N, 1280) float16, and labels.npy of all images of a source, if they are not there."""
    if (folder / "labels.npy").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    backbone = MobileNetV2(tap="pool", size=size, resize=resize, weights=str(weights))
    encoder = Encoder(backbone, HashHead(backbone.dimension, 8)).eval()
    split = Protocol("counts", query=1).draw(source)
    with tempfile.TemporaryDirectory() as scratch:
        data = prepare(source, split, encoder.spec, allow_duplicates=True, skipped_file=Path(scratch) / "skipped.csv")
        rows = np.arange(len(source.ids))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        found = encode(encoder, Threshold(8), store=data.store, rows=rows, device=device, batch_size=256)
    if not np.array_equal(found.rows, rows):
        raise RuntimeError(f"{len(rows) - len(found.rows)} images could not be used; every one must be")
    np.save(folder / "features.npy", found.features.astype(np.float16))
    np.save(folder / "labels.npy", source.labels)
