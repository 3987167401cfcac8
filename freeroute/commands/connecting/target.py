"""The gateway that clients are pointed at: its address, the key to send, and the models it has now."""

from typing import Any

from msgspec import Struct

from freeroute.commands.running import Failed, Running

NO_KEY = "not-needed"
"""Stands where no key is asked for: clients insist on some text."""

USUAL = ("free-smart", "free-fast", "free")
"""What a client asks for if nothing is said: the best for what writes code first, as on the dashboard."""

_CONTEXT = 128_000
"""Tokens that a model is taken to read where the gateway knows no number. Own design."""


class Offered(Struct, frozen=True):
    """A model to ask for: how many tokens it reads and writes, and what it can."""

    id: str
    context: int = _CONTEXT
    output: int = _CONTEXT // 8
    images: bool = False


class Target(Struct, frozen=True):
    """A gateway at *url*, without ``/v1``; *models* are those to offer, *model* the one to begin with."""

    url: str
    key: str | None
    model: Offered
    quick: str
    models: tuple[Offered, ...]

    @property
    def v1(self) -> str:
        """Return the address that clients of OpenAI want."""
        return f"{self.url}/v1"

    @property
    def sent(self) -> str:
        """Return what is sent as a key."""
        return self.key or NO_KEY


def ask(running: Running, key: str | None, model: str | None, *, every: bool) -> Target:
    """Return what to point clients at, as the gateway tells it; raises Failed.

    Offered are the meta-models and *model*; *every* one if that is wanted.
    """
    listed = running.get("/v1/models")["data"]
    entries = {entry["id"]: entry for entry in listed}
    if model and model not in entries:  # an alias or a family; else it is refused with the nearest
        entries[model] = {**running.get(f"/v1/models/{model}"), "id": model}
    chosen = _chosen(entries, model)
    known = {name: _offered(entry) for name, entry in entries.items()}
    metas = [entry["id"] for entry in listed if entry["freeroute"].get("meta") or (every and _talks(entry))]
    names = dict.fromkeys([chosen, *metas])
    quick = chosen if model or "free-fast" not in known else "free-fast"
    return Target(running.url, key, known[chosen], quick, tuple(known[name] for name in names))


def _chosen(entries: dict[str, dict[str, Any]], model: str | None) -> str:
    """Return *model*, or the usual one of *entries*; raises Failed if no client could chat with it."""
    fit = [name for name, entry in entries.items() if _talks(entry) and _stands(entry)]
    if not fit:
        raise Failed(
            "the gateway has no model yet to chat with: give it a key of a provider, "
            "or look at `freeroute doctor`"
        )
    usual = next((name for name in USUAL if name in fit), fit[0])
    if model and not _talks(entries[model]):
        raise Failed(f"{model} does not chat; take one that does, such as {usual}")
    if model and not _stands(entries[model]):
        raise Failed(f"nothing answers for {model} as it is now: `freeroute explain {model}` says why")
    return model or usual


def _stands(entry: dict[str, Any]) -> bool:
    """Say whether somebody answers for a name, now or at a time that is known."""
    state = entry["freeroute"]
    return bool(state["available"]) or state["back_at"] is not None


def _talks(entry: dict[str, Any]) -> bool:
    return "text" in entry["architecture"].get("output_modalities", ["text"])


def _offered(entry: dict[str, Any]) -> Offered:
    context = entry["context_length"] or _CONTEXT
    output = entry["top_provider"]["max_completion_tokens"] or context // 8
    return Offered(entry["id"], context, output, "image" in entry["architecture"]["input_modalities"])
