"""Pictures of pages in 256 colours: a page has hardly more, and the file is a third."""

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

# The colours that most of the picture has; every other becomes the nearest of them.
IN_FEW_COLOURS = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]));
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const pixels = new Uint32Array(canvas.getImageData(0, 0, width, height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const palette = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 256).map(([pixel]) => pixel);
  const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const far = (one, other) => parts(one).reduce((sum, part, at) => sum + (part - parts(other)[at]) ** 2, 0);
  const places = new Map(palette.map((pixel, place) => [pixel, place]));
  for (const pixel of counts.keys()) {
    if (places.has(pixel)) continue;
    const nearest = palette.reduce((best, one) => (far(one, pixel) < far(best, pixel) ? one : best));
    places.set(pixel, places.get(nearest));
  }
  const rows = [];
  for (let at = 0; at < pixels.length; at += width) {
    const row = pixels.subarray(at, at + width).map((pixel) => places.get(pixel));
    rows.push(btoa(String.fromCharCode(...row)));
  }
  return { width, height, palette: palette.flatMap(parts), rows };
}"""


def small(browser: Any, png: bytes) -> bytes:
    """Return *png* with the 256 colours that it has most."""
    page = browser.new_page()
    found = page.evaluate(IN_FEW_COLOURS, base64.b64encode(png).decode())
    page.close()
    lines = b"".join(b"\0" + base64.b64decode(row) for row in found["rows"])
    head = struct.pack(">IIBBBBB", found["width"], found["height"], 8, 3, 0, 0, 0)
    parts = (
        (b"IHDR", head),
        (b"PLTE", bytes(found["palette"])),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def save(browser: Any, page: Any, path: Path) -> None:
    """Keep what *page* shows at *path*."""
    path.write_bytes(small(browser, page.screenshot()))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
