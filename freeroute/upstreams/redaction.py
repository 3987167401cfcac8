"""Hiding keys that are known in texts of others: whole, in pieces, in another case, spaced out or masked."""

import re
from collections.abc import Iterator, Sequence

HIDDEN = "[redacted]"
SHORTEST = 4
"""A secret shorter than this is none, and hiding it would hide words. Own design."""
RUN = 6
"""So many characters of a key in a row are a piece of it.

Own design: providers show the first or last 4 to 12. Fewer are met by chance in ordinary words; of six drawn
ones that is less than one in a million.
"""

_MASKED = 3  # letters beside a mask that are a piece: there it is clear that something was left out
_ENDS = range(SHORTEST, RUN)  # "the key that ends in mNoP"
_BREAK = "\\s\"'`“”‘’"
_TOKEN = re.compile(f"[^{_BREAK}]+")
_ATOM = re.compile(f"[^{_BREAK}()\\[\\]{{}}<>,;:=]+")
_MASK = re.compile(r"\.{2,}|…+|[*•●]+|[xX]{3,}|_{3,}|-{3,}")
_BESIDE = re.compile(_MASK.pattern + r"|[()\[\]{}<>,;:=]+")
_EDGES = ".,:;!?()[]{}<>"


def hide(text: str, secrets: Sequence[str]) -> str:
    """Return *text* without the *secrets*: a token that holds a piece of one, in any case, is hidden whole.

    A token is what is between spaces and quotes. The time it takes grows with the lengths of both, and with
    nothing else: give it a text within bounds.
    """
    lowered = [_lower(secret) for secret in secrets if len(secret) >= SHORTEST]
    if not lowered:
        return text
    marked = bytearray(len(text))
    for begin, end in (*_runs(text, lowered), *_masked(text, lowered)):
        marked[begin:end] = b"x" * (end - begin)
    for token in _TOKEN.finditer(text):
        begin, end = token.span()
        if b"x" in marked[begin:end]:
            marked[begin:end] = b"x" * (end - begin)
    shown, at = [], 0
    for found in re.finditer(b"x+", marked):
        shown += [text[at : found.start()], HIDDEN]
        at = found.end()
    return "".join((*shown, text[at:]))


def _runs(text: str, secrets: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Return where characters of a secret stand in a row, spaces between them or not."""
    places = [place for place, char in enumerate(text) if not char.isspace()]
    squeezed = _lower("".join(text[place] for place in places))
    for run in {min(RUN, len(secret)) for secret in secrets}:
        pieces = {piece for one in secrets if min(RUN, len(one)) == run for piece in _pieces(one, run)}
        for at in range(len(squeezed) - run + 1):
            if squeezed[at : at + run] in pieces:
                yield places[at], places[at + run - 1] + 1


def _pieces(secret: str, run: int) -> Iterator[str]:
    bare = "".join(secret.split())
    return (bare[at : at + run] for at in range(len(bare) - run + 1))


def _masked(text: str, secrets: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Return the tokens that show what is beside a mask in a secret, or the very end of one."""
    for token in _TOKEN.finditer(text):
        if _MASK.search(token[0]) and any(_is_piece(part, secrets) for part in _BESIDE.split(token[0])):
            yield token.span()
    for atom in _ATOM.finditer(text):
        end = _lower(atom[0].strip(_EDGES))
        if len(end) in _ENDS and any(len(one) > len(end) and one.endswith(end) for one in secrets):
            yield atom.span()


def _is_piece(part: str, secrets: Sequence[str]) -> bool:
    piece = _lower(part.strip(_EDGES))
    return len(piece) >= _MASKED and any(piece in secret for secret in secrets)


def _lower(text: str) -> str:
    """Return *text* in lower case, each character in its place."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
