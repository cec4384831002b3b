"""What all rows of an index have in common, and whether codes from elsewhere belong to it."""

from pathlib import Path
from typing import Any, NamedTuple

from dqh.errors import MismatchError
from dqh.index.store.manifest import Manifest
from dqh.index.store.version import read_quantizer
from dqh.quantizers import Quantizer


class Header(NamedTuple):
    """What all rows of an index have in common.

    Attributes:
        encoder_id: of the artifact.
        quantizer: of the artifact.
        feature_size: F.
        precision: of the encoder, such as `float32` or `bfloat16`.
        root: folder that paths are relative to.
        detector_id: of what sees the objects of its images, see `Row.object`; None where nothing does.
    """

    encoder_id: str
    quantizer: Quantizer
    feature_size: int
    precision: str = "float32"
    root: str = ""
    detector_id: str | None = None

    @classmethod
    def of(cls, path: Path, manifest: Manifest) -> "Header":
        """The header of an index; errors as of `read_quantizer`."""
        quantizer = read_quantizer(path, manifest)
        return cls(
            manifest.encoder_id,
            quantizer,
            manifest.feature_size,
            manifest.precision,
            manifest.root,
            manifest.detector_id,
        )

    def manifest(self, **fields: Any) -> Manifest:
        """The manifest of an index with these properties, from the fields that the header does not give."""
        quantizer = self.quantizer
        return Manifest(
            encoder_id=self.encoder_id,
            precision=self.precision,
            code_kind=quantizer.kind,
            code_distance=quantizer.distance,
            bits=quantizer.bits,
            feature_size=self.feature_size,
            root=self.root,
            detector_id=self.detector_id,
            **fields,
        )


def require_encoder(path: Path, stored: object, given: object, *, by: str, what: str = "encoder") -> None:
    """Raise `MismatchError` where `by` has another encoder, or another property of one, than an index."""
    if stored != given:
        raise MismatchError(
            f"{path} was made with {what} {stored}, {by} with {given}; use the artifact that it was made with "
            "(dqh search: --artifact DIR), or make the index anew: dqh index ARTIFACT IMAGES --out NEW"
        )


def require_detector(path: Path, stored: str | None, given: str | None) -> None:
    """Raise `MismatchError` where objects of another detector than those of an index are to go into it, or be met."""
    if stored == given:
        return
    anew = "dqh index ARTIFACT IMAGES --objects DETECTOR --out NEW"
    if stored is None:
        raise MismatchError(
            f"{path} was made without objects, detector {given} is given; leave it off, or put the images and their "
            f"objects into a new index: {anew}"
        )
    other = "none is given" if given is None else f"detector {given} is given, which answers otherwise"
    raise MismatchError(
        f"{path} holds objects of detector {stored}, {other}; name the one that it was made with, or make the index "
        f"anew: {anew}"
    )


def require_same_encoder(path: Path, stored: Header, given: Header) -> None:
    """Raise `MismatchError` unless codes and features of `given` may go into an index of `stored`."""
    for name, what in (("encoder_id", "encoder"), ("precision", "precision"), ("feature_size", "feature size")):
        require_encoder(path, getattr(stored, name), getattr(given, name), by="these rows", what=what)
    one, other = (_words(header.quantizer) for header in (stored, given))
    if one != other:
        raise MismatchError(f"{path} has {one}, these are {other}; index again")
    require_detector(path, stored.detector_id, given.detector_id)


def _words(quantizer: Quantizer) -> str:
    return f"{quantizer.kind} codes of {quantizer.bits} bits searched by {quantizer.distance}"
