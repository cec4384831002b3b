"""Where somebody begins: photos from all over the index, those of a label, and what is told of the index."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dqh.index.store import remove
from tests.service.browser.conftest import WAIT, Open, Serve

pytestmark = pytest.mark.slow


def test_photos_are_there_whatever_their_ids(plain: Path, serve: Serve, visit: Open, tmp_path: Path) -> None:
    """Of 24 photos the first half is removed, so that no id lies where those of twelve photos would."""
    index = Path(shutil.copytree(plain, tmp_path / "index"))
    remove(index, where="id < 12")
    page = visit(serve(index).url)
    expect(page.locator(".tile")).to_have_count(12, timeout=WAIT)
    page.get_by_role("button", name="Others").click()
    expect(page.locator(".tile")).to_have_count(12, timeout=WAIT)
