"""An index in forms that other systems load: which forms there are, and what each is good for.

faiss      filled indexes for `faiss.read_index`
parquet    one table for pyarrow, polars, DuckDB, Spark …
lance      a dataset for LanceDB
pgvector   schema, rows and queries for PostgreSQL with pgvector
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dqh.errors import ConfigError
from dqh.export.index.collection import Collection
from dqh.export.index.faiss_form import write_faiss
from dqh.export.index.folder import publish
from dqh.export.index.lance_form import require_lance, write_lance
from dqh.export.index.parquet_form import write_parquet
from dqh.export.index.pgvector_form import require_pgvector, write_pgvector
from dqh.index.store.manifest import QUANTIZER

logger = logging.getLogger(__name__)

Writer = Callable[[Collection, Path], None]

FORMS: Mapping[str, Writer] = {
    "faiss": write_faiss,
    "parquet": write_parquet,
    "lance": write_lance,
    "pgvector": write_pgvector,
}
"""Name of a form → what writes it into an empty folder."""

_REQUIRES: Mapping[str, Callable[[Collection], None]] = {"lance": require_lance, "pgvector": require_pgvector}


class HandedOver(NamedTuple):
    """What was written.

    Attributes:
        folder: that it lies in.
        encoder_id: of the encoder that made the index.
        version: of the index.
        rows: in every form.
        sizes: file name → bytes.
    """

    folder: Path
    encoder_id: str
    version: int
    rows: int
    sizes: Mapping[str, int]


def hand_over(path: str | Path, forms: Sequence[str], *, out: str | Path) -> HandedOver:
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
    unknown = [each for each in forms if each not in FORMS]
    if unknown or not forms:
        raise ConfigError(f"to: forms of an index are {', '.join(FORMS)}, got {', '.join(unknown) or 'none'}")
    path, out = Path(path), Path(out)
    if path.resolve() in (out.resolve(), *out.resolve().parents):
        raise ConfigError(f"{out} lies in the index {path}; choose another folder")
    collection = Collection(path)
    wanted = [each for each in FORMS if each in forms]
    for each in wanted:
        _REQUIRES.get(each, _nothing)(collection)
    if labels := collection.escaped_labels:
        logger.warning(
            "%d labels are no text everywhere and are written with escapes, the first: %s", len(labels), labels[0]
        )
    fields = collection.fields()
    makers = {each: partial(FORMS[each], collection) for each in wanted}
    sizes = publish(out, makers, fields=fields, beside={QUANTIZER: collection.quantizer_file})
    return HandedOver(out, fields["encoder_id"], fields["version"], fields["rows"], sizes)


def _nothing(collection: Collection) -> None:
    """Forms that hold every collection, with what is installed anyway."""
