"""The pages say what the code does: every setting, variable, route, header, code, ending and command."""

import ast
import json
import re
import shlex
import string
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from freeroute import config, errors
from freeroute.__main__ import cli
from freeroute.assembly import assemble
from freeroute.config import Overrides, load
from freeroute.domain import breaker, effects, limits, selection, speed, usage
from freeroute.domain.catalogue import Model, Provider, Timeouts
from freeroute.domain.outcome import DROPPABLE, Kind, Outcome, blamed, judge
from freeroute.domain.quantities import duration, size
from freeroute.engine import probes
from freeroute.entries import INHERITED, or_else, read_catalogue
from freeroute.local_servers import PAUSE
from freeroute.resources import config_dir
from freeroute.schema import Field, Where, convert, fields
from freeroute.sources import parse_yaml
from freeroute.specs import ProviderSpec, SettingsSpec
from freeroute.upstreams import local
from freeroute.upstreams.parameters import IN_MESSAGES
from tests.support import command_help

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
CONFIGURATION = PAGES["docs/configuration.md"]
ROUTING = PAGES["docs/routing.md"]
ADDING = PAGES["docs/adding-a-provider.md"]
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "freeroute").rglob("*.py"))
# The simulated providers answer with codes of their own.
OWN = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (ROOT / "freeroute").rglob("*.py")
    if not path.name.startswith("simulated")
)
OPENAPI = json.loads((ROOT / "freeroute/surfaces/openapi.json").read_text(encoding="utf-8"))
CATALOGUE = read_catalogue(config_dir() / "providers")
# Blocks of YAML that belong to other programs.
FOREIGN = {"scrape_configs"}

Row = list[str]


def prose(page: str) -> str:
    """Return *page* without its code blocks."""
    return re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)


def rows(page: str) -> Iterator[Row]:
    """Give the rows of all tables of *page* as cells."""
    for line in prose(page).splitlines():
        if line.startswith("| ") and line.endswith(" |"):
            yield [cell.strip() for cell in line[1:-1].split("|")]


def codes(text: str) -> list[str]:
    """Return what stands in backticks in *text*."""
    return re.findall(r"`([^`]+)`", text)


def blocks(page: str, *languages: str) -> list[str]:
    """Return the code blocks of *page* in one of *languages*."""
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language in languages]


def section(page: str, heading: str) -> str:
    """Return the part of *page* under *heading*."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[2]


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

VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|\bPORT\b")


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
            assert word in command.commands, (page, words)
            command = command.commands[word]
            options |= _options(command)
    named = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
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


# --- routes, headers, codes ------------------------------------------------------------------------------

ROUTE = re.compile(r"^(?:(GET|POST|PATCH|PUT|DELETE) )?(/[\w/{}.-]*)(?:\?.*)?$")


def test_every_route_that_a_page_names_exists():
    known = {(method.upper(), path) for path, item in OPENAPI["paths"].items() for method in item}
    patterns = [(method, re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))) for method, path in known]
    for page, content in PAGES.items():
        for match in filter(None, map(ROUTE.match, codes(prose(content)))):
            path = match[2].removeprefix("/api") if match[2].startswith("/api/v1/") else match[2]
            if not match[1] and path.split("/")[1] not in ROOTS:
                continue
            fits = [re.fullmatch(p, path) for method, p in patterns if match[1] in (None, method)]
            assert any(fits), (page, match[0])


ROOTS = {path.split("/")[1] for path in OPENAPI["paths"]} - {"v1", ""}


def test_every_route_is_named_with_who_may_call_it():
    table = section(PAGES["docs/deployment.md"], "Routes")
    named = {match[0] for match in filter(None, map(ROUTE.match, codes(table)))}
    known = {f"{method.upper()} {path}" for path, item in OPENAPI["paths"].items() for method in item
             if method in ("get", "post", "patch")}  # fmt: skip
    assert {route for route in known - named if not route.startswith("GET /dashboard/")} == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_header_that_does_not_exist(page):
    named = set(re.findall(r"\bx-freeroute-[a-z]+(?:-[a-z]+)*", PAGES[page]))
    assert {name for name in named if f'"{name}"' not in SOURCE} == set()


def test_every_header_of_an_answer_and_of_a_request_is_explained():
    parameters = OPENAPI["paths"]["/v1/chat/completions"]["post"]["parameters"]
    expected = {*OPENAPI["components"]["headers"], *(p["name"] for p in parameters)}
    explained = {word for code in codes(ROUTING) for word in code.replace(":", " ").split()}
    assert expected - explained == set()


def test_every_error_is_in_the_table():
    table = {(int(row[0]), codes(row[1])[0]) for row in rows(section(ROUTING, "Errors")) if row[0].isdigit()}
    classes = list(_leaves(errors.ApiError))
    expected = {(cls.status, cls.default_code) for cls in classes}
    extra = {
        "model_not_found": 404,
        "model_not_allowed": 403,
        "forbidden_origin": 403,
        "invalid_settings": 400,
    }
    assert table == expected | {(status, code) for code, status in extra.items()}
    assert set(re.findall(r'code="(\w+)"', OWN)) <= {code for _, code in table}


def _leaves(cls: type[errors.ApiError]) -> Iterator[type[errors.ApiError]]:
    for inner in cls.__subclasses__():
        yield inner
        yield from _leaves(inner)


# --- endings and numbers ---------------------------------------------------------------------------------


def test_every_ending_is_in_the_table_with_what_comes_next_and_whose_fault_it_is():
    table = {codes(row[0])[0]: row for row in rows(section(ROUTING, "What an ending means")) if codes(row[0])}
    del table["kind"]  # the table's head
    assert set(table) == {kind.value for kind in Kind}
    for kind in Kind:
        outcome = Outcome(kind)
        _, _, following, fault, _ = table[kind.value]
        assert fault == blamed(outcome).value, kind
        expected = "without, or candidate" if kind is Kind.BAD_PARAMETER else judge(outcome).value
        assert following == expected, kind


def test_every_parameter_that_may_be_left_out_is_named():
    found = re.search(r"Parameters that may be left out:(.*?)and fields", ROUTING, re.DOTALL)
    assert found
    assert set(codes(found[1])) == {name for name in DROPPABLE if not name.startswith(IN_MESSAGES)}


def _said(seconds: float) -> str:
    for length, unit in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


@pytest.mark.parametrize(
    ("page", "phrase"),
    [
        ("routing", f"ranked last for {_said(breaker.SUSPICION)}"),
        ("routing", f"{breaker.IN_A_ROW} failures in a row"),
        ("routing", f"half of at least {breaker.SAMPLE} answers within {breaker.SAMPLE_SECONDS} s"),
        ("routing", f"rests for {_said(breaker.FIRST_REST)}"),
        ("routing", f"up to {_said(breaker.LONGEST_REST)}"),
        ("routing", f"two of its models fail within {_said(breaker.TWO_MODELS_WITHIN)}"),
        ("routing", f"rests {_said(effects.CAPACITY_REST)} or as long as asked"),
        ("routing", f"the key is out for {_said(effects.NO_CREDIT_REST)}"),
        ("routing", f"out for that key for {_said(effects.FORBIDDEN_REST)}"),
        ("routing", f"on, the key for {_said(effects.FORBIDDEN_KEY_REST)}"),
        ("routing", f"the model is out for {_said(effects.GONE_REST)}"),
        ("routing", f"the server rests {_said(effects.LOADING_REST)}"),
        ("routing", f"the provider is out for {_said(effects.MISCONFIGURED_REST)}"),
        ("routing", f"adds {_said(speed.FAILURE_SECONDS)}"),
        ("routing", f"One request in {1 / selection.EXPLORE:g} "),
        ("routing", f"in the last {selection.STALE_MEASUREMENT / 60:g} minutes"),
        ("routing", f"up to {usage.DEFAULT_OUTPUT} tokens"),
        ("routing", f"`max_tokens` {probes.PROBE_TOKENS}"),
        ("routing", f"fewer than {probes.SPARE_DAY_QUOTA} requests a day"),
        ("limits", f"at {usage.BYTES_PER_TOKEN} bytes a token, {usage.TOKENS_PER_MESSAGE} tokens a message"),
        ("limits", f"and {usage.TOKENS_PER_IMAGE} an image"),
        ("limits", f"answer up to {usage.DEFAULT_OUTPUT} tokens"),
        ("limits", "half a second after sending" if limits.GUARD == 0.5 else "?"),
        ("limits", f"{_said(effects.FIRST_BACKOFF)}, doubling with each further one"),
        ("limits", f"one up to {_said(effects.LONGEST_BACKOFF)}"),
        ("configuration", f"has {local.BUDGET:g} s to answer"),
        ("configuration", f"has {local.LISTED_BUDGET:g} s"),
        ("configuration", "again every minute" if PAUSE == 60 else "?"),
        ("configuration", f"else {local.OLLAMA_CONTEXT} tokens"),
    ],
)  # fmt: skip
def test_a_number_on_a_page_is_the_number_in_the_code(page, phrase):
    text = " ".join(PAGES[f"docs/{page}.md"].split())
    assert phrase in text


# --- the picture -----------------------------------------------------------------------------------------


def test_the_picture_describes_itself_and_follows_the_readers_theme():
    picture = (ROOT / "docs/flow.svg").read_text(encoding="utf-8")
    assert 'role="img"' in picture
    assert re.search(r"<title[^>]*>[^<]+</title>", picture)
    assert re.search(r"<desc[^>]*>[^<]{80,}</desc>", picture)
    assert "prefers-color-scheme: dark" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("page", PAGES)
def test_a_picture_has_words_for_those_who_do_not_see_it(page):
    for words in re.findall(r"!\[([^\]]*)\]\(", PAGES[page]):
        assert len(words) > 20


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_written_in_characters_that_every_editor_shows(page):
    strange = {char for char in PAGES[page] if not char.isascii() and char not in "–─→’└├│…"}
    assert strange - set(string.printable) == set()
