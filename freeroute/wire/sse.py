"""Server-sent events: bytes in any split to payloads, and payloads back to bytes."""

DONE = b"[DONE]"

_CR, _LF = 13, 10
_BOM = b"\xef\xbb\xbf"
_LIMIT = 4 * 1024 * 1024
# Bytes of bare JSON over several lines. Own design: an error that says more is not worth reading.
_STRAY_LIMIT = 64 * 1024
_FIELDS = (b":", b"event", b"id", b"retry")
# What every piece of an answer has.
_CHUNK = b'"choices"'


class EventTooLarge(ValueError):
    """An event, or a line of one, is longer than the parser keeps."""


class SseParser:
    """Cuts a byte stream into the data payloads of its events.

    Only ``data`` fields matter here; comments, names, ids and retry times are passed over. What looks like
    bare JSON is kept aside: some servers report errors that way, instead of a stream or in its middle. A line
    that lost the name of its field is not passed over if it is a piece of an answer: it is data.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        """Refuse events of more than *limit* bytes."""
        self._stray: list[bytes] = []
        self._stray_size = 0
        self._limit = limit
        self._head: bytes | None = b""  # bytes that may still turn out to be a byte order mark
        self._line: list[bytes] = []
        self._line_size = 0
        self._data: list[bytes] = []
        self._data_size = 0
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads of the events that *data* completes; raises EventTooLarge."""
        if self.is_between and (payload := self.alone(data)) is not None:
            return [payload]
        if self._head is not None:
            data = self._without_mark(self._head + data)
        if self._after_cr and data:
            # The CR already ended its line, so a LF right behind it belongs to it.
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if not data:
            return []
        if _CR in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if _LF not in data:
            self._keep(data)
            return []
        return self._read(data)

    @property
    def is_between(self) -> bool:
        """Say whether all that came so far is read: what comes next begins an event."""
        return self._head is None and not (self._line or self._data or self._after_cr)

    def alone(self, data: bytes) -> bytes | None:
        """Return the payload if *data* is one event on one line, as nearly all is that a stream brings."""
        size = len(data)
        is_alone = (
            data.find(b"\n") == size - 2 <= self._limit
            and data[-1] == _LF
            and data.startswith(b"data: ")
            and data.find(b"\r") < 0
        )
        return data[6:-2] if is_alone else None

    def finish(self) -> list[bytes]:
        """Return the payload of an event the stream ended in without its blank line."""
        self._head = None
        tail = b"".join(self._line)
        self._line, self._line_size = [], 0
        events: list[bytes] = []
        if tail:
            self._take(tail)
        if self._data:
            events.append(self._event())
        return events

    @property
    def stray(self) -> bytes | None:
        """Return the last bare JSON of the stream, on one line or on several; None if there was none."""
        return b"\n".join(self._stray) if self._stray else None

    def _without_mark(self, data: bytes) -> bytes:
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._head = data
            return b""
        self._head = None
        return data.removeprefix(_BOM)

    def _keep(self, data: bytes) -> None:
        self._line_size += len(data)
        self._check()
        self._line.append(data)

    def _read(self, data: bytes) -> list[bytes]:
        lines = data.split(b"\n")
        if self._line:
            lines[0] = b"".join((*self._line, lines[0]))
        self._line, self._line_size = [], 0
        rest = lines.pop()
        events: list[bytes] = []
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                events.append(self._event())
        if rest:
            self._keep(rest)
        return events

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._add(line[6:] if line[5:6] == b" " else line[5:])
        elif _CHUNK in line and not self._stray and not line.startswith(_FIELDS):
            self._add(line)
        elif line == b"data":
            self._data.append(b"")
        elif line.startswith((b"{", b"[")) and self._stray != [b"["]:
            self._stray, self._stray_size = [line], len(line)
        elif self._stray and not line.startswith(_FIELDS):
            self._stray_size += len(line)
            if self._stray_size <= _STRAY_LIMIT:
                self._stray.append(line)

    def _add(self, value: bytes) -> None:
        self._data.append(value)
        self._data_size += len(value) + 1
        self._check()

    def _event(self) -> bytes:
        payload = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data, self._data_size = [], 0
        return payload

    def _check(self) -> None:
        if self._line_size + self._data_size > self._limit:
            raise EventTooLarge(f"an event of more than {self._limit} bytes")


def payload_of(event: bytes) -> bytes:
    """Return the payload of an *event* on one line, as ``frame`` makes them."""
    return event[6:-2]


def frame(payload: bytes) -> bytes:
    """Return *payload* as one event on the wire."""
    # Not `in`, which first takes what is looked for for a number, and raises inside.
    if payload.find(b"\n") >= 0 or payload.find(b"\r") >= 0:
        lines = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        payload = b"\ndata: ".join(lines)
    return b"data: " + payload + b"\n\n"
