"""``freeroute clients``: keys for those who may call the gateway."""

import json
import re
import secrets

import click

from freeroute.commands import options

# As in the settings file.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][a-z0-9_-]*", re.IGNORECASE)


@click.group()
def clients() -> None:
    """Make keys for the people and apps that may call the gateway."""


@clients.command("new-key")
@click.argument("name")
@options.as_json
def new_key(name: str, as_json: bool) -> int:
    """Make a key for the client NAME.

    The key is shown once and kept nowhere: the settings file gets its hash alone. Limits may be added to
    the line: requests_per_minute, tokens_per_minute, tokens_per_day, concurrency, models, expires.

    \b
    freeroute clients new-key alice
    """
    from freeroute.domain.clients import hash_key

    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            "a name has up to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
            param_hint="NAME",
        )
    key = f"fr-{secrets.token_urlsafe(32)}"
    hashed = hash_key(key).hex()
    line = f'- {{name: {yaml_word(name)}, key_hash: "{hashed}"}}'
    if as_json:
        click.echo(json.dumps({"name": name, "key": key, "key_hash": hashed, "yaml": line}, indent=2))
        return 0
    click.echo(f"The key of {name}, shown this once:\n\n{key}\n")
    click.echo(f"Its line in the settings file, under `clients:`:\n\n  {line}")
    return 0


def yaml_word(text: str) -> str:
    """Return *text* as YAML reads it as text: quoted where it could be taken for a number or a truth."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
