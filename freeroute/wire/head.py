"""Headers as the lines that an answer leaves with."""

from collections.abc import ItemsView, Iterator, Mapping


class Head(Mapping[str, str]):
    """Headers in the *lines* they leave as, each with its line end; the values are printable ASCII.

    Nearly every answer leaves just so: only who wants one of its headers has the lines taken apart.
    """

    __slots__ = ("lines",)

    def __init__(self, lines: bytes) -> None:
        """Have the headers of *lines*."""
        self.lines = lines

    def __getitem__(self, name: str) -> str:
        """Return the value of the header *name*."""
        return self._taken_apart()[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names, in order."""
        return iter(self._taken_apart())

    def __len__(self) -> int:
        """Return how many there are."""
        return self.lines.count(b"\n")

    def items(self) -> ItemsView[str, str]:
        """Return all of them at once."""
        return self._taken_apart().items()

    def _taken_apart(self) -> dict[str, str]:
        pairs = (line.partition(": ") for line in self.lines.decode("ascii").split("\r\n")[:-1])
        return {name: value for name, _, value in pairs}
