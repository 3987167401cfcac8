"""What one stream takes: by what its provider tells, as far as that can be true, else by its text."""

import math

import msgspec

from freeroute.domain.usage import Usage, believed
from freeroute.wire.answers import (
    Piece,
    estimated_usage,
    is_meaningful,
    text_size,
    usage_in,
    usage_object,
    usage_of,
)
from freeroute.wire.mending import mended_usage

# A stream may bring so many bytes for each token of its bound, and so many more, before it is taken for one
# without end: thoughts are outside the bound at some providers, and a token may be a long word. Own design.
BEYOND_BOUND = 30
BEYOND_ANY_BOUND = 64 * 1024


class Counting:
    """Counts *text*, the bytes a stream has brought, and keeps the last usage that its provider told.

    With more than *most* bytes it is far longer than was asked for.

    *is_owed* says whether the caller asked for the usage and was not told.
    """

    def __init__(self, prompt: int, *, thinks: bool, wanted: bool = False, bound: int | None = None) -> None:
        """Take *prompt* tokens where none are told; a model that *thinks* may hide its thoughts.

        *wanted* says whether the caller asked for the usage; *bound* tokens are what all choices together may
        take.
        """
        self.is_owed = wanted
        self._wanted = wanted
        self.text = 0
        self.most = math.inf if bound is None else bound * BEYOND_BOUND + BEYOND_ANY_BOUND
        self._thinks = thinks
        self._prompt = prompt
        self._told: Usage | None = None
        self._raw: dict[str, object] = {}

    def take(self, piece: Piece) -> bool:
        """Count *piece*; say whether it brought anything."""
        size = text_size(piece)
        self.text += size
        if piece.usage is not None or piece.x_groq is not None:
            raw = usage_in(piece)
            if (told := usage_of(raw)) is not None:
                self._told, self._raw = told, raw
        return size > 0 or is_meaningful(piece)

    def set(self, usage: Usage) -> None:
        """Take *usage* for what was told."""
        self._told, self._raw = usage, usage_object(usage)

    def believes(self, piece: Piece) -> bool:
        """Say whether *piece*, the last one taken, tells a usage that can be true."""
        told = self._told if piece.usage is self._raw else usage_of(piece.usage)
        return told is not None and self._believed(told) is told

    def travels(self, piece: Piece, *, finished: bool) -> bool:
        """Say whether the caller gets *piece*, the last one taken: one for the usage alone only if it asked.

        Such a one may have an empty choice, as OpenRouter's last chunk after the stream has *finished*.
        """
        counts = piece.usage is not None and self.believes(piece)
        afterword = finished and piece.finish is None and piece.usage is not None and not is_meaningful(piece)
        if piece.choices is None or ((piece.is_usage_only or afterword) and not (self._wanted and counts)):
            return False
        self.is_owed = self.is_owed and not counts
        return True

    @property
    def usage(self) -> Usage:
        """Return what the stream has taken so far."""
        if self._told is None:
            return estimated_usage(self._prompt, self.text)
        return self._believed(self._told)

    def _believed(self, told: Usage) -> Usage:
        return believed(told, self._prompt, self.text, thinks=self._thinks)

    def told(self) -> dict[str, object]:
        """Return what the stream has taken in OpenAI's form, with all that its provider told beside it."""
        usage = self.usage
        raw = mended_usage(self._raw) if usage is self._told else None
        return raw or usage_object(usage)


def without_usage(payload: bytes) -> bytes:
    """Return the chunk *payload* without its usage; everything else keeps its bytes."""
    fields = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    fields["usage"] = msgspec.Raw(b"null")
    return msgspec.json.encode(fields)
