"""What a dump of a provider's answers never shows, and what it must show to be of use."""

import json
import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from freeroute.commands.probing.redaction import LONGEST, headers, shape, words
from freeroute.upstreams.redaction import HIDDEN

KNOWN = ("llama-3.3-70b-versatile", "openai/gpt-oss-120b", "temperature", "freeroute-no-such-model")
_DRAWN = string.ascii_letters + string.digits


def drawn(least: int, most: int = 48) -> st.SearchStrategy[str]:
    """Return what is drawn from letters and digits, with some of the latter, as keys and ids are."""
    text = st.text(alphabet=_DRAWN, min_size=least, max_size=most)
    return text.filter(lambda one: sum(map(str.isdigit, one)) >= 3 and any(map(str.isalpha, one)))


KEYS = st.tuples(
    st.sampled_from("sk- sk-or-v1- gsk_ csk- nvapi- hf_ AIza ghp_ xai- sk-proj- Bearer\u00a0".split(" ")),
    drawn(16),
).map("".join)
IDS = st.one_of(
    st.uuids().map(str),
    st.tuples(
        st.sampled_from("org- org_ proj_ acct_ user_ user- req_ chatcmpl- cus_ team_".split()), drawn(12)
    ).map("".join),
    drawn(16),
    st.integers(10**8, 10**14).map(str),
)
MAILS = st.emails()
# Whatever is before and after: words, signs, and what refusals put around names.
AROUND = st.sampled_from(
    ["", "key ", "for ", "(", "`", "'", '"', "organization `", "id=", "/", ": ", "<", "user:", "\n"]
)
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.one_of(KEYS, IDS, MAILS), AROUND, AROUND)
@example("org_01hxabcdef123456", "organization `", "` service tier")
@example("5d41402abc4b2a76b9719d911017c592", "https://api.example.com/v4/accounts/", "/ai")
def test_no_key_id_or_address_passes_in_words(found, before, after):
    assert found.strip() not in words(f"{before}{found}{after}", (), KNOWN)


@given(st.one_of(KEYS, IDS, MAILS), TEXTS)
def test_none_passes_as_a_value_or_a_name_of_a_body_however_deep(found, text):
    assume(found not in text)
    inner = {
        "message": f"{text} {found}",
        "error": [found, {"code": found, "user_id": found}],
        found: "x",
        "raw": found,
    }
    body = {"error": inner, "id": found, "metadata": {"headers": {"X-RateLimit-Reset": found, found: 1}}}
    shown = json.dumps(shape(body, (), KNOWN), ensure_ascii=False)
    assert found not in shown
    assert found not in shown.encode().decode("unicode_escape", "replace") or not found.isascii()


@given(st.one_of(KEYS, st.uuids().map(str), MAILS, drawn(16)))
def test_none_passes_in_headers_that_are_shown(found):
    value = found.encode("latin-1", "replace")
    names = (
        b"x-ratelimit-limit-requests",
        b"retry-after",
        b"content-type",
        b"server",
        b"x-quota-user",
        b"cf-ray",
    )
    shown = headers([(name, value) for name in names] + [(value, b"1")], (), KNOWN)
    assert found.lower() not in str(shown).lower()


@given(st.text(alphabet=string.printable[:94], min_size=4, max_size=60), TEXTS)
def test_a_secret_that_is_known_passes_nowhere_whatever_it_looks_like(secret, text):
    secrets = (secret,)
    body = {
        "error": {"message": f"{text}{secret}{text} {secret}", "code": secret, "user": secret, secret: secret}
    }
    told = [shape(body, secrets, KNOWN), headers([(b"x-ratelimit-limit", secret.encode())], secrets, KNOWN)]
    strings = [text for one in told for text in _strings(one)]
    assume(secret not in HIDDEN)  # what stands in its place
    assert not [one for one in strings if secret in one.replace(HIDDEN, "") and secret not in _OURS]


_OURS = " ".join(["error message code user x-ratelimit-limit", *(f"string of {n}" for n in range(99))])


def _strings(value):
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize(
    "text",
    [
        "Rate limit reached for model `llama-3.3-70b-versatile` in organization `Acme Inc` on tokens per day",
        "The account 'Jane Doe' is suspended. It belongs to the user Jane Doe.",
        "Project Acme-Internal has been denied access; your account has been moved to Organization Acme",
        'quota of team "Acme" and of workspace (Acme), owner: Jane',
    ],
)
def test_names_of_people_and_organisations_are_hidden_where_they_are_called_that(text):
    told = words(text, (), KNOWN)
    assert not [name for name in ("Acme", "Jane", "Doe", "Internal") if name in told]


@pytest.mark.parametrize(
    "text",
    [
        "on tokens per day (TPD): Limit 200000, Used 198371, Requested 3158. Please try again in 16m9.5s.",
        "The model `freeroute-no-such-model` does not exist or you do not have access to it.",
        "Invalid value for 'temperature': expected a value between 0 and 2, but got 99",
        "your account has insufficient credit; see RESOURCE_EXHAUSTED",
        "generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 20",
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "max_tokens must be less than or equal to 8192 at 2026-11-21T10:00:00Z (3505)",
        "key_invalid user_location request_timeout project_quota_exceeded",
        "您的请求过多",
    ],
)
def test_words_that_explain_an_error_stay(text):
    assert words(text, (), KNOWN) == text


def test_words_are_one_printable_line_and_not_endless():
    told = words("a\x1b[31m\r\nb " + "word " * 10_000, (), ())
    assert told.isprintable()
    assert len(told) <= LONGEST + 3
    assert (
        words("see https://console.groq.com/org/acme?x=1 now", (), ()) == "see https://console.groq.com now"
    )


def test_headers_about_limits_and_form_stay_and_no_others():
    pairs = [
        (b"X-RateLimit-Limit-Requests", b"1000"),
        (b"x-ratelimit-reset", b"1790000000000"),
        (b"x-ratelimit-reset-tokens", b"2m59.56s"),
        (b"RateLimit-Policy", b"10;w=60"),
        (b"retry-after", b"17"),
        (b"retry-after", b"18"),
        (b"content-type", b"application/json; charset=utf-8"),
        (b"date", b"Sat, 21 Nov 2026 22:43:33 GMT"),
        (b"cf-ray", b"8f0"),
        (b"set-cookie", b"a=b"),
        (b"openai-organization", b"acme"),
        (b"x-quota-project", b"acme"),
        (b"x-request-id", b"req_1"),
    ]
    assert headers(pairs, (), ()) == {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-reset": "1790000000000",
        "x-ratelimit-reset-tokens": "2m59.56s",
        "ratelimit-policy": "10;w=60",
        "retry-after": "17, 18",
        "content-type": "application/json; charset=utf-8",
        "date": "Sat, 21 Nov 2026 22:43:33 GMT",
    }


def test_of_a_body_the_shape_stays_and_what_explains():
    body = {
        "id": "chatcmpl-1",
        "created": 1790000000,
        "model": KNOWN[0],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello Jane"}, "logprobs": None}]
        * 14,
        "usage": {"prompt_tokens": 12, "total_time": 0.5},
        "account": 42,
        "metadata": {"headers": {"X-RateLimit-Reset": 1790000000000}, "flagged": True},
        "deep": [[[[[[[[[1]]]]]]]]],
    }
    shown = shape(body, (), KNOWN)
    assert shown["choices"][-1] == "... 2 more"
    assert shown["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "string of 10"},
        "logprobs": None,
    }
    del shown["choices"]
    assert shown == {
        "id": "string of 10",
        "created": "number",
        "model": KNOWN[0],
        "usage": {"prompt_tokens": 12, "total_time": 0.5},
        "account": "number",
        "metadata": {"headers": {"X-RateLimit-Reset": 1790000000000}, "flagged": True},
        "deep": [[[[[[["[...]"]]]]]]],
    }
    assert len(shape({str(n): n for n in range(99)} | {f"n{n}": 1 for n in range(99)}, (), ())) <= 25


@given(KEYS, st.integers(6, 40), st.sampled_from([str.upper, str.lower, str.swapcase]), AROUND)
def test_no_piece_of_a_known_key_passes_however_it_is_quoted(key, length, case, before):
    for piece in (key[:length], key[-length:], f"{key[:4]}...{key[-4:]}"):
        told = words(f"Odd value {before}{case(piece)} was refused", (key,), KNOWN).lower()
        assert key[:6].lower() not in told
        assert key[-4:].lower() not in told


@pytest.mark.parametrize(
    "told",
    [
        "acct_99887",
        "org-12ab",
        "user_4711",
        "+49 170 1234567",
        "(555) 123-4567",
        "555 123 4567",
        "+1 (555) 123-4567",
    ],
)
def test_short_ids_and_telephone_numbers_are_hidden(told):
    shown = words(f"see {told} for this", (), ())
    assert not [part for part in ("99887", "12ab", "4711", "170", "4567", "555") if part in shown]
    assert shown.startswith("see ")
    assert shown.endswith(" for this")


@pytest.mark.parametrize("text", ["0.1234567 of 12 s", "on 2026-11-21 10:00:00 UTC", "8 of 30 000"])
def test_numbers_and_dates_are_no_telephone_numbers(text):
    assert words(text, (), ()) == text
