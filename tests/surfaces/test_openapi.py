"""That the API's description is true: its routes, their keys, and all it refers to."""

from pathlib import Path

import msgspec

from freeroute.domain.operators import Scope
from freeroute.surfaces.admin import topics
from freeroute.surfaces.operator import openapi_document
from tests.surfaces.route_table import ANYONE, TABLE


def test_the_description_of_the_api_lists_exactly_these_routes():
    document = msgspec.json.decode(openapi_document())
    described = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method not in {"servers", "parameters"}
    }
    plain = {(method, path.replace(":path}", "}")) for method, path in TABLE}
    assert described == plain


def test_the_description_says_which_keys_pass():
    document = msgspec.json.decode(openapi_document())
    for (method, path), passing in TABLE.items():
        operation = document["paths"][path.replace(":path}", "}")][method.lower()]
        named = {name: tuple(roles) for way in operation["security"] for name, roles in way.items()}
        scope = next((scope for scope in Scope if scope in passing), None)
        wanted: dict[str, tuple[str, ...]] = {}
        if passing != ANYONE:
            wanted |= {"client": ()} if "client" in passing else {}
            wanted |= {"admin": (scope.value,)} if scope is not None else {}
            wanted |= {"metrics": ()} if "metrics key" in passing else {}
        assert named == wanted, path


def test_no_topic_describes_what_another_does_already():
    whole = msgspec.json.decode(openapi_document())
    directory = Path(topics.__file__).parent
    described = [*directory.glob("*.openapi.json"), *directory.parent.glob("*.openapi.json")]
    parts = [msgspec.json.decode(path.read_bytes()) for path in described]
    parts.append(msgspec.json.decode((directory.parent / "openapi.json").read_bytes()))
    assert sum(len(part["paths"]) for part in parts) == len(whole["paths"])
    schemas = [part["schemas"] if "schemas" in part else part["components"]["schemas"] for part in parts]
    assert sum(map(len, schemas)) == len(whole["components"]["schemas"])


def test_everything_the_description_refers_to_is_there():
    document = msgspec.json.decode(openapi_document())

    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    for reference in set(references(document)):
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found
