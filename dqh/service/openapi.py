"""The description of the routes: OpenAPI 3.1 as JSON, and the same as a page that needs no script and no network."""

import json
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

import dqh
from dqh.pages.templates import fill
from dqh.service import fields
from dqh.service.page_files import address_of
from dqh.service.routes import Route

REF = "#/components/schemas/{name}"
_PROBLEM = {
    "description": "Refused, or failed; the status says how.",
    "content": {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}},
}


@cache
def description(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The whole of it, as OpenAPI has it; not to be changed."""
    structs: list[Any] = [fields.Problem]
    structs += [kind for route in routes for kind in (route.gives, route.body) if not isinstance(kind, str | None)]
    _, schemas = msgspec.json.schema_components(dict.fromkeys(structs), ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dqh",
            "version": dqh.__version__,
            "description": "Search an index of images. Boxes and dots are shares of the upright image, 0 … 1.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


@lru_cache(maxsize=8)
def html(routes: tuple[Route, ...], service: str = "http://127.0.0.1:8000") -> str:
    """The page, with examples that ask the address of the service."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for route in routes:
        groups.setdefault(route.group, []).append(_shown(route, service))
    schemas = description(routes)["components"]["schemas"]
    icon = address_of("icon.svg")
    return fill(
        "service", groups=groups, schemas=_fields(schemas), types=frozenset(schemas), icon=icon, version=dqh.__version__
    )


def css() -> bytes:
    """How the page looks."""
    return (files("dqh.pages") / "service.css").read_bytes()


def parameters(kind: type[Struct]) -> dict[str, dict[str, Any]]:
    """The schema of each parameter by its name."""
    _, schemas = msgspec.json.schema_components([kind], ref_template=REF)
    properties: dict[str, dict[str, Any]] = schemas[kind.__name__]["properties"]
    return {name: _plain(schema) for name, schema in properties.items()}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without the null that stands for a parameter that is not given."""
    others = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    plain = {**schema, **others[0]} if len(others) == 1 else dict(schema)
    plain.pop("anyOf", None)
    if plain.get("default", 0) is None:
        del plain["default"]
    return plain


def _operation(route: Route) -> dict[str, Any]:
    inside = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _places(route)]
    asked = [
        {"name": name, "in": "query", "required": False, "description": schema.pop("description", ""), "schema": schema}
        for name, schema in parameters(route.asked).items()
        if not (route.body == "image" and name == "id")
    ]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [route.group],
        "operationId": _operation_id(route),
        "parameters": inside + asked,
        "responses": {"200" if route.gives else "204": _response(route), "default": _PROBLEM},
    }
    if route.body is not None:
        content = {"image/*": {}} if route.body == "image" else {"application/json": {"schema": _ref(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_id(route: Route) -> str:
    return f"{route.method.lower()}{re.sub('[^a-z0-9]+', '_', route.path)}".strip("_")


def _response(route: Route) -> dict[str, Any]:
    if not route.gives:
        return {"description": "Done."}
    if isinstance(route.gives, str):
        return {"description": "Done.", "content": {route.gives: {}}}
    return {"description": "Done.", "content": {"application/json": {"schema": _ref(route.gives)}}}


def _ref(kind: type[Struct]) -> dict[str, str]:
    return {"$ref": REF.format(name=kind.__name__)}


def _places(route: Route) -> list[str]:
    return re.findall(r"{(\w+)}", route.path)


def _shown(route: Route, service: str) -> dict[str, Any]:
    """A route as the page has it."""
    named = "" if route.body != "image" else " -H 'Content-Type: image/jpeg' --data-binary @photo.jpg"
    named = " -H 'Content-Type: application/json' -d @body.json" if named == "" and route.body else named
    path = re.sub(r"{(\w+)}", lambda match: {"name": "encoder", "version": "1"}.get(match[1], "17"), route.path)
    query = "?id=17" if route.method == "GET" and "id" in parameters(route.asked) else ""
    sent = "an encoded image" if route.body == "image" else None if route.body is None else route.body.__name__
    own = [
        (name, _in_words(schema), schema.get("description", ""))
        for name, schema in parameters(route.asked).items()
        if not (route.body == "image" and name == "id")
    ]
    return {
        "method": route.method,
        "path": route.path,
        "place": _operation_id(route),
        "summary": route.summary,
        "parameters": own,
        "sent": sent,
        "gives": route.gives if isinstance(route.gives, str) else route.gives.__name__,
        "curl": f"curl{named} '{service}{path}{query}'",
    }


def _fields(schemas: dict[str, Any]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Name, description, and fields with their types, of all that is sent and answered."""
    return [
        (name, schema.get("description", ""), [(key, _in_words(own)) for key, own in schema["properties"].items()])
        for name, schema in sorted(schemas.items())
    ]


def _in_words(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_in_words(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "prefixItems" in schema:
        return f"{len(schema['prefixItems'])} × {_in_words(schema['prefixItems'][0])}"
    if schema.get("type") == "array":
        return f"list of {_in_words(schema.get('items', {}))}"
    if schema.get("type") == "object":
        return f"by name: {_in_words(schema.get('additionalProperties', {}))}"
    bounds = f" {schema['minimum']} … {schema['maximum']}" if {"minimum", "maximum"} <= schema.keys() else ""
    default = f", else {json.dumps(schema['default'])}" if schema.get("default") not in (None, "") else ""
    return f"{schema.get('type', 'anything')}{bounds}{default}"
