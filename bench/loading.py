"""How soon the dashboard is there in a real browser: ``python -m bench dashboard-load``.

A demo is opened in Chromium, each time by somebody who was never here, and once more by the same one. A page
of 1 KB in turn with it tells what the browser and the machine take by themselves.
"""

import argparse
import importlib
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec import Struct

from bench import machine
from bench.options import whole
from bench.processes import LOOPBACK, ROOT, BenchFailed, free_port, is_listening, running
from bench.report import table

_SMALL = b"<!doctype html><title>Small</title><link rel=icon href='data:,'><p>Hello" + b"." * 950
_PATIENCE = 30.0
_LOOK = 20  # ms between two looks whether all of it has happened
# Notes when the first page was there to read: its link is marked once it is shown, with figures.
_WATCH = """new MutationObserver((_, observer) => {
  if (!document.querySelector("#nav [aria-current]")) return;
  window.shownAfter = performance.now();
  observer.disconnect();
}).observe(document, { subtree: true, childList: true, attributes: true });"""
_FOUND = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const files = [page, ...performance.getEntriesByType("resource")];
  const asked = files.filter((one) => one.transferSize);
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const whole = files.reduce((size, one) => size + one.decodedBodySize, 0);
  return [paint?.startTime, page.loadEventEnd, window.shownAfter, asked.length, whole];
}"""


class Visit(Struct, frozen=True, array_like=True):
    """One opening of a page: ms until it was painted, loaded and *shown* with figures; bytes are unpacked."""

    painted: float
    loaded: float
    shown: float
    requests: float
    size: float


def main(arguments: list[str]) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench dashboard-load", description=__doc__)
    often = "how often each is opened, from 1 to 1000; 15 without it"
    parser.add_argument("--rounds", type=whole(1, 1000), default=15, help=often)
    parser.add_argument("--url", help="the dashboard of a gateway that runs, in place of a demo's")
    wanted = parser.parse_args(arguments)
    try:
        with _small() as small, _dashboard(wanted.url) as url:
            print(_told(_visits({"a page of 1 KB": small, "the dashboard": url}, wanted.rounds)))
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    return 0


def _told(visits: dict[str, list[Visit]]) -> str:
    rows = []
    for name, found in visits.items():
        middle = [statistics.median(values) for values in zip(*map(_figures, found), strict=True)]
        rows.append((name, *(f"{value:,.0f}" for value in middle)))
    head = ("median", "painted, ms", "loaded, ms", "shown, ms", "requests", "bytes")
    return f"{machine.describe().cpu}, {machine.describe().cores} cores\n{table(head, rows)}"


def _figures(visit: Visit) -> tuple[float, ...]:
    return visit.painted, visit.loaded, visit.shown, visit.requests, visit.size


def _visits(places: dict[str, str], rounds: int) -> dict[str, list[Visit]]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise BenchFailed("there is no Chromium on this machine")
    try:
        playwright = importlib.import_module("playwright.sync_api")
    except ImportError:
        raise BenchFailed("Playwright for Python is not installed") from None
    found: dict[str, list[Visit]] = {}
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox does not start for root, which is who containers run as.
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(rounds):
            for name, url in places.items():
                context = browser.new_context()
                context.add_init_script(_WATCH)
                page = context.new_page()
                for turn in ("first", "again"):
                    found.setdefault(f"{name}, {turn}", []).append(_visit(page, url))
                context.close()
        browser.close()
    return found


def _visit(page: Any, url: str) -> Visit:
    page.goto(url)
    has_figures = "/dashboard" in url
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        painted, loaded, shown, requests, size = page.evaluate(_FOUND)
        if painted and loaded and (shown or not has_figures):
            return Visit(painted, loaded, shown or painted, requests, size)
        page.wait_for_timeout(_LOOK)
    raise BenchFailed(f"{url} was not shown within {_PATIENCE:.0f} s")


@contextmanager
def _dashboard(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    port = free_port()
    command = [sys.executable, "-m", "freeroute", "serve", "--demo", "--port", str(port)]
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as home, tempfile.TemporaryFile() as log:
        env = {"PATH": os.environ.get("PATH", ""), "HOME": home, "PYTHONPATH": str(ROOT)}
        with running(command, frozenset(), env, cwd=home, stdout=log, stderr=log) as process:
            ends = time.monotonic() + _PATIENCE
            while not is_listening(port):
                if process.poll() is not None or time.monotonic() > ends:
                    raise BenchFailed("the demo did not start")
                time.sleep(0.05)
            yield f"http://{LOOPBACK}:{port}/dashboard"


@contextmanager
def _small() -> Iterator[str]:
    class Small(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(_SMALL)))
            self.end_headers()
            self.wfile.write(_SMALL)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Small) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_port}/"
        server.shutdown()
