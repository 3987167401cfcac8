"""The settings, variables and examples on the pages are those of the code."""

import ast
import json
import re
import shlex
from datetime import date
from typing import Any

import click
import msgspec
import pytest

from freeroute.__main__ import cli
from freeroute.config import load as config
from freeroute.config.assembly import assemble
from freeroute.config.entries import INHERITED, or_else
from freeroute.config.load import Overrides, load
from freeroute.config.provider_specs import ProviderSpec
from freeroute.config.schema import Field, Where, convert, fields
from freeroute.config.sources import parse_yaml
from freeroute.config.specs import SettingsSpec
from freeroute.domain.catalogue import Model, Provider, Timeouts
from freeroute.domain.quantities import duration, size
from tests.support import command_help
from tests.support.pages import (
    ADDING,
    CATALOGUE,
    CONFIGURATION,
    PAGES,
    ROOT,
    SOURCE,
    Row,
    blocks,
    codes,
    prose,
    rows,
    section,
)

# Blocks of YAML that belong to other programs.
FOREIGN = {"scrape_configs"}

# --- settings --------------------------------------------------------------------------------------------

# Inside a model, limits have the fields that a provider's have.
FIELDS = {field.name: field for field in fields() if ".models[].limits[]." not in field.name}


def documented() -> dict[str, Row]:
    """Return the rows that explain a field, by its name; each field is on one page."""
    found: dict[str, Row] = {}
    for row in [*rows(CONFIGURATION), *rows(ADDING)]:
        names = codes(row[0])
        if len(row) == 3 and len(names) == 1 and names[0].split(".")[0].rstrip("[]") in TOP:
            assert names[0] not in found, f"{names[0]} is explained twice"
            found[names[0]] = row
    return found


TOP = set(SettingsSpec.__struct_fields__)
DOCUMENTED = documented()


def test_every_field_of_the_settings_is_explained_and_none_is_invented():
    assert set(DOCUMENTED) == set(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_the_default_of_a_field_is_as_the_page_says(name):
    told = codes(DOCUMENTED[name][1])
    expected = _default(FIELDS[name])
    if expected is not None:
        assert told, name
        assert _value(told[0], FIELDS[name]) == expected


def _default(field: Field) -> Any:
    """Return the default of *field*: of the file's shape, else of what it becomes; None if there is none."""
    if field.default:
        return json.loads(field.default)
    place, _, member = field.name.rpartition(".")
    kind: Any = {
        "providers.*.timeouts": Timeouts,
        "providers.*.models[]": Model,
        "providers.*": Provider,
    }.get(place)
    plain = {f.encode_name: f.default for f in msgspec.structs.fields(kind)} if kind else {}
    default = plain.get(member)
    return default if isinstance(default, bool | int | float) else None


def _value(text: str, field: Field) -> Any:
    if field.type == "duration":
        return duration(text)
    if field.type == "size":
        return size(text)
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.choices])
def test_the_choices_of_a_field_are_named(name):
    row = " ".join(DOCUMENTED[name])
    assert [choice for choice in FIELDS[name].choices if f"`{choice}`" not in row] == []


def test_what_like_takes_over_is_named():
    named = codes(DOCUMENTED["providers.*.like"][2])
    assert set(named) == set(INHERITED)


# --- environment -----------------------------------------------------------------------------------------

VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:__?[A-Z0-9]+)+\b")


def variables_of(spec: ProviderSpec) -> dict[str, set[str]]:
    return {
        "env": set(or_else(spec.env, ())),
        "named": {*or_else(spec.env_named, ()), *or_else(spec.variables, ())},
    }


def test_every_variable_of_the_gateway_is_explained_and_none_is_invented():
    own = {name for row in rows(section(CONFIGURATION, "freeroute's own")) for name in codes(row[0])}
    assert set(config.VARIABLES) <= own
    assert {name for name in own - set(config.VARIABLES) if f'"{name}"' not in SOURCE} == set()


def test_every_provider_of_the_catalogue_is_listed_with_its_variables():
    table = {
        codes(row[0])[0]: row for row in rows(section(CONFIGURATION, "Keys of providers")) if codes(row[0])
    }
    assert list(table) == list(CATALOGUE)
    for name, spec in CATALOGUE.items():
        known = variables_of(spec)
        _, env, named, without = table[name]
        assert (set(codes(env)), set(codes(named))) == (known["env"], known["named"]), name
        assert ("--keyless" in without) == or_else(spec.keyless, False), name
        assert ("found" in without) == (spec.status == "local"), name


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_variable_of_ours_that_does_not_exist(page):
    named = {name for name in VARIABLE.findall(PAGES[page]) if name.startswith("FREEROUTE_")} - {
        "FREEROUTE_SECTION__FIELD"
    }
    strange = {name for name in named if name not in config.VARIABLES and f'"{name}"' not in SOURCE}
    for name in strange:
        part, separator, member = name.removeprefix("FREEROUTE_").lower().partition("__")
        assert separator, name
        assert member in config.SECTIONS[part].__struct_fields__, name


# --- examples --------------------------------------------------------------------------------------------

YAML = [(page, text) for page, content in PAGES.items() for text in blocks(content, "yaml", "yml")]


@pytest.mark.parametrize(("page", "text"), YAML, ids=[f"{page}-{n}" for n, (page, _) in enumerate(YAML)])
def test_an_example_of_yaml_is_valid(page, text, tmp_path):
    content = parse_yaml(text, page)
    if FOREIGN & set(content):
        return
    if "base_url" in content:
        convert(content, ProviderSpec, Where(page, "", "providers.*"))
        content = {"providers": {"example": content}}
        text = json.dumps(content)
    for path in re.findall(r"file:([\w./-]+)", text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("key-from-a-file")
    named = {name: f"key-of-{name}" for name in re.findall(r"env:(\w+)", text)}
    known = {
        name: "key" for spec in CATALOGUE.values() for names in variables_of(spec).values() for name in names
    }
    env = {**known, **named, "EXAMPLE_KEY": "key"}
    (tmp_path / "freeroute.yaml").write_text(text, encoding="utf-8")
    assembly = assemble(load(Overrides(), env, tmp_path, tmp_path), CATALOGUE, date(2026, 11, 21))
    assert set(content.get("providers") or ()) <= {
        *assembly.catalogue.providers,
        *(server.id for server in assembly.local),
    }


@pytest.mark.parametrize("page", PAGES)
def test_an_example_in_python_or_json_can_be_read(page):
    for text in blocks(PAGES[page], "python"):
        ast.parse(text)
    for text in blocks(PAGES[page], "json"):
        json.loads(text)


def shell_lines() -> list[tuple[str, list[str]]]:
    found = []
    for page, content in PAGES.items():
        inline = codes(prose(content))
        lines = [line for text in blocks(content, "sh") for line in text.splitlines()]
        lines += [code for code in inline if re.match(r"(freeroute|make) ", code.replace("\n", " "))]
        found += [(page, words) for words in map(_words, lines) if words]
    return found


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words


SHELL = shell_lines()


def test_every_command_that_a_page_names_exists():
    for page, words in SHELL:
        if words[0] == "freeroute":
            _check_command(page, words[1:])
        elif words[0] == "make":
            targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert words[1] in targets, (page, words)


def _check_command(page: str, words: list[str]) -> None:
    command: click.Command = cli
    options = {"--help", *_options(cli)}
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(click.Context(command), word)
            assert found is not None, (page, words)
            command = found
            options |= _options(command)
    ours = words[: words.index("--")] if "--" in words else words
    named = {word.split("=")[0] for word in ours if word.startswith("-") and word != "-"}
    assert named <= options, (page, words)


def _options(command: click.Command) -> set[str]:
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)}


def test_the_body_of_every_curl_is_json():
    bodies = [words[words.index("-d") + 1] for _, words in SHELL if words[0] == "curl" and "-d" in words]
    assert len(bodies) >= 3
    for body in bodies:
        json.loads(body)


def test_the_commands_page_is_what_the_commands_say():
    assert PAGES["docs/cli.md"] == command_help.page(), "run: python -m tests.support.command_help"
