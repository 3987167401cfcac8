"""The command line: ``freeroute``, or ``python -m freeroute``."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import click

from freeroute.errors import ApiError, ConfigError

OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130

# Where each command is, in the order in which people need them.
COMMANDS = {
    "serve": "serve",
    "demo": "demo",
    "check": "check",
    "doctor": "doctor",
    "probe": "probe",
    "models": "models",
    "explain": "models",
    "chat": "chat",
    "setup": "setup",
    "run": "run",
    "top": "top",
    "reset": "reset",
    "holds": "operations",
    "limits": "operations",
    "switch": "operations",
    "maintenance": "operations",
    "clients": "clients",
    "operators": "operators",
    "keys": "keys",
    "usage": "usage",
    "receipts": "usage",
}


class CommandLine(click.Group):
    """The group of all commands. What goes wrong ends in one line on stderr and an exit code of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; the others stay where they are."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"freeroute.commands.{COMMANDS[cmd_name]}"), cmd_name)
        return found

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command and exit; return the exit code if not *standalone_mode*."""
        run: Any = super().main
        code = _exit_code(lambda: run(*args, standalone_mode=False, **extra))
        if standalone_mode:
            sys.exit(code)
        return code


def _exit_code(run: Callable[[], object]) -> int:
    try:
        code = run()
        sys.stdout.flush()
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except ConfigError as exc:
        _complain(str(exc))
        return MISUSED
    except ApiError as exc:
        _complain(exc.message)
        return FAILED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else OK


def _complain(text: str) -> None:
    click.echo(f"freeroute: {' '.join(text.split())}", err=True)


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from freeroute.version import version

        click.echo(f"freeroute {version()}")
        ctx.exit()


@click.group(
    cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
def cli() -> None:
    """One OpenAI-compatible endpoint over free LLM tiers and local models.

    \b
    Try it without any key:   freeroute demo
    Use your own keys:        GROQ_API_KEY=... freeroute serve
    Ask it something:         freeroute chat "Why is the sky blue?"

    Exit codes: 0 done, 1 what was asked failed, 2 wrong usage or settings, 130 interrupted.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    cli.main(args, prog_name="freeroute")


if __name__ == "__main__":
    main()
