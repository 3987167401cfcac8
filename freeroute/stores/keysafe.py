"""The file ``providers.json``: what operators entered, and the keys among it under seal."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec import Struct, structs

from freeroute.domain.keys import KeyPlace
from freeroute.domain.overlay import EnteredKey, Overlay
from freeroute.errors import ConfigError
from freeroute.stores.kept_file import KeptFile, write_whole
from freeroute.stores.permissions import open_to_others
from freeroute.stores.sealing import VARIABLE, Seal, Unopened, key_of, new_key

NAME = "providers.json"
KEY_NAME = "encryption_key"
FORMAT = 1

LOOKS = 5
"""How often the two files are read if one was replaced meanwhile. Own design: a re-key does that thrice."""

_CHECK = "these keys are sealed with this key"
_ABOUT_CHECK = "check"


class KeptOverlay(Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the file; *check* opens with the encryption key that everything in it is sealed with."""

    format: int
    check: str = ""
    overlay: Overlay = Overlay()


class Opened(Struct, frozen=True):
    """What was entered, with the *secrets* of its keys. *problem* says why there are none, if so.

    *damaged* are keys that do not open though the encryption key is the right one.
    """

    overlay: Overlay = Overlay()
    secrets: dict[KeyPlace, str] = {}
    problem: str | None = None
    damaged: frozenset[KeyPlace] = frozenset()

    def __repr__(self) -> str:
        """Never show a key."""
        return f"Opened(keys={len(self.overlay.keys)!r}, problem={self.problem!r})"


class Locked(ConfigError):
    """The encryption key is missing or another one."""


class Sealing:
    """The keys of one content, by the encryption key that it goes by."""

    def __init__(self, check: str, seals: Callable[[], Iterable[Seal]], made: Callable[[], Seal]) -> None:
        """Go by *check*. *seals* are the encryption keys there are, *made* gives one if nothing is sealed."""
        self.check = check
        self._seals = seals
        self._made = made
        self._seal: Seal | None = None

    def open(self, key: EnteredKey) -> str:
        """Return the secret of *key*; raises Locked, and Unopened if it is damaged."""
        return self._current().open(key.sealed, key.provider, key.label, key.origin)

    def close(self, place: KeyPlace, origin: str, secret: str) -> str:
        """Return *secret* sealed for the key at *place* and for *origin* alone; raises Locked."""
        return self._current().close(secret, *place, origin)

    def goes_by(self, seal: Seal) -> bool:
        """Say whether the content is sealed with *seal*."""
        try:
            return bool(self.check) and seal.open(self.check, _ABOUT_CHECK) == _CHECK
        except Unopened:
            return False

    def by(self, seal: Seal) -> "Sealing":
        """Return what seals anew with *seal*."""
        other = Sealing(seal.close(_CHECK, _ABOUT_CHECK), lambda: [seal], lambda: seal)
        other._seal = seal
        return other

    def _current(self) -> Seal:
        if self._seal is None:
            self._seal = self._found()
        return self._seal

    def _found(self) -> Seal:
        if not self.check:
            seal = self._made()
            self.check = seal.close(_CHECK, _ABOUT_CHECK)
            return seal
        for seal in self._seals():
            if self.goes_by(seal):
                return seal
        raise Locked(
            f"the keys in {NAME} are sealed with another encryption key than those of {VARIABLE} and the file"
            f" {KEY_NAME}: bring that one back, or remove {NAME} and enter the keys again"
        )


Change = Callable[[Overlay, Sealing], Overlay]


class KeySafe:
    """What was entered, in a state directory, and the encryption key: told, or in a file beside it."""

    def __init__(self, directory: Path, told: str | None) -> None:
        """Keep things in *directory*. *told* are encryption keys with commas between them, the first for what
        is sealed anew; raises ConfigError if one is none.
        """
        self._file = KeptFile(directory / NAME, KeptOverlay(FORMAT))
        self.path = self._file.path
        self.key_path = directory / KEY_NAME
        self.told = [Seal(key_of(part.strip(), VARIABLE)) for part in (told or "").split(",") if part.strip()]

    def read(self) -> Opened:
        """Return what was entered; raises ConfigError if the file cannot be read.

        A wrong encryption key is no error here: the keys stay shut, and it is said why.
        """
        for _ in range(LOOKS):
            before = self.mark()
            opened = self._opened(self._file.read())
            if opened.problem is None or self.mark() == before:
                return opened
        return self._opened(self._file.read())

    def update(self, change: Change) -> None:
        """Replace what was entered by what *change* makes of it; raises ConfigError and what that raises."""
        self._file.update(lambda old: self._changed(old, change))

    def rekey(self) -> int:
        """Seal all keys anew, and return how many; raises ConfigError, and then nothing has changed.

        The new encryption key is the first of those told. If none is told one is made, and it is in the file
        beside the old one until everything is sealed with it: whenever this ends, what is there opens.
        """
        count = 0

        def again(old: KeptOverlay) -> KeptOverlay:
            nonlocal count
            sealing = self._sealing(old)
            secrets = {key.place: _opened(sealing, key) for key in old.overlay.keys}
            count = len(secrets)
            new = sealing.by(self._next(sealing))
            keys = tuple(
                structs.replace(key, sealed=new.close(key.place, key.origin, secrets[key.place]))
                for key in old.overlay.keys
            )
            return structs.replace(old, check=new.check, overlay=structs.replace(old.overlay, keys=keys))

        self._file.update(again)
        self._file.update(self._tidied)
        return count

    def mark(self) -> object:
        """Return what differs once one of the files has been changed; None while nothing was entered."""
        try:
            found = self.key_path.stat()
        except OSError:
            return self._file.mark()
        # As of the other file, whoever mends its permissions is noticed too.
        changed = found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
        return self._file.mark() and (self._file.mark(), changed)

    # --- inside ------------------------------------------------------------------------------------

    def _sealing(self, content: KeptOverlay) -> Sealing:
        return Sealing(content.check, self._seals, self._first)

    def _changed(self, old: KeptOverlay, change: Change) -> KeptOverlay:
        sealing = self._sealing(old)
        overlay = change(old.overlay, sealing)
        return KeptOverlay(FORMAT, sealing.check, overlay)

    def _opened(self, content: KeptOverlay) -> Opened:
        sealing = self._sealing(content)
        secrets: dict[KeyPlace, str] = {}
        damaged: set[KeyPlace] = set()
        try:
            for key in content.overlay.keys:
                try:
                    secrets[key.place] = sealing.open(key)
                except Unopened:
                    damaged.add(key.place)
        except ConfigError as exc:
            return Opened(content.overlay, problem=str(exc))
        return Opened(content.overlay, secrets, damaged=frozenset(damaged))

    def _seals(self) -> Iterator[Seal]:
        yield from self.told
        yield from self._kept()

    def _first(self) -> Seal:
        """Return what the first key is sealed with: what is told, or there, or made now."""
        return next(self._seals(), None) or self._make([])

    def _next(self, sealing: Sealing) -> Seal:
        """Return what all keys are to be sealed with instead."""
        if not self.told:
            return self._make(self._lines())
        if sealing.goes_by(self.told[0]):
            raise ConfigError(
                f"everything is sealed with the first key of {VARIABLE} already: set it to NEW,OLD, and again"
            )
        return self.told[0]

    def _make(self, others: list[str]) -> Seal:
        made = new_key()
        self._write([made, *others])
        return Seal(key_of(made, str(self.key_path)))

    def _tidied(self, content: KeptOverlay) -> KeptOverlay:
        """Leave in the file of encryption keys the one that *content* goes by; none if that one is told."""
        sealing, lines = self._sealing(content), self._lines()
        if any(sealing.goes_by(seal) for seal in self.told):
            self.key_path.unlink(missing_ok=True)
        else:
            self._write([line for line in lines if sealing.goes_by(self._seal(line))])
        return content

    def _kept(self) -> list[Seal]:
        return [self._seal(line) for line in self._lines()]

    def _seal(self, line: str) -> Seal:
        return Seal(key_of(line, str(self.key_path)))

    def _lines(self) -> list[str]:
        try:
            if mode := open_to_others(self.key_path.resolve()):
                raise Locked(
                    f"{self.key_path}: others than its owner can use it (mode {mode:04o}): chmod 600, and if"
                    " somebody may have read it, `freeroute keys rekey`"
                )
            return self.key_path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as exc:
            raise Locked(f"{self.key_path}: cannot be read") from exc

    def _write(self, keys: list[str]) -> None:
        try:
            write_whole(self.key_path, "".join(f"{key}\n" for key in keys).encode())
        except OSError as exc:
            raise ConfigError(f"{self.key_path}: cannot be written: {exc.strerror}") from exc


def _opened(sealing: Sealing, key: EnteredKey) -> str:
    try:
        return sealing.open(key)
    except Unopened as exc:
        raise ConfigError(
            f"{key.provider}: the key {key.label} is damaged: remove it first, and enter it again after"
        ) from exc
