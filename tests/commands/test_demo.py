"""The demo as a process: what it prints works as printed, and the other commands can ask it."""

import json
import os
import re
import shlex
import subprocess
import sys

import httpx
import pytest

from tests.commands.conftest import ROOT, lines_of, process, url_of
from tests.support.patience import PATIENCE


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with process("demo", "--port", "0", directory=tmp_path_factory.mktemp("demo")) as started:
        url = url_of(started)
        said = []
        for line in lines_of(started):
            said.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield url, "".join(said)


def test_the_curl_line_works_as_printed(demo):
    _, said = demo
    (line,) = [line for line in said.splitlines() if line.startswith("curl ")]
    _, url, _, body = shlex.split(line)
    # What curl does with -d, without depending on curl.
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = httpx.post(url, content=body, headers=headers, timeout=PATIENCE, trust_env=False)
    assert answer.json()["choices"][0]["message"]["content"]


def test_the_python_snippet_works_as_printed(demo):
    _, said = demo
    (snippet,) = re.findall(r"^import json.*?\)$(?=\n\n)", said, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-I", "-c", snippet], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout.strip()


def test_the_chat_line_works_as_printed(demo):
    _, said = demo
    (line,) = re.findall(r"From another terminal here: (.*)", said)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": "1"}
    done = subprocess.run(
        shlex.split(line), capture_output=True, text=True, timeout=PATIENCE, check=True, env=env
    )
    assert done.stdout.strip()


def test_the_demo_listens_widely_when_told_that_this_is_meant(tmp_path):
    wide = ["demo", "--host", "0.0.0.0", "--port", "0"]
    with process(*wide, directory=tmp_path) as refused:
        _, err = refused.communicate(timeout=PATIENCE)
    assert refused.returncode == 2
    assert "--open" in err
    with process(*wide, "--open", directory=tmp_path) as started:
        assert httpx.get(f"{url_of(started)}/livez", trust_env=False, timeout=PATIENCE).status_code == 200


def test_the_demo_can_be_chatted_with(demo, run):
    url, _ = demo
    result = run("chat", "--url", url, "-m", "free-fast", "Hello!")
    assert result.exit_code == 0
    assert result.stdout.strip()
    assert re.fullmatch(r"\[\w+/\S+, \d+ \+ \d+ tokens\]\n", result.stderr)
    whole = run("chat", "--url", url, "--json", "Hello!")
    assert json.loads(whole.stdout)["object"] == "chat.completion"


def test_the_demo_lists_and_explains_its_models(demo, run):
    url, _ = demo
    listed = run("models", "--url", url)
    assert listed.exit_code == 0
    assert re.search(r"^groq/\S+ .* available$", listed.stdout, re.MULTILINE)
    explained = run("explain", "free-smart", "--url", f"{url}/v1")
    assert re.search(r"^1 +\S+/\S+ ", explained.stdout, re.MULTILINE)
    unknown = run("explain", "no-such-model", "--url", url)
    assert unknown.exit_code == 1
    assert "does not exist" in unknown.stderr


def test_its_metrics_show_what_was_asked(demo, run):
    url, _ = demo
    run("chat", "--url", url, "-m", "free-fast", "Hello!")
    text = httpx.get(f"{url}/metrics", trust_env=False, timeout=PATIENCE).text
    assert (
        'freeroute_requests_total{surface="openai",model="free-fast",status="200",code="",fault=""}' in text
    )
    assert 'limit="requests/minute"' in text


def test_the_providers_alone_answer_on_a_socket(tmp_path):
    with process("demo", "--providers-only", "--port", "0", directory=tmp_path) as started:
        (base,) = next(
            found for line in lines_of(started) if (found := re.findall(r"groq +(http://\S+)", line))
        )
        body = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": "Hello"}]}
        answer = httpx.post(
            f"{base}/chat/completions",
            json=body,
            headers={"authorization": "Bearer demo"},
            timeout=PATIENCE,
            trust_env=False,
        )
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit-requests"]
        started.terminate()
        _, err = started.communicate(timeout=PATIENCE)
    assert (started.returncode, err) == (0, "")
