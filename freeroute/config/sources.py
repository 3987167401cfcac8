"""Texts that people write, read strictly: YAML with the safe types only, and `.env` files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml

from freeroute.errors import ConfigError
from freeroute.wire.text import printable

MOST_BYTES = 1 << 20
MOST_NODES = 50_000
DEEPEST = 40

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the C loader where PyYAML has it: ten times faster
    """Knows YAML 1.2's core types and nothing else: `on` and `12:30` are text, dates are text."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
     list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
]:  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


_TAGS = {
    f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "null", "bool", "int", "float", "merge")
}


def read_text(path: Path, shown: str) -> str:
    """Return the text of the file at *path*, called *shown* in errors; bounded in size."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{shown}: cannot be read: {exc.strerror or exc}") from exc
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{shown}: is larger than {MOST_BYTES // 2**20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{shown}: is not UTF-8 text (byte {exc.start})") from exc


def parse_yaml(text: str, shown: str) -> dict[str, Any]:
    """Return the mapping that *text* holds; raises ConfigError naming *shown* and the line."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return {}
            _check(node, shown)
            content = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{shown}{line}: {_without_text(exc.problem or 'is not valid YAML')}") from exc
    except (yaml.YAMLError, RecursionError, ValueError, KeyError) as exc:
        raise ConfigError(f"{shown}: is not valid YAML") from exc
    if not isinstance(content, dict):
        raise ConfigError(f"{shown}: expected a mapping such as `providers:` at the top")
    return content


def _without_text(problem: str) -> str:
    # The problem may quote what was written, and that may be a key.
    return re.sub(r"'[^']*'|\"[^\"]*\"", "...", problem)


def _check(root: yaml.Node, shown: str) -> None:
    """Refuse duplicate keys, keys that are not text, tags, loops, depth, and aliases that multiply."""
    sizes: dict[int, int] = {}
    inside: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        if depth > DEEPEST:
            raise _refused(node, shown, f"is nested more than {DEEPEST} levels deep")
        if node.tag not in _TAGS:
            raise _refused(node, shown, f"tags such as {printable(node.tag)} are not accepted")
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in inside:
            raise _refused(node, shown, "an anchor contains itself")
        if id(node) not in sizes:
            inside.add(id(node))
            if isinstance(node, yaml.MappingNode):
                _check_keys(node, shown)
            sizes[id(node)] = 1 + sum([size(child, depth + 1) for child in _children(node)])
            inside.discard(id(node))
        if sizes[id(node)] > MOST_NODES:
            raise _refused(node, shown, f"holds more than {MOST_NODES} values")
        return sizes[id(node)]

    size(root, 0)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_keys(node: yaml.MappingNode, shown: str) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refused(key, shown, "a field name must be text")
        if key.value in seen:
            raise _refused(key, shown, f"`{printable(key.value)}` is given twice")
        seen.add(key.value)


def _refused(node: yaml.Node, shown: str, reason: str) -> ConfigError:
    return ConfigError(f"{shown}:{node.start_mark.line + 1}: {reason}")


_ENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def parse_env(text: str, shown: str) -> dict[str, str]:
    """Return the variables that *text*, a `.env` file, sets: lines of NAME=value, quotes optional."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _ENV_LINE.fullmatch(stripped)
        if not match:
            raise ConfigError(f"{shown}:{number}: expected NAME=value")
        found[match[1]] = _env_value(match[2], f"{shown}:{number}: {match[1]}")
    return found


def _env_value(text: str, where: str) -> str:
    if not text.startswith(("'", '"')):
        return re.split(r"\s#|^#", text, maxsplit=1)[0].strip()
    match = _QUOTED.fullmatch(text)
    if not match:
        raise ConfigError(f"{where}: the quotes do not match")
    if match[1] is not None:
        return match[1]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), match[2])
