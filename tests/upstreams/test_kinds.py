"""A shape of API is one file: it is found by its ``build``."""

import pytest

from freeroute.upstreams.kinds import Upstreams, known
from freeroute.upstreams.openai import OpenAiUpstream
from tests.support.clocks import ManualClock
from tests.support.transports import PlayedTransport


def test_every_module_that_builds_an_upstream_is_a_kind_and_no_other():
    assert known() == ("ollama", "openai")


def test_an_upstream_is_built_once_and_an_unknown_kind_is_no_entry():
    upstreams = Upstreams(PlayedTransport(), ManualClock())
    assert isinstance(upstreams["openai"], OpenAiUpstream)
    assert upstreams["openai"] is upstreams["openai"]
    assert list(upstreams) == ["openai"]
    with pytest.raises(KeyError):
        upstreams["transport"]
