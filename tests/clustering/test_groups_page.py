"""A page of pictures in groups."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dqh.clustering import groups_page as module
from dqh.clustering.groups_page import PictureGroup, groups_page
from tests.data.conftest import folder

__all__ = ["folder"]


def test_pictures_and_what_cannot_be_read(folder: Callable[[int], Path]) -> None:
    """Names are text, also where they hold markup; a file that is none says why."""
    photos = folder(2)
    paths = [str(photos / "a/0.png"), str(photos / "b/1.png"), str(photos / "c.png")]
    group = PictureGroup("1: <3 images", [(path, f"<b>{path}") for path in paths])
    page = groups_page("Groups", "about.", [group])
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert [Image.open(io.BytesIO(base64.b64decode(source))).size for source in sources] == [(24, 20), (24, 20)]
    assert page.count("no picture: ") == 1
    assert "/<wbr>1.png</figcaption>" in page  # a path may break where a folder ends
    assert "1: &lt;3 images" in page
    assert "<b>" not in page
    assert "not." not in page


def test_what_a_page_does_not_show_is_counted(folder: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUPS", 2)
    monkeypatch.setattr(module, "PICTURES", 1)
    picture = (str(folder(1) / "a/0.png"), "caption")
    groups = [PictureGroup(f"group {number}", [picture] * 3) for number in range(5)]
    page = groups_page("Groups", "about.", groups)
    assert "about. The first 2 groups are shown, 3 are not." in page
    assert page.count("<figure>") == 2
    assert page.count("and 2 more") == 2
