"""Writes docs/cli.md from the commands' own help: ``python -m tests.support.command_help``."""

from collections.abc import Iterator
from pathlib import Path

import click

from freeroute.__main__ import cli

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
WIDTH = 100

_INTRODUCTION = """\
# Commands

What each command says of itself with `--help`. After `make demo` or `make serve` they are in `.venv/bin`.
Those that talk to a running gateway (`models`, `explain`, `chat`) send `FREEROUTE_API_KEY` if it is set;
`reset` and `top` send the admin key. Where output is data, `--json` gives it whole.
"""


def page() -> str:
    """Return the page as it should be."""
    parts = [_INTRODUCTION]
    for name, command, context in _commands(cli, "freeroute", None):
        title = "## The command line" if context.parent is None else f"## {name}"
        parts.append(f"{title}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    context = click.Context(
        command, parent, info_name=name.split()[-1], terminal_width=WIDTH, **command.context_settings
    )
    yield name, command, context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from _commands(found, f"{name} {inner}", context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
