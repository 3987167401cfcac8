"""The dashboard's files, kept in memory as they lie in their directory.

The page names them below ``/dashboard/v-.../``, a digest of them all: what is there never changes, so that
browsers keep it and a second visit asks for the page alone. Whenever the page is asked for, it is looked
whether a file has changed; what it names then comes from memory.
"""

import asyncio
import gzip
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from freeroute.errors import NotFound
from freeroute.surfaces.access import Access
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
}
_CHANGING = {"cache-control": "no-cache"}
_LASTING = {"cache-control": "public, max-age=31536000, immutable"}
_VERSIONED = re.compile(r"(v-[0-9a-f]{16})/(.*)", re.DOTALL)
_NAMED = b'="/dashboard/'

_Stamp = tuple[tuple[str, int, int], ...]


class _File:
    """One file: its content, the same compressed, and the headers that are its own."""

    def __init__(self, name: str, content: bytes) -> None:
        self.kind = _TYPES.get(Path(name).suffix, b"application/octet-stream")
        self._content = content
        self._packed = gzip.compress(content, mtime=0)
        self._digest = hashlib.sha256(content).hexdigest()[:32]

    def told(self, *, packed: bool) -> tuple[bytes, dict[str, str]]:
        """Return its body and its headers."""
        if not packed:
            return self._content, {"etag": f'"{self._digest}"', "vary": "accept-encoding"}
        headers = {"etag": f'"{self._digest}-gzip"', "vary": "accept-encoding", "content-encoding": "gzip"}
        return self._packed, headers


class _Files:
    """All files as they were at one moment; *stamp* tells it from others, *version* tells others of it."""

    def __init__(self, directory: Path, stamp: _Stamp) -> None:
        self.stamp = stamp
        found = {name: (directory / name).read_bytes() for name, *_ in stamp}
        told = hashlib.sha256()
        for name, content in found.items():
            told.update(b"%d %d " % (len(name.encode()), len(content)) + name.encode() + content)
        self.version = f"v-{told.hexdigest()[:16]}"
        if page := found.get("index.html"):
            found["index.html"] = page.replace(_NAMED, _NAMED + self.version.encode() + b"/")
        self.by_name: Mapping[str, _File] = {name: _File(name, content) for name, content in found.items()}


def _stamp(directory: Path) -> _Stamp:
    """Return name, change and size of each file in *directory*, without hidden ones and links out of it."""

    def within(folder: str) -> Iterator[tuple[str, int, int]]:
        with os.scandir(directory / folder) as entries:
            for entry in entries:
                name = f"{folder}{entry.name}"
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink() and not Path(entry).resolve().is_relative_to(directory):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from within(f"{name}/")
                elif entry.is_file():
                    stat = entry.stat()
                    yield name, stat.st_mtime_ns, stat.st_size

    return tuple(sorted(within("")))


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
        self._files: _Files | None = None

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            Route("/dashboard", {"GET": self.index}, Access.PAGE),
            Route("/dashboard/{file:path}", {"GET": self.file}, Access.PAGE),
        ]

    async def index(self, request: Request) -> None:
        """Give the page itself."""
        await self._give(request, await asyncio.to_thread(self._looked), "index.html", _CHANGING)

    async def file(self, request: Request) -> None:
        """Give one of the page's files."""
        name = request.params["file"]
        files = self._files
        if versioned := _VERSIONED.fullmatch(name):
            name = versioned[2]
            if files is not None and versioned[1] == files.version:
                return await self._give(request, files, name, _LASTING)
        # A page that was opened before an update asks for what was there then, and gets what is there now.
        return await self._give(request, await asyncio.to_thread(self._looked), name, _CHANGING)

    def _looked(self) -> _Files:
        """Return the files as they are now; those of before if they are being replaced at this moment."""
        try:
            stamp = _stamp(self._directory)
            if self._files is None or self._files.stamp != stamp:
                self._files = _Files(self._directory, stamp)
        except OSError:
            if self._files is None:
                raise NotFound("The dashboard's files cannot be read.") from None
        return self._files

    async def _give(self, request: Request, files: _Files, name: str, caching: Mapping[str, str]) -> None:
        found = files.by_name.get(name)
        if found is None:
            raise NotFound("The dashboard has no such file.")
        body, own = found.told(packed=_takes_gzip(request.header(b"accept-encoding")))
        headers = {**_HEADERS, **caching, **own}
        if own["etag"] in (request.header(b"if-none-match") or ""):
            headers.pop("content-encoding", None)
            await request.reply(304, b"", headers)
            return
        await request.reply(200, body, headers, content_type=found.kind)
