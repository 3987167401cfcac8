"""The dashboard's files, as they lie in their directory."""

import asyncio
import hashlib
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
        content = await asyncio.to_thread(self._read, name)
        if content is None:
            raise NotFound("The dashboard has no such file.")
        etag = '"' + hashlib.sha256(content).hexdigest()[:32] + '"'
        headers = {**_HEADERS, "etag": etag}
        if etag in (request.header(b"if-none-match") or ""):
            await request.reply(304, b"", headers)
            return
        kind = _TYPES.get(Path(name).suffix, b"application/octet-stream")
        await request.reply(200, content, headers, content_type=kind)

    def _read(self, name: str) -> bytes | None:
        # Resolved first, so that neither dots nor links lead out; hidden files are nobody's business.
        if "\0" in name or "\\" in name or any(part.startswith(".") for part in name.split("/")):
            return None
        try:
            path = (self._directory / name).resolve()
            return path.read_bytes() if path.is_relative_to(self._directory) else None
        except OSError:  # not there, a directory, a name too long
            return None
