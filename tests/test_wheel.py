"""The distribution as a user gets it: built, installed into an empty environment, and run from there."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.commands.conftest import url_of
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built by the locked backend without a network."""
    target = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", target, cwd=ROOT)
    [built] = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin directory of an environment with the wheel, and this one's dependencies behind it."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=True)
    bin_dir = home / "bin"
    # A path file is not followed recursively, so the editable install of this checkout stays out of sight.
    [site] = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(
        "\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    )
    python = bin_dir / "python"
    _run(
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--offline",
        "--no-deps",
        "--python",
        python,
        wheel,
        cwd=home,
    )
    return bin_dir


def test_the_wheel_carries_the_catalogue_the_dashboard_and_the_type_marker(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"freeroute/_data/{path.relative_to(ROOT)}" for path in _shipped("config", "dashboard")}
    expected |= {str(path.relative_to(ROOT)) for path in _shipped("freeroute")}
    assert "freeroute/py.typed" in names
    assert any(name.startswith("freeroute/_data/config/providers/") for name in names)
    assert expected <= names


def test_the_wheel_carries_nothing_but_the_package_and_its_metadata(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"freeroute"}


def test_the_installed_package_finds_its_own_files(installed):
    report = _run(
        installed / "python",
        "-I",
        "-c",
        "import freeroute.resources as r, importlib.metadata as m;"
        "print(r.__file__, r.config_dir(), r.dashboard_dir(), m.version('freeroute-gateway'), sep='\\n')",
        cwd=installed.parent,
    )
    module, config, dashboard, version = report.splitlines()
    package = Path(module).parent
    assert package.is_relative_to(installed.parent)
    assert Path(config) == package / "_data" / "config"
    assert (Path(config) / "providers").is_dir()
    assert Path(dashboard) == package / "_data" / "dashboard"
    assert (Path(dashboard) / "index.html").is_file()
    assert version == _declared_version()


def test_the_installed_command_serves_the_demo(installed, tmp_path):
    with _demo(installed, tmp_path) as client:
        assert client.get("/livez").status_code == 200
        page = client.get("/dashboard", follow_redirects=True)
        assert page.status_code == 200
        assert "text/html" in page.headers["content-type"]
        question = {"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}
        answer = client.post("/v1/chat/completions", json=question)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"]


def _declared_version() -> str:
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def _shipped(*tops: str) -> list[Path]:
    files = (path for top in tops for path in (ROOT / top).rglob("*") if path.is_file())
    return [path for path in files if "__pycache__" not in path.parts and not path.name.startswith(".")]


@contextmanager
def _demo(bin_dir: Path, home: Path) -> Iterator[httpx.Client]:
    """`freeroute demo` on a free port, away from the checkout and from this environment's settings."""
    log = home / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [bin_dir / "freeroute", "demo", "--port", "0"],
            cwd=home,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    try:
        with httpx.Client(base_url=url_of(process), timeout=PATIENCE) as client:
            yield client
    except httpx.HTTPError as exc:
        pytest.fail(f"{exc!r}; the demo said:\n{log.read_text(errors='replace')}")
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8"}


def _run(*command: str | Path, cwd: Path) -> str:
    env = {**os.environ, "PYTHONPATH": "", "PYTHONWARNINGS": ""}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout
