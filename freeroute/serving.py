"""Serves a gateway: the state directory, the socket, the server, until told to stop."""

import contextlib
import gc
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from msgspec import Struct

from freeroute import open_files
from freeroute.app import LOOPBACK, App, ServeOptions, build, secrets_of
from freeroute.clock import boot_id
from freeroute.config.assembly import SwitchedOn
from freeroute.config.load import Settings
from freeroute.domain.clients import Client
from freeroute.errors import ConfigError
from freeroute.lifecycle import AnnounceLocal, application
from freeroute.observe.logs import set_up
from freeroute.observe.stderr import STDERR
from freeroute.stores.state_dir import StateDir

# How long answers may go on after SIGTERM, in seconds; those that take longer end with an error.
GRACE = 30
# Connections that may wait to be accepted.
BACKLOG = 2048


class Started(Struct, frozen=True):
    """What there is to tell once the gateway listens."""

    url: str
    demo: bool
    switched_on: tuple[SwitchedOn, ...]
    hints: tuple[str, ...]
    looking_for_local: bool
    state_dir: Path
    needs_key: bool


Announce = Callable[[Started], None]


def serve(options: ServeOptions, announce: Announce, on_local: AnnounceLocal, *, grace: int = GRACE) -> int:
    """Serve until told to stop, and *grace* seconds longer what is under way then; returns the exit code.

    Raises ConfigError before it listens.
    """
    open_files.allow_many()
    with contextlib.ExitStack() as stack:
        temporary = None
        if options.demo:
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freeroute-demo-")))
        app = build(options, os.environ, temporary)
        settings = app.settings
        app.scrub = set_up(settings.logging.format, settings.logging.level, secrets_of(app))
        state = StateDir(settings.state_dir)
        stack.callback(state.close)
        app.remember(state.path, boot_id())
        refuse_wide_bind(settings, app.enrolment.clients)
        app.record(state.path)
        app.trace(os.environ)
        listening = listen(settings.server.host, settings.server.port)
        stack.callback(listening.close)
        # Whoever reads that it listens may want to administer it at once.
        admin_key = settings.admin_key or state.admin_key()
        announce(_started(app, listening))
        _run(app, listening, admin_key, on_local, grace)
    return 0


def _started(app: App, listening: socket.socket) -> Started:
    host, port = listening.getsockname()[:2]
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::", "::1") else host
    return Started(
        url=f"http://{shown}:{port}",
        demo=app.demo,
        switched_on=app.assembly.switched_on,
        hints=app.assembly.hints,
        looking_for_local=bool(app.assembly.local),
        state_dir=app.settings.state_dir,
        needs_key=bool(app.enrolment.clients),
    )


def refuse_wide_bind(settings: Settings, added: Sequence[Client] = ()) -> None:
    """Refuse to be open to the network without any client, *added* or set, unless told to."""
    if settings.server.host in LOOPBACK or settings.clients or added or settings.open:
        return
    raise ConfigError(
        f"server.host: {settings.server.host} is reachable from other machines and no client key is set; "
        "set FREEROUTE_API_KEY or add clients, or say --open (FREEROUTE_OPEN=1) if the network is yours"
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to *host* and *port*; raises ConfigError if that cannot be."""
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    # asyncio turns delays of small packets off only where the socket says that it speaks TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((bare, port))
        # From here on callers queue: what is announced before the server runs must not be refused.
        listening.listen(BACKLOG)
    except OSError as exc:
        listening.close()
        raise ConfigError(
            f"server.port: cannot listen on {host}:{port}: {exc.strerror or exc}; "
            "stop what uses it, or choose another with --port or PORT"
        ) from exc
    return listening


def _run(app: App, listening: socket.socket, admin_key: str, on_local: AnnounceLocal, grace: int) -> None:
    from freeroute.surfaces.crowd import Crowd
    from freeroute.surfaces.server import Server, server_config

    class Draining(Server):
        """Being told to stop turns ``/readyz`` first."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.gateway.draining = True
            super().handle_exit(sig, frame)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # Inside: at its end the signal is raised again, and ends the process where it stands.
            with super().capture_signals(), STDERR.together():
                yield

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.feed.close()  # who watches has no answer to wait for
            await super().shutdown(sockets)

    crowd = Crowd(open_files.each_side(open_files.may_open()), app.clock, app.metrics.crowded_out)
    config = server_config(application(app, admin_key, on_local), crowd=crowd, grace=grace)
    server = Draining(config, on_late=app.gateway.cut_short)
    _settle_memory()
    server.run(sockets=[listening])


def _settle_memory() -> None:
    """Keep the collector from walking what was built at start, again and again, while streams wait."""
    # The garbage in it, 400 KiB of 28 MiB, stays too: to look for it takes as long as a tenth of the start.
    gc.freeze()
    # A thousand streams that begin are 200,000 objects. To walk them at once was the longest that anybody was
    # held up; they are walked 40,000 at a time. All that live are walked as rarely as before: requests leave
    # no garbage.
    gc.set_threshold(10_000, 4, 250)
    gc.enable()
