"""What an operator should look at, and what to do about it: derived from how things stand, kept nowhere."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Provider
from freeroute.domain.leases import Reading
from freeroute.domain.outcome import Kind
from freeroute.domain.remembered import Hold
from freeroute.domain.returning import Place
from freeroute.engine.survey import Survey, by_state
from freeroute.engine.view import View

MOST = 40
"""Alerts that are told, the worst. Own design: more are one cause, and nobody reads them."""

NEARLY = 0.9
"""Share of a quota that is nearly all of it. Own design, as in the alert rules for Prometheus."""

LONG = 86_400.0
"""Seconds of the shortest window whose end is worth an alert: a minute is over before anybody looks."""

Severity = Literal["problem", "warning", "note"]
_ORDER: tuple[Severity, ...] = ("problem", "warning", "note")


class Alert(Struct, frozen=True):
    """*what* is the matter and what to *do*, in plain sentences; *kind* is one word for it that stays.

    *provider* is the id of the one it is about, *until* (mono) when it ends by itself. What is *public* may
    be told to clients: it says nothing of keys, quotas or the gateway's inside.
    """

    severity: Severity
    kind: str
    what: str
    do: str
    provider: str | None = None
    until: float | None = None
    public: bool = False


def ranked(alerts: Iterable[Alert], *, public: bool = False) -> list[Alert]:
    """Return the worst of *alerts*, the worst first; only what is *public* if that is asked."""
    wanted = [alert for alert in alerts if alert.public or not public]
    return sorted(wanted, key=lambda alert: _ORDER.index(alert.severity))[:MOST]


def told(view: View, alert: Alert) -> dict[str, Any]:
    """Return *alert* as the status tells it."""
    return {
        "severity": alert.severity,
        "kind": alert.kind,
        "what": alert.what,
        "do": alert.do,
        "provider": alert.provider,
        "until": None if alert.until is None else view.ahead(alert.until),
    }


# --- the gateway ------------------------------------------------------------------------------------


def of_gateway(view: View, states: Iterable[str]) -> list[Alert]:
    """Return what is the matter with the gateway, whose providers are in *states*."""
    found = _of_itself(view)
    if not view.catalogue.candidates:
        do = "Set a provider's key, start a local server such as Ollama, or try the demo."
        found.append(Alert("problem", "nothing_configured", "There is no model to ask.", do, public=True))
    elif not {"healthy", "suspect"} & set(states):
        what = "Nothing can answer right now."
        do = "Each provider says what keeps it; meanwhile requests wait or fail."
        found.append(Alert("problem", "nothing_usable", what, do, public=True))
    return found


def _of_itself(view: View) -> list[Alert]:
    found = []
    if view.unsaved:
        what = "What is counted and learned is not being saved: a restart would forget it."
        do = "See the log, and the room and rights on the disk of the state directory."
        found.append(Alert("problem", "state_unsaved", what, do))
    if view.recording is not None and view.recording.failing:
        what = "Receipts cannot be written to the database; they wait in a file meanwhile."
        found.append(Alert("problem", "records_failing", what, "See the log, and whether the database runs."))
    if view.unread is not None:
        what = f"The settings could not be read again, the old ones stay: {view.unread}"
        found.append(Alert("warning", "settings_unread", what, "Mend them, then reload once more."))
    if view.maintenance is not None:
        what = "Maintenance lets no requests in."
        found.append(Alert("note", "maintenance", what, "End it when you are done.", public=True))
    return found


# --- one provider -----------------------------------------------------------------------------------


def of_provider(seen: Survey) -> list[Alert]:
    """Return what is the matter with the provider of *seen*."""
    judged = _judged(seen)
    return [*judged, *_of_health(seen, explained=bool(judged)), *_of_quotas(seen)]


def _of_health(seen: Survey, *, explained: bool) -> list[Alert]:
    """Return what its breakers and holds say; *explained* if verdicts say why it is held already."""
    name, provider = seen.provider.name, seen.provider.id
    do = "Look at its last failure; reset it once the cause is gone."
    if seen.whole is State.OPEN:
        until = seen.view.standing.provider_breaker(provider).opens_until
        what = f"{name} kept failing and is left alone."
        return [Alert("warning", "breaker_open", what, do, provider, until, public=True)]
    if seen.state in ("open", "half-open"):
        what = f"{name} fails: every model of it is left alone or on trial."
        return [Alert("warning", "all_failing", what, do, provider, public=True)]
    if seen.state == "held" and not explained:
        reason = next(seat.obstacle.reason for seat in seen.seats if seat.obstacle is not None)
        what = f"Nothing of {name} can be used: {reason}."
        return [Alert("warning", "all_held", what, "Mend that, then reset it.", provider)]
    if resting := by_state(seen.seats).get("open"):
        what = f"{name} fails at {_count(resting, 'model')}: left alone for a while."
        return [Alert("note", "some_failing", what, do, provider, public=True)]
    return []


def _of_quotas(seen: Survey) -> list[Alert]:
    """Return that quotas of days and months are nearly spent: one alert, of the fullest."""
    low = [r for r in seen.readings if r.pool.limit.seconds >= LONG and 0 < NEARLY * r.limit <= r.used]
    if not low:
        return []
    fullest = max(low, key=_share)
    limit, owner = fullest.pool.limit, seen.owners[fullest.pool.id][1]
    unit, _, span = limit.label.partition("/")
    where = f" of {owner.model.id}" if f"/model:{owner.model.id}/" in fullest.pool.id else ""
    also = f", and {_count(len(low) - 1, 'more quota')}" if len(low) > 1 else ""
    spent = "spent" if _share(fullest) >= 1 else "nearly spent"
    what = f"{seen.provider.name}: {unit.replace('_', ' ')} per {span}{where} {spent}{also}."
    severity: Severity = "warning" if seen.state == "resting" else "note"
    do = "Wait until it is back, or add a provider."
    until = seen.view.now.mono + fullest.resets_in
    return [Alert(severity, "quota_low", what, do, seen.provider.id, until)]


def _share(reading: Reading) -> float:
    return reading.used / reading.limit


# --- what providers said of keys, models and addresses ----------------------------------------------


def _judged(seen: Survey) -> list[Alert]:
    """Return what verdicts stand against the provider's keys, models and address, each kind told once."""
    standing, entry = seen.view.standing, seen.provider
    held: dict[tuple[Kind, str], list[tuple[Place, Hold]]] = defaultdict(list)
    for place, hold in standing.verdicts(seen.view.now):
        if place[1] == entry.id and hold.verdict is not None and _concerns(place, entry):
            held[hold.verdict, place[0]].append((place, hold))
    return [_verdict(entry, kind, scope, holds) for (kind, scope), holds in held.items()]


def _concerns(place: Place, entry: Provider) -> bool:
    """Say whether a hold is on a key that is used; others keep what was said of them."""
    return not place[0].startswith("key") or any(key.label == place[2] and key.enabled for key in entry.keys)


def _verdict(entry: Provider, kind: Kind, scope: str, held: Sequence[tuple[Place, Hold]]) -> Alert:
    name, until = entry.name, min(hold.until for _, hold in held)
    which = _named(sorted({place[-1] for place, _ in held}))
    match kind:
        case Kind.KEY_INVALID:
            enabled = sum(key.enabled for key in entry.keys)
            severity: Severity = "problem" if len(held) >= enabled else "warning"
            what, do = f"{name} does not accept the key {which}.", "Check it there, or enter a new one."
            return Alert(severity, "key_refused", what, do, entry.id)
        case Kind.NO_CREDIT:
            what = f"{name} asks for payment for the {'key' if scope == 'key' else 'model'} {which}."
            return Alert("warning", "no_credit", what, "Look at the account's plan there.", entry.id, until)
        case Kind.FORBIDDEN:
            what = f"{name} forbids {f'the key {which} its models' if scope == 'key' else which}."
            do = "The account may have to accept the model's terms there."
            return Alert("note", "forbidden", what, do, entry.id, until)
        case Kind.MODEL_GONE:
            what, do = f"{name} no longer has {which}.", "Choose another model, or update freeroute."
            return Alert("warning", "model_gone", what, do, entry.id, until, public=True)
        case _ if scope == "model":  # Kind.REDIRECTED, the last that holds are laid for
            what, do = f"{name} does not answer at its address for {which}.", "Check its paths and base_url."
            return Alert("warning", "wrong_address", what, do, entry.id, until)
        case _:
            what = f"{name} does not answer at its address."
            return Alert("problem", "wrong_address", what, "Check its base_url.", entry.id, until)


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
