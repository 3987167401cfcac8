"""What a connection may cost."""

from msgspec import Struct


class Bounds(Struct, frozen=True):
    """What a connection may cost: bytes and count of headers, and seconds of patience.

    *head_seconds* is for a request's head, *slow_head_seconds* if there is no room for others;
    *linger_seconds* and *linger_bytes* are for a body nobody reads, so that a caller still sending it gets to
    see the answer. A caller that reads nothing for *write_seconds* is given up, at the latest after twice as
    long; nginx gives it a minute (`send_timeout`). One that reads slowly is not: of what it has not read
    *unread_bytes* are left to the system, which else keeps megabytes back and shows for long that nothing
    moves. While *behind* requests wait for the one that is answered, no more are read. Own design: hardly any
    client sends ahead, and each that waits takes a kilobyte. Each connection remembers the head of its last
    request, if it has less than *known_bytes*.
    """

    head_bytes: int = 64 * 1024
    headers: int = 100
    head_seconds: float = 30.0
    slow_head_seconds: float = 5.0
    linger_seconds: float = 5.0
    linger_bytes: int = 8 * 1024 * 1024
    write_seconds: float = 30.0
    unread_bytes: int = 128 * 1024
    behind: int = 8
    known_bytes: int = 2048
