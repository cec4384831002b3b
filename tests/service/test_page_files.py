"""The files of the page: what a browser gets, how long it may keep it, and that they hold together."""

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path, PurePosixPath

import pytest
from starlette.testclient import TestClient

from dqh.service.page_files import HOME, START, TYPES, addresses, page_files
from tests.service.conftest import Serve

OWN = sorted(path for path in page_files() if not path.startswith("vendor/"))
MODULES = [path for path in page_files() if path.endswith(".js")]


@pytest.mark.slow
def test_a_browser_gets_each_file_with_its_type(client: TestClient) -> None:
    for address, path in addresses().items():
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(TYPES[PurePosixPath(path).suffix])
        assert "script-src 'self';" in answer.headers["content-security-policy"]


@pytest.mark.slow
def test_files_are_kept_for_ever_and_the_start_is_asked_for_anew(client: TestClient) -> None:
    for address in addresses():
        answer = client.get(address)
        assert ("immutable" in answer.headers["cache-control"]) == (address != HOME)
        again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_the_start_names_files_that_are_served(client: TestClient) -> None:
    named = re.findall(r'(?:src|href)="([^"#]+)"', client.get(HOME).text)
    assert len(named) >= 5
    for address in named:
        assert client.get(address).status_code == 200


def test_an_address_of_other_content_is_none(client: TestClient) -> None:
    assert client.get("/page/0000000000000000/main.js").status_code == 404
    assert client.get("/page/main.js").status_code == 404


@pytest.mark.slow
def test_the_page_needs_no_token(indexed: Path, serve: Serve) -> None:
    client = serve(indexed, token="a token of the tests")
    assert {client.get(address).status_code for address in addresses()} == {200}
    assert client.get("/v1/index").status_code == 401


@pytest.mark.parametrize("path", MODULES)
def test_modules_import_files_that_are_there(path: str) -> None:
    folder = PurePosixPath(path).parent
    for named in re.findall(r'(?:from|import)\s*"(\.[^"]+)"', page_files()[path].decode()):
        parts: list[str] = []
        for part in (folder / named).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        assert "/".join(parts) in page_files()


@pytest.mark.parametrize("path", OWN)
def test_nothing_is_written_as_markup_or_inline(path: str) -> None:
    """What lit-html puts into its templates is text; what goes around them, or around the policy, is not used."""
    text = page_files()[path].decode()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|unsafe|\beval\b|new Function", text)
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text.replace(".style=", ""))
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_what_is_of_others_has_its_licence_and_version() -> None:
    others = [folder for folder in (files("dqh.service") / "page" / "vendor").iterdir() if folder.is_dir()]
    assert len(others) == 2
    for folder in others:
        assert re.search(r"-\d+\.\d+\.\d+$", folder.name)
        assert "Copyright" in (folder / "LICENSE").read_text()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node, which checks the syntax of modules, is not here")
@pytest.mark.parametrize("path", [path for path in OWN if path.endswith(".js")])
def test_modules_parse(path: str) -> None:
    subprocess.run(["node", "--check", "--input-type=module"], input=page_files()[path], check=True)


def test_there_is_a_start() -> None:
    assert START in page_files()
    assert len(MODULES) > 15
