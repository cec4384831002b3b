"""The page before a router over shards."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dqh.index.store import open_index
from dqh.index.store.splitting import split
from tests.service.browser.conftest import WAIT, Open, choose, see_dots, see_results
from tests.service.running import running

pytestmark = pytest.mark.slow


def test_a_shard_that_is_missing_is_named_at_the_top(
    collection: Path, seer: Path, visit: Open, upload: Path, tmp_path: Path
) -> None:
    """From the answer on that it has no part in, until it is back."""
    folders = split(collection, tmp_path / "shards", shards=2)
    how = ("--device", "cpu", "--detector", str(seer))
    with ExitStack() as stack, running(folders[0], *how, messages=tmp_path / "0") as first:
        gone = ExitStack()
        stack.callback(gone.close)
        second = gone.enter_context(running(folders[1], *how, messages=tmp_path / "1"))
        shards = ("--shard", first.url, "--shard", second.url)
        router = stack.enter_context(running(None, *shards, messages=tmp_path / "router"))
        page = visit(router.url, told=("status of 503",))  # of pictures that were still to come
        expect(page.locator(".size")).to_have_text("24 photos, 72 objects", timeout=WAIT)
        choose(page, upload)
        see_dots(page)
        assert see_results(page).count() == 24
        told = page.locator(".down")
        expect(told).to_have_text("")
        gone.close()
        choose(page, upload)
        expect(told).to_have_text(
            f"Photos of 1 shard are missing in the answers ({second.url}: nobody listens there).", timeout=WAIT
        )
        expect(told).to_have_role("status")
        assert see_results(page).count() == int((~open_index(folders[0]).version.objects).sum())
        stack.enter_context(running(folders[1], *how, "--port", str(second.port), messages=tmp_path / "again"))
        page.get_by_role("button", name="Objects").click()
        expect(told).to_have_text("", timeout=WAIT)
