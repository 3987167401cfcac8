"""Usage and receipts, for whoever looks after the gateway: pages of JSON, and files to take away."""

from collections.abc import AsyncIterator
from typing import Final, Literal, cast, get_args

from freeroute.engine.records import Outcome, ReceiptsWanted, Records, UsageWanted
from freeroute.errors import InvalidRequest, RecordsUnavailable
from freeroute.surfaces.access import Access
from freeroute.surfaces.admin.desk import Desk, count
from freeroute.surfaces.departure import CallerWatch
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route

WEEK = 7 * 86400.0
"""Seconds that are looked back unless told otherwise, as the commands do."""

PAGE, MOST = 100, 1000
"""Receipts of one page of JSON, and the most. Own design: a table people read."""

LARGEST = 100_000_000
"""Receipts of one file. Own design: more than a database of receipts is meant for; none by itself."""

AHEAD = 60.0
"""Seconds that a receipt may lie in the future: gateways that share a database have clocks of their own."""

_BY: Final = ("client", "provider", "model")
_STEPS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_CSV, _JSON_LINES = b"text/csv; charset=utf-8", b"application/jsonl; charset=utf-8"
_LONGEST_NAME, _LONGEST_ID = 64, 128


class RecordsTopic:
    """What was used by whom."""

    def __init__(self, desk: Desk, records: Records | None) -> None:
        """Read *records*; None says that none are stored."""
        self._desk = desk
        self._stored = records

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            Route("/admin/usage", {"GET": self.usage}, Access.READ),
            Route("/admin/receipts", {"GET": self.receipts}, Access.READ),
        ]

    async def usage(self, request: Request) -> None:
        """Give what was used, told apart by what is asked for."""
        form = _one_of(request, "format", ("json", "csv"))
        names = _listed(request, "by", (*_BY, *_STEPS), "provider")
        steps = [_STEPS[name] for name in names if name in _STEPS]
        if len(steps) > 1:
            raise InvalidRequest("by takes one of minute, hour and day.", param="by")
        wanted = UsageWanted(
            since=self._since(request),
            by=tuple(name for name in names if name in _BY),
            step=steps[0] if steps else None,
            client=_name(request, "client"),
        )
        if form == "csv":
            await _file(request, await self._records().usage_csv(wanted), "usage.csv", _CSV)
            return
        found = await self._records().usage(wanted)
        await request.reply_json({"since": found["since"], "until": found["until"], "data": found["lines"]})

    async def receipts(self, request: Request) -> None:
        """Give receipts, a page of JSON or as many as there are."""
        form = _one_of(request, "format", ("json", "jsonl", "csv"))
        until = self._desk.moment(request, "until")
        most: int | None = count(request, "limit", PAGE, MOST if form == "json" else LARGEST)
        if form != "json" and request.query("limit") is None:
            most = None
        outcome = _one_of(request, "outcome", ("all", *get_args(Outcome)))
        wanted = ReceiptsWanted(
            since=self._since(request),
            until=self._desk.clock.now().wall + AHEAD if until is None else until,
            most=most,
            newest=_one_of(request, "order", ("newest", "oldest")) == "newest",
            client=_name(request, "client"),
            outcome=None if outcome == "all" else cast("Outcome", outcome),
            request_id=_name(request, "id", _LONGEST_ID),
            after=request.query("after"),
        )
        if form == "json":
            found = await self._records().receipts(wanted)
            await request.reply_json({"data": found["receipts"], "next": found["next"]})
            return
        lines = self._records().export(wanted, cast('Literal["csv", "jsonl"]', form))
        await _stream(request, lines, f"receipts.{form}", _CSV if form == "csv" else _JSON_LINES)

    def _records(self) -> Records:
        if self._stored is None:
            raise RecordsUnavailable("No receipts are stored: storage.records is off in the settings.")
        return self._stored

    def _since(self, request: Request) -> float:
        since = self._desk.moment(request, "since")
        return self._desk.clock.now().wall - WEEK if since is None else since


def _one_of(request: Request, name: str, words: tuple[str, ...]) -> str:
    """Return the query parameter *name*, the first of *words* if there is none; raises InvalidRequest."""
    text = request.query(name)
    if text is None:
        return words[0]
    if text not in words:
        raise InvalidRequest(f"{name} must be {', '.join(words[:-1])} or {words[-1]}.", param=name)
    return text


def _listed(request: Request, name: str, words: tuple[str, ...], default: str) -> list[str]:
    """Return the query parameter *name*, some of *words* with commas between; raises InvalidRequest."""
    found = [word for word in (request.query(name) or default).split(",") if word]
    if not set(found) <= set(words):
        raise InvalidRequest(f"{name} must be some of {', '.join(words)}, with commas between.", param=name)
    return list(dict.fromkeys(found))


def _name(request: Request, name: str, longest: int = _LONGEST_NAME) -> str | None:
    text = request.query(name)
    if text is not None and not (len(text) <= longest and text.isprintable()):
        raise InvalidRequest(f"{name} is no name.", param=name)
    return text


def _saved_as(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}


async def _file(request: Request, body: bytes, name: str, content_type: bytes) -> None:
    await request.reply(200, body, _saved_as(name), content_type=content_type)


async def _stream(request: Request, pieces: AsyncIterator[bytes], name: str, content_type: bytes) -> None:
    """Send *pieces* as they come, as long as the caller is there.

    What fails before the first of them is an error; after it the file is cut off, for the caller to see.
    """
    first = await anext(pieces, b"")
    if request.method == "HEAD":
        await request.reply(200, b"", _saved_as(name), content_type=content_type)
        return
    with CallerWatch(request) as watch:
        await request.begin(200, content_type, _saved_as(name))
        await request.more(first)
        async for piece in pieces:
            await request.more(piece)
    if not watch.left:
        await request.end()
