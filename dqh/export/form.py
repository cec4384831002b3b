"""Forms for other systems: what one is, and how some of them, of an artifact or of an index, come into a folder.

Each form is one file of `dqh.export.artifact` or `dqh.export.index`, whose `forms` list them. They lie in an artifact
itself, or in a folder of their own:

    export.json                       what they were made of, and every file with form, size and SHA-256; its hash last
    quantizer.safetensors             what makes codes of embeddings
    golden/                           of an artifact: inputs to check the forms with
    encoder.onnx, faiss/, lance/ …    the forms

How forms take the place of earlier ones, and what is never touched, is in `dqh.artifact.publishing`.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from dqh.artifact.manifest import EXPORT_MANIFEST, is_artifact, listing_of, read_manifest
from dqh.artifact.places import INDEX_KIND
from dqh.artifact.publishing import Folder, opened, require_empty
from dqh.errors import ArtifactError, ConfigError, DqhError
from dqh.files import no_folder
from dqh.index.store.place import versions_in

Content = TypeVar("Content")


def _nothing(_: Any) -> None:
    """What a form asks for that can be made of everything, with what is installed anyway."""


@dataclass(frozen=True)
class Form(Generic[Content]):
    """A form of what an artifact, or an index, holds.

    Attributes:
        write: makes its files below a folder, at the places that `dqh.artifact.places` has for it.
        require: raises `DqhError` where it cannot be made, before anything is.
    """

    write: Callable[[Content, Path], None]
    require: Callable[[Content], None] = _nothing


class Source(Protocol[Content]):
    """What is exported, and where to.

    Attributes:
        content: that forms are made of.
        encoder_id: of the encoder.
        kind: of the manifest, `index`; None for an artifact.
        folder: that the forms go into.
        name: of its manifest.
        error: raised where the folder is damaged, of another encoder, or in use.
    """

    content: Content
    encoder_id: str
    kind: str | None
    folder: Path
    name: str
    error: type[DqhError]

    def fields(self, present: Mapping[str, Any] | None) -> dict[str, Any]:
        """Of the manifest, but for `files`, from those that are there."""
        ...

    def beside(self) -> dict[str, bytes]:
        """Files of a new folder that belong to no form: name → content."""
        ...

    def require_version(self, folder: Folder, forms: Collection[str]) -> None:
        """Raise where forms that stay in a folder beside new ones are of something older."""
        ...


class Exported(NamedTuple):
    """What an export wrote, file name → bytes; version and rows are of an index, None of an artifact."""

    folder: Path
    encoder_id: str
    version: int | None
    rows: int | None
    sizes: Mapping[str, int]


def require_known(asked: Collection[str], forms: Collection[str], *, of: str) -> None:
    """Raise `ConfigError` unless some forms are asked for, and none that is not there."""
    unknown = [name for name in asked if name not in forms]
    if unknown or not asked:
        raise ConfigError(f"to: forms of {of} are {', '.join(forms)}, got {', '.join(unknown) or 'none'}")


def publish(
    source: Source[Content], forms: Mapping[str, Form[Content]], asked: Collection[str]
) -> tuple[dict[str, Any], dict[str, int]]:
    """Put forms into their folder, in the place of earlier ones of the same names; where it fails, it is as it was.

    Returns:
        The fields of the manifest, and file name → bytes of what was written, in the order of the forms.

    Raises:
        ConfigError: the folder is a file or holds something else, also in the place of a form.
        DqhError: `source.error`, or a form cannot be made.
        OSError: it cannot be written.
    """
    chosen = {name: form for name, form in forms.items() if name in asked}
    for form in chosen.values():
        form.require(source.content)
    if source.name == EXPORT_MANIFEST:
        _require_place(source)
    makers = {name: partial(form.write, source.content) for name, form in chosen.items()}
    with opened(source.folder, source.name, busy=source.error) as folder:
        if folder.manifest is not None and source.name == EXPORT_MANIFEST:
            _require_same(source, folder.manifest)
            source.require_version(folder, chosen)
        fields = source.fields(folder.manifest)
        listed = folder.publish(fields, own=source.beside() if folder.manifest is None else {}, forms=makers)
    sizes = {file: entry["size"] for name in chosen for file, entry in listed.items() if entry.get("form") == name}
    return fields, sizes


def _require_place(source: Source[Any]) -> None:
    """Raise unless a folder is not there, empty, or holds forms that these may join; before anything is made."""
    out = source.folder
    if is_artifact(out):
        raise ConfigError(f"{out} is an artifact; choose another folder (without --out, its own forms go into it)")
    if versions_in(out):
        raise ConfigError(f"{out} is an index; choose another folder")
    if os.path.lexists(out / EXPORT_MANIFEST):
        try:
            manifest = read_manifest(out, EXPORT_MANIFEST)
            listing_of(out, manifest, EXPORT_MANIFEST)
        except ArtifactError as error:
            raise source.error(f"{error}: remove {out}, or choose another folder") from error
        _require_same(source, manifest)
    elif problem := no_folder(out):
        raise ConfigError(problem)
    elif out.is_dir():
        require_empty(out)


def _require_same(source: Source[Any], manifest: Mapping[str, Any]) -> None:
    """Raise unless forms in a folder are of the same kind of thing, and of the same encoder."""
    kind, got = manifest.get("kind"), manifest.get("encoder_id")
    if (kind == INDEX_KIND) != (source.kind == INDEX_KIND):
        what = "an index" if kind == INDEX_KIND else "an artifact"
        raise ConfigError(f"{source.folder} holds forms of {what}; choose another folder")
    if got != source.encoder_id:
        raise source.error(
            f"{source.folder} holds forms of encoder {got}, not of {source.encoder_id}; choose another folder"
        )
