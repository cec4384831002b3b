"""The page before a router over shards."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from dqh.index.store import open_index
from dqh.index.store.splitting import split
from tests.service.browser.conftest import WAIT, Open, Serve, choose, see_dots, see_results

pytestmark = pytest.mark.slow


def test_a_shard_that_is_missing_is_named_at_the_top(
    collection: Path, seer: Path, serve: Serve, visit: Open, upload: Path, tmp_path: Path
) -> None:
    """From the answer on that it has no part in, until it is back."""
    folders = split(collection, tmp_path / "shards", shards=2)
    first, second = (serve(folder, "--detector", str(seer)) for folder in folders)
    page = visit(
        serve(None, "--shard", first.url, "--shard", second.url).url,
        told=("status of 503",),  # of pictures that were still to come
    )
    expect(page.locator(".size")).to_have_text("24 photos, 72 objects", timeout=WAIT)
    choose(page, upload)
    see_dots(page)
    assert see_results(page).count() == 24
    told = page.locator(".down")
    expect(told).to_have_text("")
    second.process.kill()
    second.process.wait()
    choose(page, upload)
    expect(told).to_have_text(
        f"Photos of 1 shard are missing in the answers ({second.url}: nobody listens there).", timeout=WAIT
    )
    expect(told).to_have_role("status")
    assert see_results(page).count() == int((~open_index(folders[0]).version.objects).sum())
    serve(folders[1], "--detector", str(seer), "--port", str(second.port))
    page.get_by_role("button", name="Objects").click()
    expect(told).to_have_text("", timeout=WAIT)
