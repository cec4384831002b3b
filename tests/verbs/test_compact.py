"""`dqh compact`."""

import json
from collections.abc import Callable
from pathlib import Path


def test_compact_says_what_went(index: Path, dqh: Callable) -> None:
    assert dqh("remove", index, "a/0.png", "--where", "label = 'b'")[0] == 0
    status, out, _ = dqh("compact", index)
    assert status == 0
    assert out.startswith("version 2 → 3: 1 → 1 segments, 3 → 0 deleted rows, ")
    status, out, _ = dqh("compact", index, "--json")
    assert (status, json.loads(out)["after"]["rows"]) == (0, 2)
