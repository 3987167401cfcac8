"""``freeroute check``: are the settings sound, and is each key good?"""

import json
from typing import TYPE_CHECKING, Any

import click

from freeroute.commands import options
from freeroute.commands.tables import table

if TYPE_CHECKING:
    from freeroute.config.assembly import Assembly
    from freeroute.domain.catalogue import Key, Provider
    from freeroute.domain.keys import Verdict


@click.command()
@click.argument("providers", nargs=-1, metavar="[PROVIDER]...")
@options.config
@click.option("--no-network", is_flag=True, help="Only read the settings; call nobody.")
@options.as_json
def check(providers: tuple[str, ...], config: str | None, no_network: bool, as_json: bool) -> int:
    """Check the settings, then every key with one cheap call.

    A key is invalid only if its provider says so: when the network fails, it stays unknown. Exits with 2
    if the settings are wrong, with 1 if a key is invalid.

    \b
    freeroute check
    freeroute check groq gemini
    freeroute check --no-network --json
    """
    import asyncio

    from freeroute.commands.keychecks import ask_every, keys_of
    from freeroute.commands.offline import settings_and_assembly
    from freeroute.serving import refuse_wide_bind
    from freeroute.stores.clients_file import ClientsFile

    settings, assembly = settings_and_assembly(config)
    refuse_wide_bind(settings, ClientsFile(settings.state_dir).read())
    keys = keys_of(assembly, providers)
    verdicts = [] if no_network else asyncio.run(ask_every(keys))
    results = [_result(provider, key, None) for provider, key in keys]
    if verdicts:
        results = [_result(*pair, verdict) for pair, verdict in zip(keys, verdicts, strict=True)]
    file = str(settings.file) if settings.file else None
    if as_json:
        found = {"settings": file, "checked": not no_network, "keys": results, "hints": list(assembly.hints)}
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(_told(file, results, assembly, no_network=no_network))
    return 1 if any(result["verdict"] == "invalid" for result in results) else 0


def _result(provider: "Provider", key: "Key", verdict: "Verdict | None") -> dict[str, Any]:
    return {
        "provider": provider.id,
        "key": key.label,
        "account": key.account,
        "models": len(provider.models),
        "verdict": verdict.state.value if verdict else None,
        "detail": verdict.detail if verdict else "",
    }


def _told(file: str | None, results: list[dict[str, Any]], assembly: "Assembly", *, no_network: bool) -> str:
    parts = [
        f"{file}: the settings are sound" if file else "There is no settings file; the environment is sound"
    ]
    if results:
        head = ["PROVIDER", "KEY", "MODELS", "VERDICT", ""]
        rows = [
            [line["provider"], line["key"], str(line["models"]), line["verdict"] or "-", line["detail"]]
            for line in results
        ]
        parts.append(table(head, rows))
    if not assembly.catalogue.providers:
        from freeroute.commands.banner import nothing_on_message

        parts.append(nothing_on_message())
    elif no_network:
        parts.append("No key was tried (--no-network).")
    parts.extend(f"Note: {hint}" for hint in assembly.hints)
    return "\n\n".join(parts)
