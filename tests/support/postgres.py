"""A PostgreSQL server of the tests' own, from the programs that the system has."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql")  # where Debian and Ubuntu put them, by version


class Postgres:
    """A server that listens on a socket in *directory*; a test may take it away and bring it back."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._programs = _programs()
        # Root may not run a server; the user that the package made may.
        self._user = "postgres" if os.geteuid() == 0 else None
        self.url = f"postgresql://tester@/postgres?host={directory}"
        if self._user is not None:
            shutil.chown(directory, self._user)
        self._run("initdb", "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8")

    def start(self) -> None:
        """Start it, or start it again."""
        told = f"-c listen_addresses= -c unix_socket_directories={self._directory} -c fsync=off"
        self._run("pg_ctl", "start", "-w", "-l", f"{self._directory}/log", "-o", told)

    def stop(self) -> None:
        """End it at once, as a crash does."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def pause(self) -> None:
        """Let nothing of it run: connections stay, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        chief = int((self._directory / "files" / "postmaster.pid").read_text().split()[0])
        for process in (chief, *_children(chief)):
            with contextlib.suppress(ProcessLookupError):  # some live for a moment alone
                os.kill(process, number)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", f"{self._directory}/files", *arguments]
        subprocess.run(command, user=self._user, cwd=self._directory, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def server() -> Iterator[Postgres]:
    """Give a server that runs meanwhile."""
    with tempfile.TemporaryDirectory(prefix="freeroute-postgres-") as made:
        running = Postgres(Path(made))
        running.start()
        try:
            yield running
        finally:
            running.stop()


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Give the URL of a server that runs meanwhile."""
    with server() as running:
        yield running.url


def _children(chief: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = path.read_text().rpartition(")")[2].split()[1]
            if int(parent) == chief:
                found.append(int(path.parent.name))
    return found


def _programs() -> Path:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise FileNotFoundError("no PostgreSQL here: apt-get install postgresql")
    return versions[-1].parent
