"""What was fitted to held-out photos for looks at others: words with confidence, a filter of dots, kept in a folder.

    look.json     canonical JSON, last field `self_sha256`: `format_version`, `kind`, `encoder_id` and `detector_id` of
                  the index and the detector that it was fitted with, `data`, what was measured, and SHA-256 and size of
                  the other files; written last
    words.json    the annotator, see `dqh.discovery.annotate`
    dots.json     the filter, see `dqh.discovery.dot_filter`; not there where no detector was

How one comes to be is in `dqh.discovery.fitting`.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dqh.artifact.new_folder import publish_new, require_new
from dqh.discovery.annotate import Annotator, read_annotator
from dqh.discovery.answer_rows import KINDS
from dqh.discovery.dot_filter import DotFilter, read_dot_filter
from dqh.discovery.fitted import fitted_bytes, read_fitted
from dqh.errors import ArtifactError, MismatchError
from dqh.files import read_regular
from dqh.schema import HASH, anything, integer, mapping, maybe, one_of, record, sequence, text

KIND = "fitted look"
"""What `look.json` calls the folder."""

LOOK, WORDS, DOTS = "look.json", "words.json", "dots.json"
_MOST_BYTES = 2**22

_FILE = record({"sha256": HASH, "size": integer(1, _MOST_BYTES)})
_CHECKS = {
    "encoder_id": text(),
    "detector_id": maybe(HASH),
    "data": record(
        {
            "name": text(),
            "boxes_sha256": HASH,
            "photos": integer(1),
            "boxes": integer(1),
            "left_out": integer(0),
            "skipped": integer(0),
        },
        optional=("skipped",),
    ),
    "measured": mapping(anything),
    "kinds": sequence(one_of(*KINDS), least=1, different=True),
    "files": record({WORDS: _FILE, DOTS: _FILE}, optional=(DOTS,)),
}


@dataclass(frozen=True)
class LookFit:
    """What was fitted.

    Attributes:
        annotator: of the words of an object.
        dot_filter: which dots are shown; None where no detector was.
        encoder_id: of the index that answered.
        detector_id: of the detector that saw the dots; None where none was.
        data: `name` of the photos, `boxes_sha256`, and how many `photos` and true `boxes` count; photos `left_out` are
            in the index, `skipped` ones cannot be used.
        measured: by whom had not seen the photo: see `dqh.discovery.fitting`; plain JSON values.
        kinds: of words of which the photos told what is right, of `dqh.discovery.answer_rows.KINDS`; others have no
            confidence.
    """

    annotator: Annotator
    dot_filter: DotFilter | None
    encoder_id: str
    detector_id: str | None
    data: Mapping[str, Any]
    measured: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = KINDS

    def require(self, *, encoder_id: str, detector_id: str | None) -> None:
        """Raise `MismatchError` where it was fitted with another encoder, or dots of another detector come to it."""
        if self.encoder_id != encoder_id:
            raise MismatchError(
                f"what was fitted to {self.data['name']} is of encoder {self.encoder_id[:12]}…, the index of "
                f"{encoder_id[:12]}…; fit anew: dqh look INDEX --fit BOXES --out DIR"
            )
        if self.dot_filter is not None and detector_id is not None:
            self.dot_filter.require(detector_id=detector_id, encoder_id=encoder_id)

    def save(self, path: Path) -> None:
        """Write the folder, which is not there yet or is empty, whole or not at all; `read_look_fit` reads it again.

        Raises:
            ConfigError: the folder holds something.
            OSError: it cannot be written.
        """
        contents = {WORDS: self.annotator.to_bytes()}
        if self.dot_filter is not None:
            contents[DOTS] = self.dot_filter.to_bytes()
        files = {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in contents.items()
        }
        fields = {
            "encoder_id": self.encoder_id,
            "detector_id": self.detector_id,
            "data": dict(self.data),
            "measured": dict(self.measured),
            "kinds": list(self.kinds),
            "files": files,
        }
        contents[LOOK] = fitted_bytes(KIND, fields)
        publish_new(path, contents, kind=KIND, check=read_look_fit, error=ArtifactError)


def require_place(out: Path) -> None:
    """Raise `ConfigError` where `LookFit.save` would refuse a folder, before anything is fitted."""
    require_new(out, last=LOOK, kind=KIND)


def read_look_fit(path: str | os.PathLike[str]) -> LookFit:
    """What a folder holds, every hash checked.

    Raises:
        NoArtifactError: nothing is there.
        ArtifactError: a file is missing, damaged, of another format, or does not make sense.
    """
    folder = Path(path)
    fields = read_fitted(folder / LOOK, KIND, _CHECKS, make="fit one: dqh look INDEX --fit BOXES --out DIR")
    contents = {}
    for name, entry in fields["files"].items():
        try:
            contents[name] = read_regular(folder / name, most=entry["size"])
        except OSError as error:
            raise ArtifactError(f"{folder / name} cannot be read: {error.strerror}; copy the folder again") from error
        if hashlib.sha256(contents[name]).hexdigest() != entry["sha256"]:
            raise ArtifactError(f"{folder / name} is not the file that {LOOK} names; copy the folder again")
    return LookFit(
        read_annotator(folder / WORDS, content=contents[WORDS]),
        read_dot_filter(folder / DOTS, content=contents[DOTS]) if DOTS in contents else None,
        fields["encoder_id"],
        fields["detector_id"],
        fields["data"],
        fields["measured"],
        tuple(fields["kinds"]),
    )
