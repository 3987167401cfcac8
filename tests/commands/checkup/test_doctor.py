"""Looking for what is wrong with an installation, as a whole."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from freeroute.commands.checkup.finding import note, presentable
from tests.commands.answering import answering
from tests.commands.checkup.conftest import KEY, LISTED, about, alpha, settings


def test_a_sound_installation_has_nothing_but_good_findings(examined, home, state, run):
    with answering(models=LISTED) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, code = examined()
        assert code == 0
        assert {line.split()[0] for line in found} == {"ok"}
        assert about(found, "keys") == ["ok keys: alpha: key-1: valid"]
        assert "ok providers: 1 of 1 hosts answer" in found
        assert run("doctor").stdout.endswith("\n\nno problems, no warnings, no notes\n")
    asked = {path: headers.get("authorization") for path, headers in provider.asked}
    assert asked == {"/v1": None, "/v1/models": f"Bearer {KEY}"}


def test_each_finding_comes_with_what_helps(run, home):
    lines = run("doctor", "--offline").stdout.splitlines()
    place = lines.index("problem  settings: no provider is switched on")
    assert (
        lines[place + 1]
        == "         -> set a key such as GROQ_API_KEY, start a local model, or say --keyless"
    )
    assert lines[-1] == "1 problem, no warnings, 1 note"


def test_settings_that_cannot_be_read_are_a_problem_not_the_end(examined, home):
    (home / "freeroute.yaml").write_text("routing: {max_attemps: 3}\n")
    found, code = examined()
    assert code == 1
    assert found[-1].startswith("problem settings: freeroute.yaml: routing.max_attemps: unknown field")


@given(st.text(), st.text(alphabet="abcdefghijklmnop0123456789", min_size=24, max_size=60))
def test_no_finding_tells_a_key_or_where_the_user_lives(text, key):
    home = Path("/home/someone")
    if sum(map(str.isdigit, key)) < 3 or key.isdigit():
        key += "a123"
    (shown,) = presentable([note("a", f"{home}/x {text} gsk_{key} {text}", f"Bearer {key}")], home)
    told = shown.what + shown.remedy
    assert f"gsk_{key}" not in told
    assert f"Bearer {key}" not in told
    assert "/home/someone" not in told
    assert told.isprintable()
