"""What is hidden of clients' files before they are shown."""

import pytest

from freeroute.commands.connecting.hiding import without_keys


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('-    "ANTHROPIC_AUTH_TOKEN": "old-one",', '-    "ANTHROPIC_AUTH_TOKEN": "YOUR-KEY",'),
        ('{"apiKey":"a","model":"m"}', '{"apiKey":"YOUR-KEY","model":"m"}'),
        ('"apiKey": "plain"\n', '"apiKey": "YOUR-KEY"\n'),
        ("openai-api-key: hunter2", "openai-api-key: YOUR-KEY"),
        ('experimental_bearer_token = "abc"', 'experimental_bearer_token = "YOUR-KEY"'),
        ('"Authorization": "Bearer abc.def"', '"Authorization": "Bearer YOUR-KEY"'),
        ('+  "x": "this is it",', '+  "x": "YOUR-KEY",'),
        ('"args": ["--with", "sk-ant-api03-abcdefgh"]', '"args": ["--with", "YOUR-KEY"]'),
        ("# AIzaSyA1234567890abcdefghijklmnopqrstuv", "# YOUR-KEY"),
    ],
)
def test_no_key_is_shown(text, shown):
    assert without_keys(text, "this is it") == shown


@pytest.mark.parametrize(
    "text",
    [
        'env_key = "FREEROUTE_API_KEY"\n',
        '{"keyEnv": 1, "api_key": "OPENAI_API_KEY", "a": 2}',
        "api_key_env: FREEROUTE_API_KEY\n",
        '"max_tokens": 8192, "max_token": 4096',
        '"apiKey": "not-needed",',
        '"apiKey": "",',
        '"apiKeyHelper": "pass show it"',
        '"model": "claude-sonnet-4-5-20250929"',
    ],
)
def test_what_is_no_key_stays(text):
    assert without_keys(text, None) == text
