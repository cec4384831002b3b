"""An index in forms that other systems load: which forms there are, and what each is good for.

faiss      filled indexes for `faiss.read_index`
parquet    one table for pyarrow, polars, DuckDB, Spark …
lance      a dataset for LanceDB
pgvector   schema, rows and queries for PostgreSQL with pgvector

Each is a folder of its name. All forms in one folder are of one version of the index.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from dqh.artifact.manifest import EXPORT_MANIFEST, FORMAT_VERSION
from dqh.artifact.places import INDEX_KIND
from dqh.artifact.publishing import Folder
from dqh.errors import ConfigError, DqhError, StoreError
from dqh.export.form import Exported, Form, publish, require_known
from dqh.export.index.content import IndexContent
from dqh.export.index.faiss_form import write_faiss
from dqh.export.index.lance_form import require_lance, write_lance
from dqh.export.index.parquet_form import write_parquet
from dqh.export.index.pgvector_form import require_pgvector, write_pgvector
from dqh.index.store.manifest import QUANTIZER

logger = logging.getLogger(__name__)


def _below(name: str, write: Callable[[IndexContent, Path], None]) -> Callable[[IndexContent, Path], None]:
    """The writing of files into a folder of a name."""

    def write_below(rows: IndexContent, root: Path) -> None:
        (root / name).mkdir()
        write(rows, root / name)

    return write_below


FORMS: Mapping[str, Form[IndexContent]] = {
    "faiss": Form(_below("faiss", write_faiss)),
    "parquet": Form(_below("parquet", write_parquet)),
    "lance": Form(_below("lance", write_lance), require_lance),
    "pgvector": Form(_below("pgvector", write_pgvector), require_pgvector),
}


class IndexSource:
    """The newest version of an index whose forms are made, see `dqh.export.form.Source`.

    The forms go into `out`.
    """

    kind: str | None = INDEX_KIND
    name = EXPORT_MANIFEST
    error: type[DqhError] = StoreError

    def __init__(self, content: IndexContent, *, out: Path) -> None:
        self.content = content
        self.encoder_id = content.version.manifest.encoder_id
        self.folder = out

    def fields(self, present: Mapping[str, Any] | None) -> dict[str, Any]:
        """Those of this version, whatever is there."""
        return {**self.content.fields(), "kind": INDEX_KIND, "format_version": FORMAT_VERSION}

    def beside(self) -> dict[str, bytes]:
        """The quantizer, the same for all versions."""
        return {QUANTIZER: self.content.quantizer_file}

    def require_version(self, folder: Folder, forms: Collection[str]) -> None:
        """Raise `StoreError` where forms that stay are of another version."""
        fields, manifest = self.content.fields(), folder.manifest or {}
        others = sorted({str(entry["form"]) for entry in folder.files.values() if "form" in entry} - set(forms))
        if others and manifest.get("index_sha256") != fields["index_sha256"]:
            raise StoreError(
                f"{self.folder} holds {', '.join(others)} of version {manifest.get('version')} of an index, this is "
                f"version {fields['version']}; ask for them too: --to {','.join([*forms, *others])}, or choose another "
                "folder"
            )


def hand_over(path: str | Path, forms: Collection[str], *, out: str | Path) -> Exported:
    """Write the live rows of the newest version of an index in forms for other systems.

    Everything is read as it is in the index and checked on the way. A form that is there already is replaced when the
    new one is whole; where something fails, `out` is as it was.

    Args:
        path: folder of the index.
        forms: some of `FORMS`.
        out: a folder for them, new, empty, or one that this has written before for the same version; for another one if
            all forms in it are replaced.

    Raises:
        ConfigError: no form is asked for, or an unknown one, or `out` is a file or holds something else.
        DqhError: a form needs a package that is not installed, or cannot hold such codes or features.
        NoStoreError: there is no index.
        StoreError: the index is damaged, or `out` is, or holds another index.
        OSError: `out` cannot be written.
    """
    require_known(forms, FORMS, of="an index")
    path, out = Path(path), Path(out)
    if path.resolve() in (out.resolve(), *out.resolve().parents):
        raise ConfigError(f"{out} lies in the index {path}; choose another folder")
    rows = IndexContent(path)
    if labels := rows.escaped_labels:
        logger.warning(
            "%d labels are no text everywhere and are written with escapes, the first: %s", len(labels), labels[0]
        )
    fields, sizes = publish(IndexSource(rows, out=out), FORMS, forms)
    return Exported(out, fields["encoder_id"], fields["version"], fields["rows"], sizes)
