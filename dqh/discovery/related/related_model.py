"""What was fitted to a log for related items, kept in a folder.

    related.json          canonical JSON, last field `self_sha256`: `format_version`, `kind`, `encoder_id` and
                          `detector_id` of the index, `ranker`, `examination`, `log` (what it was), `prior` and
                          `pair_spread`, `measured`, and SHA-256 and size of the other files; written last
    counts.safetensors    what the log said of its items, by their paths
    all.*, looks.*        the ranker by all features, and the one by `VISUAL` ones alone, for items that the log has
                          not: `.safetensors`, or `.txt` as LightGBM writes it

Nothing is unpickled. How one comes to be is in `dqh.discovery.related.related_fit`.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.artifact.new_folder import publish_new, require_new
from dqh.discovery.fitted import fitted_bytes, read_fitted
from dqh.discovery.related.examination import Examination
from dqh.discovery.related.item_rows import ItemRows
from dqh.discovery.related.log_counts import LogCounts
from dqh.discovery.related.looks import VISUAL
from dqh.discovery.related.pair_features import FEATURES
from dqh.discovery.related.propensity import Prior
from dqh.discovery.related.ranker import RANKERS, SUFFIX, Ranker, RankerName, ranker_bytes, read_ranker
from dqh.errors import ArtifactError, MismatchError
from dqh.files import read_regular
from dqh.index.store.manifest import Manifest
from dqh.index.store.rows import to_bytes, to_text
from dqh.schema import HASH, anything, integer, mapping, maybe, number, one_of, record, text
from dqh.tensors import read_arrays, write_arrays

KIND = "fitted related items"
"""What `related.json` calls the folder."""

RELATED, COUNTS = "related.json", "counts.safetensors"
_MOST_BYTES = 2**33

_FILE = record({"sha256": HASH, "size": integer(1, _MOST_BYTES)})
_CHECKS = {
    "encoder_id": text(),
    "detector_id": maybe(HASH),
    "ranker": one_of(*RANKERS),
    "examination": record({"power": number(0, 10), "error": maybe(number(0, 1e6)), "note": text()}),
    "prior": record({"mean": number(0, 1e6), "spread": number(0, 1e12)}),
    "pair_spread": number(0, 1e12),
    "log": mapping(anything),
    "measured": mapping(anything),
    "files": mapping(_FILE),
}

_OF_ITEMS = ("shown_to", "saved_by", "saves", "views", "squares", "boards")
_OF_PAIRS = {"beside": 3, "together": 2}
"""Values of each pair."""


class Rankers(NamedTuple):
    """Both rankers: by all features, and by what images look like alone."""

    all: Ranker
    looks: Ranker


@dataclass(frozen=True)
class RelatedModel:
    """What was fitted.

    Attributes:
        paths: I images of the log, by the paths that the index has.
        counts: of them.
        ranker: name of what both rankers are.
        rankers: which tell candidates apart.
        examination: of positions.
        encoder_id: of the index.
        detector_id: of what saw the objects of the index; None where nothing did.
        log: its `name`, `sha256`, and how many of what it held: see `dqh.discovery.related.related_fit`.
        measured: how well queries were served whose lists the ranker had not seen; plain JSON values.
    """

    paths: tuple[str, ...]
    counts: LogCounts
    ranker: RankerName
    rankers: Rankers
    examination: Examination
    encoder_id: str
    detector_id: str | None
    log: Mapping[str, Any]
    measured: Mapping[str, Any] = field(default_factory=dict)

    def require(self, path: Path, manifest: Manifest) -> None:
        """Raise `MismatchError` where an index was made with another encoder, or has objects of another detector."""
        for what, own, other in (
            ("encoder", self.encoder_id, manifest.encoder_id),
            ("detector", self.detector_id, manifest.detector_id),
        ):
            if own != other:
                raise MismatchError(
                    f"related items were fitted to {self.log['name']} with {what} {_short(own)}, {path} has {what} "
                    f"{_short(other)}; fit anew: dqh related INDEX --log LOG --fit OUT"
                )

    def save(self, path: Path) -> None:
        """Write the folder, which is not there yet or is empty, whole or not at all; `read_related` reads it again.

        Raises:
            ConfigError: the folder holds something.
            OSError: it cannot be written.
        """
        contents = {COUNTS: _counts_bytes(self.paths, self.counts)}
        contents |= {name: ranker_bytes(getattr(self.rankers, name.partition(".")[0])) for name in _files(self.ranker)}
        files = {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in contents.items()
        }
        fields = {
            "encoder_id": self.encoder_id,
            "detector_id": self.detector_id,
            "ranker": self.ranker,
            "examination": self.examination._asdict(),
            "prior": self.counts.prior._asdict(),
            "pair_spread": self.counts.pair_prior.spread,
            "log": dict(self.log),
            "measured": dict(self.measured),
            "files": files,
        }
        contents[RELATED] = fitted_bytes(KIND, fields)
        publish_new(path, contents, kind=KIND, check=read_related, error=ArtifactError)


def require_place(out: Path) -> None:
    """Raise `ConfigError` where `RelatedModel.save` would refuse a folder, before anything is fitted."""
    require_new(out, last=RELATED, kind=KIND)


def read_related(path: str | os.PathLike[str]) -> RelatedModel:
    """What a folder holds, every hash checked.

    Raises:
        NoArtifactError: nothing is there.
        ArtifactError: a file is missing, damaged, of another format, or does not make sense.
        DqhError: its ranker needs lightgbm, which is not installed.
    """
    folder = Path(path)
    make = "fit them to a log: dqh related INDEX --log LOG --fit DIR"
    fields = read_fitted(folder / RELATED, KIND, _CHECKS, together=_right_files, make=make)
    contents = {name: _content(folder / name, entry) for name, entry in fields["files"].items()}
    ranker: RankerName = fields["ranker"]
    file = COUNTS
    try:
        paths, counts = _counts_of(contents[COUNTS], Prior(**fields["prior"]), fields["pair_spread"])
        rankers = []
        for file, columns in zip(_files(ranker), (FEATURES, VISUAL), strict=True):
            rankers.append(read_ranker(ranker, contents[file], columns))
    except ValueError as error:
        raise ArtifactError(f"{folder / file} makes no sense: {error}; fit it again") from error
    examination = Examination(**fields["examination"])
    ids = fields["encoder_id"], fields["detector_id"]
    return RelatedModel(paths, counts, ranker, Rankers(*rankers), examination, *ids, fields["log"], fields["measured"])


def _short(name: str | None) -> str:
    return "none" if name is None else f"{name[:12]}…"


def _files(ranker: RankerName) -> tuple[str, str]:
    """Of both rankers."""
    return f"all{SUFFIX[ranker]}", f"looks{SUFFIX[ranker]}"


def _right_files(fields: Any, field: str) -> list[str]:
    wanted = {COUNTS, *_files(fields["ranker"])}
    return [] if set(fields["files"]) == wanted else [f"files must be {', '.join(sorted(wanted))}"]


def _content(file: Path, entry: Mapping[str, Any]) -> bytes:
    try:
        content = read_regular(file, most=entry["size"])
    except OSError as error:
        raise ArtifactError(f"{file} cannot be read: {error.strerror}; copy the folder again") from error
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ArtifactError(f"{file} is not the file that {RELATED} names; copy the folder again")
    return content


def _counts_bytes(paths: tuple[str, ...], counts: LogCounts) -> bytes:
    encoded = [to_bytes(path) for path in paths]
    arrays: dict[str, NDArray[Any]] = {
        "paths": np.frombuffer(b"".join(encoded), np.uint8),
        "path_ends": np.cumsum([len(path) for path in encoded], dtype=np.int64),
    }
    arrays |= {name: getattr(counts, name) for name in _OF_ITEMS}
    for name in _OF_PAIRS:
        rows: ItemRows = getattr(counts, name)
        arrays |= {f"{name}_{part}": values for part, values in rows._asdict().items()}
    return write_arrays(arrays)


def _counts_of(content: bytes, prior: Prior, pair_spread: float) -> tuple[tuple[str, ...], LogCounts]:
    """Paths and counts; `ValueError` where the arrays do not fit together."""
    arrays = read_arrays(content)
    wanted = {"paths", "path_ends", *_OF_ITEMS}
    wanted |= {f"{name}_{part}" for name in _OF_PAIRS for part in ItemRows._fields}
    if set(arrays) != wanted:
        raise ValueError(f"it holds {', '.join(sorted(set(arrays) ^ wanted))} too much or too little")
    ends = _rising("path_ends", arrays["path_ends"], arrays["paths"].size)
    if (
        arrays["paths"].dtype != np.uint8
        or arrays["paths"].ndim != 1
        or (len(ends) and ends[-1] != len(arrays["paths"]))
    ):
        raise ValueError("paths must be uint8 up to the last of path_ends")
    items = len(ends)
    letters = arrays["paths"].tobytes()
    paths = tuple(
        to_text(letters[start:end]) for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)
    )
    if len(set(paths)) < items or "" in paths:
        raise ValueError("a path is there twice, or empty")
    of_items: list[Any] = [_numbers(name, arrays[name], (items,)) for name in _OF_ITEMS]
    of_pairs: list[Any] = [_rows(name, arrays, items, values) for name, values in _OF_PAIRS.items()]
    priors: list[Any] = [prior, Prior(prior.mean, pair_spread)]
    return paths, LogCounts(*of_items, *of_pairs, *priors)


def _rising(name: str, array: NDArray[Any], most: int) -> NDArray[np.int64]:
    """(n,) int64, none below the one before, 0 … `most`."""
    if array.dtype != np.int64 or array.ndim != 1:
        raise ValueError(f"{name} must be int64 of one dimension, got {array.dtype} of shape {array.shape}")
    if len(array) and (array[0] < 0 or array[-1] > most or (np.diff(array) < 0).any()):
        raise ValueError(f"{name} must rise from 0 to {most} at most")
    return array


def _numbers(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Finite float64 of a shape, none below 0."""
    if array.dtype != np.float64 or array.shape != shape or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(
            f"{name} must be finite float64 of shape {shape}, at least 0, got {array.dtype} of shape {array.shape}"
        )
    return array


def _rows(name: str, arrays: Mapping[str, NDArray[Any]], items: int, width: int) -> ItemRows:
    columns = arrays[f"{name}_columns"]
    starts = _rising(f"{name}_starts", arrays[f"{name}_starts"], len(columns))
    if len(starts) != items + 1 or starts[0] != 0 or starts[-1] != len(columns):
        raise ValueError(f"{name}_starts must be {items + 1} from 0 to the number of columns")
    if columns.dtype != np.int64 or columns.ndim != 1 or ((columns < 0) | (columns >= items)).any():
        raise ValueError(f"{name}_columns must be int64 from 0 to {items - 1}")
    is_first = np.zeros(len(columns) + 1, np.bool_)
    is_first[starts] = True
    if (np.diff(columns, prepend=-1)[~is_first[:-1]] <= 0).any():
        raise ValueError(f"{name}_columns must rise within an item")
    return ItemRows(starts, columns, _numbers(f"{name}_values", arrays[f"{name}_values"], (len(columns), width)))
