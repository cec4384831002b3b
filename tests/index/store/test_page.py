"""What docs/index_on_disk.md shows works."""

import re
from typing import Any

import pytest

from tests.conftest import ROOT


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 100 images, those that begin with 7 are 7.jpg and 70.jpg … 79.jpg."""
    page = (ROOT / "docs" / "index_on_disk.md").read_text()
    names: dict[str, Any] = {}
    exec("".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)), names)
    assert all(hit.labels == ("dress",) for hits in names["found"].hits for hit in hits)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("1.jpg hamming the 50 nearest by code")
    assert second == "89 ()"
