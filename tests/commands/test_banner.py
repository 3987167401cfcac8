"""What is printed at the start, as text."""

from pathlib import Path

import pytest

from freeroute.commands.banner import (
    curl_line,
    demo_banner,
    local_line,
    nothing_on_message,
    program,
    python_snippet,
    start_message,
)
from freeroute.config.assembly import SwitchedOn
from freeroute.domain.catalogue import Privacy

URL = "http://localhost:3000"
GROQ = SwitchedOn("groq", "Groq", "GROQ_API_KEY is set", Privacy.UNKNOWN, "One organisation per user.")
GEMINI = SwitchedOn("gemini", "Gemini", "listed in freeroute.yaml", Privacy.TRAINS, "Long terms. " * 20)


def test_the_demo_shows_its_url_and_two_ways_to_ask():
    text = demo_banner(URL)
    assert f"{URL}/v1\n" in text
    assert f"{URL}/dashboard" in text
    assert f"\n{curl_line(URL)}\n" in text
    assert f"\n{python_snippet(URL)}\n" in text


def test_the_demo_says_how_to_chat_with_it_wherever_it_listens():
    text = demo_banner("http://localhost:4100", ".venv/bin/freeroute")
    assert 'here: .venv/bin/freeroute chat --url http://localhost:4100 "Hello!"\n' in text


@pytest.mark.parametrize(
    ("started_as", "on_path", "called"),
    [
        (".venv/bin/freeroute", None, ".venv/bin/freeroute"),
        ("/home/me/src/.venv/bin/freeroute", "/usr/bin/freeroute", ".venv/bin/freeroute"),
        ("/opt/my tools/freeroute", None, "'/opt/my tools/freeroute'"),
        ("/opt/bin/freeroute", "/opt/bin/freeroute", "freeroute"),
        ("freeroute", None, "./freeroute"),
        ("/x/freeroute/__main__.py", None, ".venv/bin/python -m freeroute"),
    ],
)
def test_the_program_is_called_as_it_was_started(started_as, on_path, called):
    here = Path("/home/me/src")
    assert program(started_as, on_path, "/home/me/src/.venv/bin/python", here) == called


def test_an_admin_key_that_was_given_is_not_looked_for_in_a_file():
    text = start_message([GROQ], URL, state_dir=Path("/state"), admin_key_set=True)
    assert "FREEROUTE_ADMIN_KEY" in text
    assert "/state" not in text


def test_the_python_snippet_needs_nothing_installed():
    compile(python_snippet(URL), "snippet", "exec")
    assert python_snippet(URL).startswith("import json, urllib.request\n")


def test_each_provider_is_told_with_why_it_is_on_and_what_it_does_with_prompts():
    text = start_message([GROQ, GEMINI], URL, version="0.1.0", state_dir=Path("/state"))
    assert "freeroute 0.1.0" in text
    assert "groq           GROQ_API_KEY is set; does not say whether it trains on prompts." in text
    assert "gemini         listed in freeroute.yaml; may train on prompts." in text
    assert "in /state/admin_key" in text
    assert curl_line(URL) in text


def test_long_terms_are_wrapped_under_their_provider():
    lines = local_line(GEMINI).splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 100 for line in lines)
    assert all(line.startswith(" " * 17) for line in lines[1:])


def test_with_nothing_on_it_says_how_to_get_going():
    text = start_message([], URL)
    assert nothing_on_message() in text
    for way in ("GROQ_API_KEY", "Ollama", "--keyless", "freeroute demo"):
        assert way in text


def test_it_says_when_local_servers_are_still_being_looked_for():
    assert "being looked for" in start_message([GROQ], URL, looking_for_local=True)
    assert "being looked for" in start_message([], URL, looking_for_local=True)
    assert "being looked for" not in start_message([GROQ], URL)


def test_hints_are_shown():
    assert "Note: HF_TOKEN is set" in start_message([GROQ], URL, hints=["HF_TOKEN is set, but ..."])


def test_where_a_client_key_is_asked_for_no_keyless_line_is_offered():
    text = start_message([GROQ], URL, needs_key=True)
    assert "Callers need a client key." in text
    assert "not-needed" not in text
    assert curl_line(URL) not in text
