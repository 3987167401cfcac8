"""What the doctor finds of providers, their keys, proxies, local servers and the clock."""

import datetime as dt
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import SystemClock
from freeroute.commands.checkup.network import _skew
from tests.commands.answering import answering
from tests.commands.checkup.conftest import KEY, LISTED, about, alpha, settings
from tests.support.servers import nobody_listens

VLLM = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 8192}]}


def test_a_refused_key_is_a_problem_and_never_shown(run, examined, home):
    refused: Any = (401, {"error": {"message": f"no such key: {KEY}", "code": "invalid_api_key"}}, {})
    with answering(models=refused) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, code = examined()
        assert code == 1
        (line,) = about(found, "keys")
        assert line.startswith("problem keys: alpha: key-1: invalid")
        assert KEY not in run("doctor").output


def test_a_key_without_credit_is_a_warning(examined, home):
    with answering(models=(402, {"error": {"message": "Payment required"}}, {})) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, code = examined()
    assert code == 0
    assert about(found, "keys")[0].startswith("warning keys: alpha: key-1: valid (but without credit")


def test_offline_calls_no_provider(examined, home):
    with answering(models=LISTED) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, _ = examined("--offline")
    assert provider.asked == []
    assert found[-1] == "note providers: no provider was called (--offline)"


def test_hosts_that_cannot_be_asked_are_told_in_plain_words(examined, home):
    with (
        nobody_listens() as port,
        answering(models=LISTED) as provider,
        answering(models=LISTED) as plain,
    ):
        closed = f"http://127.0.0.1:{port}"
        tls = plain.url.replace("http:", "https:")
        others = {"beta": alpha(closed), "gamma": alpha("http://nowhere.invalid"), "delta": alpha(tls)}
        settings(home, providers={"alpha": alpha(provider.url), **others})
        found, code = examined()
        assert code == 0
        assert about(found, "providers") == [
            "ok providers: 1 of 4 hosts answer",
            "warning providers: beta: 127.0.0.1 cannot be asked: connection refused",
            "warning providers: gamma: nowhere.invalid cannot be asked: name does not resolve",
            "warning providers: delta: 127.0.0.1 cannot be asked: TLS handshake or certificate failed",
        ]
        settings(home, providers={"beta": alpha(closed)})
        found, code = examined()
    assert (code, about(found, "providers")[0].split()[0]) == (1, "problem")
    assert about(found, "keys") == ["note keys: beta: key-1: unknown (could not be asked: ConnectError)"]


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        (
            "http://user:secret@127.0.0.1:9",
            "note providers: HTTPS_PROXY is set: calls to providers go through",
        ),
        ("socks5://user:secret@127.0.0.1:9", "warning providers: HTTPS_PROXY is no http:// proxy"),
    ],
)
def test_a_proxy_of_the_environment_is_told(examined, home, monkeypatch, proxy, told):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with answering(models=LISTED) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, _ = examined()
    assert [line for line in found if line.startswith(told)]
    assert not [line for line in found if "secret" in line]


def test_local_servers_are_told_when_they_are_listed_or_there(examined, home, monkeypatch):
    monkeypatch.setenv("FREEROUTE_DISCOVERY__LOCAL", "true")
    with answering(tags={"models": []}) as nothing:
        settings(home, providers={"vllm": {"base_url": f"{nothing.url}/v1"}}, discovery={"env": False})
        found, _ = examined()
    assert f"warning providers: vllm: no model server answers at {nothing.url}/v1" in found
    with answering(version={"version": "1"}, models=VLLM) as there:
        settings(home, providers={"vllm": {"base_url": f"{there.url}/v1"}}, discovery={"env": False})
        found, _ = examined()
    assert "ok providers: vllm: found, with 1 models" in found


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (0, "ok clock: this clock agrees with that of 1 providers"),
        (20, "warning clock: this clock is"),
        (-20, "warning clock: this clock is"),
        (3600, "problem clock: this clock is 3,"),
    ],
)
def test_a_clock_that_is_off_is_told(examined, home, ahead, told):
    at = dt.datetime.fromtimestamp(SystemClock().now().wall + ahead, dt.UTC)
    with answering(models=LISTED, v1=(404, {}, {"date": format_datetime(at, usegmt=True)})) as provider:
        settings(home, providers={"alpha": alpha(provider.url)})
        found, _ = examined()
    (line,) = about(found, "clock")
    assert line.startswith(told)
    assert ("behind" in line) == (ahead > 0)


@given(began=st.floats(0, 2e9), took=st.floats(0, 30), at=st.floats(0, 1), skew=st.integers(-9999, 9999))
def test_no_skew_is_read_into_a_date_that_may_be_right(began, took, at, skew):
    ended = began + took
    written = int(began + took * at + skew + 10_000)
    date = format_datetime(dt.datetime.fromtimestamp(written, dt.UTC), usegmt=True)
    found = _skew(date, began + 10_000, ended + 10_000)
    assert found is not None
    if skew == 0:
        assert found == 0
    elif skew > 0:
        assert skew - took - 1 <= found <= skew
    else:
        assert skew <= found <= min(skew + took + 1, 0)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 10:00:00 GMT", "0"])
def test_a_date_that_is_none_says_nothing_of_the_clock(date):
    assert _skew(date, 1.0, 2.0) is None
