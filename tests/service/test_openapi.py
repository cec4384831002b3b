import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from dqh.service.openapi import description, html, parameters
from dqh.service.page_files import address_of
from dqh.service.routes import ROUTES
from tests.conftest import ROOT


def references(value: Any) -> Iterator[str]:
    """What is referred to, at any depth."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for own in value.values():
            yield from references(own)
    elif isinstance(value, list | tuple):
        for own in value:
            yield from references(own)


def test_everything_that_is_referred_to_is_there() -> None:
    schemas = description(ROUTES)["components"]["schemas"]
    named = set(references(description(ROUTES)))
    assert len(named) > 15
    assert {name.removeprefix("#/components/schemas/") for name in named} <= schemas.keys()


def test_each_route_has_an_operation_of_its_own() -> None:
    operations = [own for path in description(ROUTES)["paths"].values() for own in path.values()]
    assert len(operations) == len(ROUTES)
    assert len({own["operationId"] for own in operations}) == len(ROUTES)
    for own in operations:
        assert own["summary"]
        assert "default" in own["responses"]


def test_parameters_are_told_with_their_limits() -> None:
    from dqh.service.fields import SearchAsked

    own = parameters(SearchAsked)
    assert own["k"] == {"type": "integer", "description": "Answers.", "minimum": 1, "maximum": 1000, "default": 20}
    assert own["rank"]["enum"] == ["codes", "fine"]
    assert "default" not in own["rank"]
    (search,) = [own for own in description(ROUTES)["paths"]["/v1/search"].items() if own[0] == "post"]
    assert "id" not in {parameter["name"] for parameter in search[1]["parameters"]}


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', page.text)) == {
        "/docs.css",
        "/openapi.json",
        "/",
        address_of("icon.svg"),
    }
    assert client.get("/docs.css").headers["content-type"].startswith("text/css")
    assert client.get("/openapi.json").json()["openapi"] == "3.1.0"
    assert "`" not in page.text
    assert page.text.index("/v1/search") < page.text.index("/v2/models")
    assert "'http://127.0.0.1:8000/v1/search?id=17'" in page.text.replace("&#39;", "'")
    for target in re.findall(r'href="#([^"]+)"', page.text):
        assert f'id="{target}"' in page.text
    for route in ROUTES:
        assert f"<code>{route.path}</code>" in html(ROUTES)


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_the_guide_names_every_route(path: str) -> None:
    assert f"`{path}" in (ROOT / "docs" / "service.md").read_text().replace("GET ", "").replace("POST ", "")
