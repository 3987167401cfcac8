"""Text from outside, made safe to put into a header or a log line."""


def printable(value: str, limit: int = 128) -> str:
    """Return *value* as ASCII without control characters, at most *limit* characters."""
    if len(value) <= limit and value.isascii() and value.isprintable():
        return value
    cut = value[: limit + 1]
    safe = "".join(char if " " <= char <= "~" else "?" for char in cut)
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."
