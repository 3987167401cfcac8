"""What is kept in a file that others may change at any time, in memory and in step with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import structlog

from freeroute.errors import ConfigError

PAUSE = 0.5
"""Seconds between looks at a file: a change counts within one. Own design: a look costs a system call."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Readable(Protocol[T_co]):
    """A file of the state directory; `stores.kept_file.KeptFile` is one."""

    def read(self) -> T_co:
        """Return the content; raises ConfigError if it cannot be read."""
        ...

    def mark(self) -> object:
        """Return what differs once it has been changed; None while there is none."""
        ...


class Followed(Generic[T]):
    """The content of a file, as *value*; it changes when somebody looks, and not otherwise."""

    def __init__(self, what: str, file: Readable[T]) -> None:
        """Read *file*, which holds *what* in the plural; raises ConfigError if it cannot be read."""
        self._what = what
        self._file = file
        self._mark, self.value = file.mark(), file.read()
        self._turn = asyncio.Lock()
        self._log = structlog.get_logger(f"freeroute.{what}")

    async def look(self) -> bool:
        """Read the file if it has changed; say whether there is anything new.

        One that is gone or damaged changes nothing: a mistake with a file must not open the gateway. Whoever
        looks while another does gets what was there when it asked, or newer.
        """
        async with self._turn:
            if (mark := self._file.mark()) == self._mark:
                return False
            self._mark = mark
            try:
                if mark is None:
                    raise ConfigError(
                        f"the file of {self._what} is gone; what was in it stays until a restart"
                    )
                self.value = await asyncio.to_thread(self._file.read)
            except ConfigError as exc:
                self._log.error(f"{self._what} not read again, the old ones stay", reason=str(exc))
                return False
            self._log.info(f"{self._what} changed")
            return True


async def watch(
    look: Callable[[], Awaitable[bool]], changed: Callable[[], None], pause: float = PAUSE
) -> None:
    """Look every *pause* seconds, for ever, and call *changed* after each change."""
    while True:
        await asyncio.sleep(pause)
        if await look():
            changed()
