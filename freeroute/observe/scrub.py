"""Hides keys in whatever is logged."""

import re
from collections.abc import Iterable

from freeroute.domain.receipt import Likeness

# Shorter than this, a key of the settings is no secret but a word such as `demo`.
SHORTEST_SECRET = 8
# What keys look like, by how their issuers begin them or by where they stand.
_ISSUED = "sk gsk csk fr fa fo hf nvapi xai pk rk ghp github_pat tgp r8 AKIA".split()
_KEY_LIKE = (
    rf"\b(?:{'|'.join(_ISSUED)})[-_][A-Za-z0-9_-]{{12,}}"
    r"|\bAIza[A-Za-z0-9_-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*"
    r"|(?<=[Bb]earer )[^\s\"',;]{6,}"
    r"|(?<=key=)[^\s&\"']{6,}|(?<=token=)[^\s&\"']{6,}"
)
# What is in every text that has something like a key in it: most texts are not looked at any further. Each
# begins with a character that is rare, and looks back from there, at one character first: the rest is passed
# over at once.
_BEGUN = "|".join(f"(?<={begin}.)" for begin in _ISSUED)
_BEGUN = f"(?<=[{''.join({begin[-1] for begin in _ISSUED})}].)(?:{_BEGUN})"
_SIGNS_OF_KEYS = (
    *(f"-{_BEGUN}", f"_{_BEGUN}", "z(?<=AIz)a", "J(?<=eyJ)"),
    *(" (?<=earer )", "=(?:(?<=key=)|(?<=token=))"),
)
# The ids that requests are given here: whatever its letters and digits, none is like a key.
_ID_LENGTH = 28
_is_id = re.compile(rf"req_[0-9A-Za-z]{{{_ID_LENGTH - 4}}}").fullmatch
HIDDEN = "[redacted]"
"""Stands where a key stood."""
# Texts that were cleaned are remembered, so many and so long. Own design: a large catalogue's names, 0.5 MB.
_REMEMBERED = 4096
_REMEMBERED_LENGTH = 96


class Scrub:
    """Hides *secrets*, and whatever looks like one, in every text that is logged."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Hide *secrets* wherever they stand."""
        self._former: set[str] = set()
        self.known: dict[str, str] = {}  # how texts that lines repeat come out
        self.forms: dict[Likeness, str] = {}  # and what lines of like requests are filled in
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Hide other *secrets* from now on; those before them stay hidden too, until the next time."""
        now = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._spares_ids = not any(map(_fits_in_an_id, now | self._former))
        exact = [re.escape(secret) for secret in sorted(now | self._former, key=len, reverse=True)]
        self._pattern = re.compile("|".join([*exact, _KEY_LIKE]))
        self._sign = re.compile("|".join([*exact, *_SIGNS_OF_KEYS]))
        self.known.clear()
        self.forms.clear()
        self._former = now

    def hidden(self, text: str) -> str:
        """Return *text* without secrets, its lines kept: only a traceback has several."""
        return self._pattern.sub(HIDDEN, text)

    def clean(self, value: object) -> object:
        """Return *value* without secrets and control characters, in whatever it holds too."""
        if isinstance(value, str):
            return self.known.get(value) or self._remembered(value)
        if isinstance(value, (int, float)) or value is None:
            return value
        if isinstance(value, dict):
            return {str(name): self.clean(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean(inner) for inner in value]
        return self._remembered(str(value))

    def one_line(self, text: str) -> str:
        """Return *text* without secrets and control characters."""
        if self._spares_ids and _is_id(text):
            return text  # as for nearly every request: looking for signs of keys would cost twice as much
        clean = self.hidden(text) if self._sign.search(text) else text
        if not clean.isprintable():
            clean = "".join(char if char.isprintable() else "?" for char in clean)
        return clean

    def _remembered(self, text: str) -> str:
        clean = self.one_line(text)
        if len(text) <= _REMEMBERED_LENGTH:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[text] = clean
        return clean


def _fits_in_an_id(secret: str) -> bool:
    """Say whether an id of ours might hold *secret*."""
    return len(secret) <= _ID_LENGTH and secret.replace("_", "").isalnum()
