"""A PostgreSQL server of the tests' own, from the programs that the system has."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql")  # where Debian and Ubuntu put them, by version


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Give the URL of a server that runs meanwhile; it listens on a socket in a directory of its own."""
    programs = _programs()
    # Root may not run a server; the user that the package made may.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="freeroute-postgres-") as made:
        directory = Path(made)
        if user is not None:
            shutil.chown(directory, user)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", f"{made}/files", *arguments]
            subprocess.run(command, user=user, cwd=made, check=True, stdout=subprocess.DEVNULL)

        run("initdb", "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8")
        told = f"-c listen_addresses= -c unix_socket_directories={made} -c fsync=off"
        run("pg_ctl", "start", "-w", "-l", f"{made}/log", "-o", told)
        try:
            yield f"postgresql://tester@/postgres?host={made}"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")


def _programs() -> Path:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise FileNotFoundError("no PostgreSQL here: apt-get install postgresql")
    return versions[-1].parent
