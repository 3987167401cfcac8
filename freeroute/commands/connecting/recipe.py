"""What is told of a client that can be pointed at a gateway."""

from collections.abc import Callable, Mapping
from pathlib import Path as File

from msgspec import Struct

from freeroute.commands.connecting.files import Edit
from freeroute.commands.connecting.target import Target


class Home(Struct, frozen=True):
    """Where a person's files are: the *directory*, and the variables that move them."""

    directory: File
    env: Mapping[str, str]

    def place(self, variable: str, usual: str) -> File:
        """Return the directory that *variable* names, else the *usual* one."""
        told = self.env.get(variable)
        return File(told).expanduser() if told else self.directory / usual


Variables = Mapping[str, str]


class Recipe(Struct, frozen=True):
    """One client: *program* is what starts it, *install* how it is had; *arguments* come before one's own.

    It *needs_files* if its variables alone do not do, for one run either. What is *unset* goes before them.
    """

    name: str
    title: str
    files: Callable[[Target, Home], list[Edit]] = lambda target, home: []
    variables: Callable[[Target], Variables] = lambda target: {}
    unset: tuple[str, ...] = ()
    arguments: Callable[[Target], list[str]] = lambda target: []
    notes: Callable[[Target], list[str]] = lambda target: []
    program: str | None = None
    install: str = ""
    needs_files: bool = False
