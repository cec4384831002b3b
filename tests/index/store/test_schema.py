"""Beside test_manifest, which has the table of what is refused: every field has a type, and is needed."""

import dataclasses
from typing import Any

import pytest

from dqh.index.store.schema import require_fields
from dqh.index.store.tags import TagsEntry
from dqh.sealed import unseal
from tests.index.store.test_manifest import ENTRY, MANIFEST

FIELDS = unseal(dataclasses.replace(MANIFEST, tags=TagsEntry(1, 1, 1, ENTRY)).to_bytes())
_NOT_READ = ("format_version", "written_by")


@pytest.mark.parametrize("name", sorted(set(FIELDS) - set(_NOT_READ)))
def test_every_field_is_needed_and_has_a_type(name: str) -> None:
    require_fields(FIELDS)
    with pytest.raises(ValueError, match=f"it gives no {name} in"):
        require_fields({field: value for field, value in FIELDS.items() if field != name})
    for value in (None, True, -1, 1.0, float("nan"), "", "a\0", [], [None], {}, {"sha256": 1, "size": 1}):
        if (name, value) not in (
            ("deleted", None),
            ("detector_id", None),
            ("root", ""),
            ("segments", []),
            ("tags", None),
        ):
            with pytest.raises(ValueError, match=r"it (gives|names|says|has)"):
                require_fields(FIELDS | {name: value})


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "5", 2**41])
def test_rows_and_sizes_are_whole_numbers(value: Any) -> None:
    (segment,) = FIELDS["segments"]
    with pytest.raises(ValueError, match="rows of segment 000000001-000000 must be a whole number"):
        require_fields(FIELDS | {"segments": [segment | {"rows": value}]})
    size = None if value == 2**41 else value
    with pytest.raises(ValueError, match="size of quantizer must be a whole number"):
        require_fields(FIELDS | {"quantizer": FIELDS["quantizer"] | {"size": size}})
