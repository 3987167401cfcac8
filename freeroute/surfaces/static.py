"""The dashboard's files, as they lie in their directory."""

import asyncio
import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from freeroute.errors import NotFound
from freeroute.surfaces.guard import Access
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route

_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".ico": b"image/x-icon",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".mjs": b"text/javascript; charset=utf-8",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".webmanifest": b"application/manifest+json",
    ".woff2": b"font/woff2",
}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}


@lru_cache(maxsize=64)
def _packed(content: bytes) -> bytes:
    """Return *content* compressed; there are some forty files, which change with a release."""
    return gzip.compress(content, mtime=0)


def _takes_gzip(accepted: str | None) -> bool:
    """Say whether *accepted*, the header of a request, names gzip and does not refuse it."""
    for each in (accepted or "").lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class DashboardSurface:
    """The files of the dashboard."""

    def __init__(self, directory: Path) -> None:
        """Serve the files in *directory*."""
        self._directory = directory.resolve()

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            Route("/dashboard", {"GET": self.index}, Access.PAGE),
            Route("/dashboard/{file:path}", {"GET": self.file}, Access.PAGE),
        ]

    async def index(self, request: Request) -> None:
        """Give the page itself."""
        await self._give(request, "index.html")

    async def file(self, request: Request) -> None:
        """Give one of the page's files."""
        await self._give(request, request.params["file"])

    async def _give(self, request: Request, name: str) -> None:
        packed = _takes_gzip(request.header(b"accept-encoding"))
        found = await asyncio.to_thread(self._found, name, packed=packed)
        if found is None:
            raise NotFound("The dashboard has no such file.")
        content, etag = found
        headers = {**_HEADERS, "etag": etag, "vary": "accept-encoding"}
        if etag in (request.header(b"if-none-match") or ""):
            await request.reply(304, b"", headers)
            return
        kind = _TYPES.get(Path(name).suffix, b"application/octet-stream")
        coding = {"content-encoding": "gzip"} if packed else {}
        await request.reply(200, content, headers | coding, content_type=kind)

    def _found(self, name: str, *, packed: bool) -> tuple[bytes, str] | None:
        """Return a file, *packed* if that is wanted, and its tag."""
        content = self._read(name)
        if content is None:
            return None
        digest = hashlib.sha256(content).digest()
        if not packed:
            return content, f'"{digest.hex()[:32]}"'
        return _packed(content), f'"{digest.hex()[:32]}-gzip"'

    def _read(self, name: str) -> bytes | None:
        # Resolved first, so that neither dots nor links lead out; hidden files are nobody's business.
        if "\0" in name or "\\" in name or any(part.startswith(".") for part in name.split("/")):
            return None
        try:
            path = (self._directory / name).resolve()
            return path.read_bytes() if path.is_relative_to(self._directory) else None
        except OSError:  # not there, a directory, a name too long
            return None
