import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.config.provider_specs import ProviderSpec, TimeoutsSpec
from freeroute.config.schema import SCHEMAS, Where, convert, fields, json_schema
from freeroute.config.specs import RoutingSpec, ServerSpec, SettingsSpec
from freeroute.config.values import LONGEST
from freeroute.errors import ConfigError
from freeroute.resources import config_dir

PLACE = Where("freeroute.yaml", "providers.groq", "providers.*")
ABLE = (
    "expected one of audio, audio_output, chat, completions, dimensions, embeddings, files, image_output, "
    "images, json_object, json_schema, moderation, reasoning, rerank, speech, tools, transcription, video; "
    "did you mean `tools`?"
)


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (
            {"limits": [{"unit": "requests", "amount": "30", "per": "minute"}]},
            "limits[0].amount: expected number, got str",
        ),
        (
            {"limits": [{"unit": "requests", "amount": -1, "per": "minute"}]},
            "limits[0].amount: expected number > 0.0",
        ),
        (
            {"limits": [{"unit": "requests", "amount": float("inf"), "per": "minute"}]},
            "limits[0].amount: expected number <= 1000000000000000.0",
        ),
        ({"limits": [{"unit": "requests", "amount": 1}]},
         "limits[0]: `per` is required: second ... month, or a duration like 5h"),
        ({"limits": [{"unit": "concurrency", "amount": 1, "per": "day"}]},
         "limits[0]: concurrency is counted now, not per span: leave out `per`"),
        ({"limits": [{"unit": "requests", "amount": 1, "per": "fortnight"}]},
         "limits[0].per: expected second, minute, hour, day, week, month or a duration such as 5h"),
        ({"limits": [{"unit": "calls", "amount": 1, "per": "day"}]},
         ("limits[0].unit: expected one of requests, tokens, input_tokens, output_tokens, neurons, usd, "
          "concurrency")),
        ({"limits": [{"unit": "requests", "amount": 1, "per": "day", "tz": "Mars/Base"}]},
         "limits[0]: tz must be a time zone name such as America/Los_Angeles"),
        ({"limits": [{"unit": "tokens", "amount": 0, "per": "day"}]},
         "limits[0].amount: expected number > 0.0"),
        ({"limits": [{"unit": "requests", "amount": 0.5, "per": "day"}]},
         "limits[0]: amount must be a whole number of requests"),
        ({"limits": [{"unit": "concurrency", "amount": 1.5}]},
         "limits[0]: amount must be a whole number of calls"),
        ({"limits": [{"unit": "requests", "amount": 1, "per": "401d"}]},
         "limits[0].per: may be 400 days at most"),
        ({"limits": [{"unit": "requests", "amount": 1, "per": "5h", "window": "calendar"}]},
         ("limits[0]: a calendar window is counted per second, minute, hour, day, week or month, "
          "not per duration")),
        ({"models": [{"id": "m", "limits": [{"unit": "requests", "amount": 1, "per": "24h",
                                             "window": "calendar"}]}]},
         ("models[0].limits[0]: a calendar window is counted per second, minute, hour, day, week or month, "
          "not per duration")),
        ({"models": [{"id": "a\nb"}]}, "models[0]: id holds a line break or another control character"),
        ({"models": [{"id": "a\x1b[2J"}]}, "models[0]: id holds a line break or another control character"),
        ({"models": [{"id": "a", "family": "b\r"}]},
         "models[0]: family holds a line break or another control character"),
        ({"name": "Groq\x1b]0;x\x07"}, "name holds a line break or another control character"),
        ({"models": [{"id": "a", "price": {"input": -1}}]}, "models[0]: price must be zero or more"),
        ({"models": [{"id": "a", "price": {"output": float("nan")}}]},
         "models[0]: price must be zero or more"),
        ({"models": [{"id": "a", "neurons": {"output": -0.1}}]}, "models[0]: neurons must be zero or more"),
        ({"models": [{"id": "a", "capabilities": ["tool"]}]}, f"models[0].capabilities[0]: {ABLE}"),
        ({"models": [{"id": "a", "capabilities": ["tools", "xyzzy"]}]},
         f"models[0].capabilities[1]: {ABLE.partition(';')[0]}"),
        ({"timeouts": {"total": 10**400}},
         "timeouts.total: expected a duration such as 200ms, 3s, 5m or 1h"),
        ({"timeouts": {"total": "58w"}}, "timeouts.total: may be 400 days at most"),
        ({"limit": []}, "limit: unknown field; did you mean `limits`?"),
        ({"limits": [{"unit": "requests", "amount": 1, "pr": "day"}]},
         "limits[0].pr: unknown field; did you mean `per`?"),
        ({"xyzzy": 1}, "xyzzy: unknown field"),
        ({"timeouts": {"conect": "3s"}}, "timeouts.conect: unknown field; did you mean `connect`?"),
        ({"timeouts": {"connect": "3x"}},
         "timeouts.connect: expected a duration such as 200ms, 3s, 5m or 1h"),
        ({"timeouts": {"connect": -1}}, "timeouts.connect: expected a duration such as 200ms, 3s, 5m or 1h"),
        ({"timeouts": {"total": 0}}, "timeouts: a time-out must be longer than zero"),
        ({"privacy": "sk-secret"}, "privacy: expected one of trains, no-train, unknown, local"),
        ({"keys": None}, "keys: expected list, got nothing"),
        ({"keys": [1]}, "keys[0]: expected str or mapping, got integer"),
        ({"keys": [{"label": "a"}]}, "keys[0].key: is required"),
        ({"models": [{}]}, "models[0].id: is required"),
        ({"models": "all"}, "models: expected mapping or list, got str"),
        ({"models": [{"id": "x", "quality": 101}]}, "models[0].quality: expected number <= 100.0"),
        ({"models": [{"id": "x", "context": 0}]}, "models[0].context: expected integer >= 1"),
        ({"headers": {"x": 1}}, "headers[...]: expected str, got integer"),
    ],
)  # fmt: skip
def test_an_error_names_file_entry_and_field(entry, error):
    with pytest.raises(ConfigError) as caught:
        convert(entry, ProviderSpec, PLACE)
    joint = ": " if error.startswith("name holds") else "."
    assert str(caught.value) == f"freeroute.yaml: providers.groq{joint}{error}"


@pytest.mark.parametrize(
    ("routing", "error"),
    [
        ({"max_wait": "5m"}, "max_wait is longer than max_wait_cap"),
        ({"deadline": 0}, "deadline must be longer than zero"),
    ],
)
def test_what_is_not_enforced_is_refused_with_the_reason(routing, error):
    with pytest.raises(ConfigError) as caught:
        convert(routing, RoutingSpec, Where("freeroute.yaml", "routing", "routing"))
    assert str(caught.value) == f"freeroute.yaml: routing: {error}"


@pytest.mark.parametrize(
    "name", ["gateway.example.com", "Box_1", "box:3000", "192.168.1.20", "[::1]", "[fe80::1]:80"]
)
def test_a_host_is_a_name_with_or_without_a_port(name):
    assert convert({"hosts": [name]}, ServerSpec, Where("f")).hosts == (name,)


@pytest.mark.parametrize(
    "origin",
    ["*", "https://app.example.com", "http://localhost:5173", "http://[::1]:80", "HTTPS://A.example/",
     "chrome-extension://abc"],
)  # fmt: skip
def test_an_origin_is_a_scheme_a_host_and_perhaps_a_port(origin):
    assert convert({"cors": [origin]}, ServerSpec, Where("f")).cors == (origin,)


@given(st.floats(0, LONGEST))
def test_a_duration_of_400_days_at_most_is_taken_as_it_is(seconds):
    assert convert({"total": seconds or 1}, TimeoutsSpec, Where("f")).total == (seconds or 1)


def test_places_are_written_as_people_read_them():
    place = Where("f").member("providers").entry("my.box").member("keys").item(2)
    assert str(place.error("bad")) == "f: providers.my.box.keys[2]: bad"
    assert place.field == "providers.*.keys[]"
    assert str(Where("f").error("bad")) == "f: bad"


def test_the_list_of_fields_covers_the_whole_file():
    known = {field.name: field for field in fields()}
    assert known["server.body_limit"].type == "size"
    assert known["server.body_limit"].default == str(20 * 2**20)
    assert known["providers.*.keys[].account"].default == '"default"'
    assert known["providers.*.models.only"].type == "list of text"
    assert known["providers.*.quirks.clamps"].type == "mapping"
    assert known["providers.*.local"].type == "last, first, equal or null"
    assert known["routing.max_wait"].default == "20.0"
    assert known["discovery.env"].type == "true or false"
    assert {"clients[].key_hash", "meta_models.*.strategy", "privacy", "logging.level"} <= set(known)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_up_to_date(name):
    committed = (config_dir() / name).read_text(encoding="utf-8")
    assert committed == json_schema(SCHEMAS[name]), "run: python -m freeroute.config.schema"


@pytest.mark.parametrize("root", SCHEMAS.values())
def test_a_schema_refers_only_to_its_own_parts_and_its_patterns_compile(root):
    text = json_schema(root)
    parts = json.loads(text)["$defs"]
    assert set(re.findall(r'"#/\$defs/(\w+)"', text)) <= set(parts)
    for pattern in re.findall(r'"pattern": (".*")', text):
        re.compile(json.loads(pattern))


def test_every_default_is_accepted_where_it_stands():
    plain = msgspec.to_builtins(SettingsSpec(), enc_hook=int)
    assert convert(plain, SettingsSpec, Where("f")) == SettingsSpec()
