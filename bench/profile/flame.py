"""A flame graph as SVG, without scripts: what is too narrow to be seen is left out, so it stays small."""

from collections import Counter
from html import escape
from zlib import crc32

from bench.profile.stacks import Stack

_WIDTH, _ROW, _MARGIN = 1200.0, 16, 24
_LETTER = 6.1  # px that a letter takes at 10 px
_NARROWEST = 1.2  # px: narrower frames cannot be told apart
# Rooms of freeroute have a colour each, all the rest is grey.
_COLOURS = {
    "freeroute/surfaces": "#e8a15c",
    "freeroute/wire": "#d9c556",
    "freeroute/upstreams": "#e0787a",
    "freeroute/engine": "#7fb37c",
    "freeroute/domain": "#6fa8c9",
    "freeroute/stores": "#a58fc9",
    "freeroute/observe": "#c98fb4",
}
_STYLE = "text{font:10px monospace;fill:#222;pointer-events:none}rect{stroke:#fff;stroke-width:.5}"


class _Frame:
    """One call, as often as it was seen, with what it called."""

    def __init__(self) -> None:
        self.count = 0
        self.called: dict[str, _Frame] = {}


def drawn(seen: Counter[Stack], title: str) -> str:
    """Return the picture of *seen*; a pointer on a frame shows its name and share."""
    root = _Frame()
    for stack, count in seen.items():
        frame = root
        frame.count += count
        for name in stack:
            frame = frame.called.setdefault(name, _Frame())
            frame.count += count
    lines: list[str] = []
    depth = _draw(root, lines, 0.0, 0, _WIDTH / max(root.count, 1), root.count)
    height = depth * _ROW + 2 * _MARGIN
    legend = "".join(
        f'<rect x="{8 + 150 * at}" y="{height - 18}" width="12" height="12" fill="{colour}"/>'
        f'<text x="{24 + 150 * at}" y="{height - 8}">{room}</text>'
        for at, (room, colour) in enumerate(_COLOURS.items())
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height}" role="img">'
    named = f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    ground = f'<rect width="100%" height="100%" fill="#fff"/><text x="8" y="15">{escape(title)}</text>'
    return "\n".join([head, named, ground, *lines, legend, "</svg>", ""])


def _draw(frame: _Frame, lines: list[str], left: float, depth: int, scale: float, total: int) -> int:
    """Draw what *frame* called, below it; return how deep that goes."""
    deepest = depth
    for name, called in sorted(frame.called.items()):
        width = called.count * scale
        if width >= _NARROWEST:
            lines.append(_box(name, called.count / total, left, _MARGIN + depth * _ROW, width))
            deepest = max(deepest, _draw(called, lines, left, depth + 1, scale, total))
        left += width
    return max(deepest, depth + 1) if frame.called else deepest


def _box(name: str, share: float, left: float, top: int, width: float) -> str:
    told = escape(f"{name} {share:.1%}")
    box = f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_ROW - 1}" fill="{_colour(name)}"/>'
    fits = int(width / _LETTER) - 1
    text = f'<text x="{left + 2:.1f}" y="{top + 11}">{escape(name[:fits])}</text>' if fits >= 3 else ""
    return f"<g><title>{told}</title>{box}{text}</g>"


def _colour(name: str) -> str:
    path = name.rpartition("(")[2]
    room = next((colour for room, colour in _COLOURS.items() if path.startswith(room)), None)
    grey = 208 + crc32(name.encode()) % 24
    return room or f"#{grey:02x}{grey:02x}{grey:02x}"
