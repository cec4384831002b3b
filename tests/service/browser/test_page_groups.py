"""Clusters to look through, and what people save beside an answer, where the service has them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from dqh.discovery.related import fit_related
from dqh.discovery.related.action_log import read_action_log
from dqh.index.store import open_index
from tests.service.browser.conftest import WAIT, Open, Serve, see_results
from tests.service.running import Running

pytestmark = pytest.mark.slow


def fit(index: Path, log: Path, out: Path) -> Path:
    """Related items by forty users, who are shown six photos beside one of three, and save those of its folder."""
    version = open_index(index).version
    names = [row.path for row in version.rows(np.flatnonzero(~version.objects))]
    rng, lines = np.random.default_rng(0), ["user,item,action,time,query,position"]
    for user in range(40):
        query = names[8 * (user % 3)]
        shown = rng.permutation([name for name in names if name != query])[:6].tolist()
        saved = [name for name in shown if name.split("/")[0] == query.split("/")[0]]
        for place, name in enumerate(shown):
            lines.append(f"{user},{name},show,{1_700_000_000 + 100 * user},{query},{place + 1}")
        lines += [f"{user},{name},save,{1_700_000_050 + 100 * user},{query}," for name in saved]
    log.write_text("\n".join(lines) + "\n")
    fit_related(version, read_action_log(log), log, measure=False).save(out)
    return out


def test_clusters_and_related_items(
    collection: Path, photos: Path, serve: Serve, visit: Open, dqh: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    how = ("-k", 3, "--method", "kmeans", "--out", tmp_path / "clusters")
    assert dqh("cluster", collection, *how)[0] == 0
    related = fit(collection, photos / "log.csv", tmp_path / "related")
    service = serve(collection, "--clusters", str(tmp_path / "clusters"), "--related", str(related))
    page = visit(service.url)
    page.get_by_role("button", name="Clusters").click()
    expect(page).to_have_url(re.compile(r"\?clusters$"))
    cards = page.locator(".clusters button")
    expect(cards).to_have_count(3, timeout=WAIT)
    expect(page.get_by_role("heading", name="3 clusters, the largest first")).to_be_visible()
    size = int(re.search(r"(\d+) photos?", cards.first.inner_text())[1])
    cards.first.click()
    expect(page.locator(".tile")).to_have_count(size, timeout=WAIT)
    about, first = (page.locator(name).first.bounding_box() for name in ("main .hint", ".tile"))
    assert about is not None
    assert first is not None
    assert first["y"] - about["y"] - about["height"] >= 8  # pixels between what is said and the photos
    again = visit(page.url)
    expect(again.locator(".tile")).to_have_count(size, timeout=WAIT)
    page.go_back()
    expect(cards).to_have_count(3, timeout=WAIT)
    page.goto(f"{service.url}/?id=1")
    see_results(page)
    page.locator(".tile .open").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Related by")).to_be_visible(timeout=WAIT)
    first = dialog.locator(".related button").first
    expect(first.locator("img")).to_have_js_property("complete", True)
    file = dialog.locator(".file").inner_text()
    first.click()
    expect(dialog.locator(".file")).not_to_have_text(file)


def test_a_service_without_them(service: Running, visit: Open) -> None:
    page = visit(service.url)
    expect(page.locator(".tile").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("button", name="Clusters")).to_have_count(0)
    page.locator(".tile .open").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator(".related")).to_have_count(0)
