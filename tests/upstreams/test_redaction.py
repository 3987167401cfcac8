"""No piece of a known key survives in a text of others, however it is quoted; ordinary words do."""

import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freeroute.upstreams.complaints import TEXT_LIMIT, presentable
from freeroute.upstreams.redaction import HIDDEN, RUN, hide
from tests.support.refusals import error, judged

KEY = "gsk_aBcDeFgHiJkLmNoPqRsT"
SAID = "Odd field 'user' in the request of {} was found, see the manual"

DRAWN = st.tuples(
    st.sampled_from(["", "sk-", "gsk_", "sk-or-v1-", "nvapi-", "AIza"]),
    st.text(alphabet=string.ascii_letters + string.digits + "-_", min_size=8, max_size=60),
).map("".join)
WORDS = st.lists(
    st.sampled_from("my secret key for open router team alpha local test ollama".split()),
    min_size=3,
    max_size=6,
).map("-".join)
CASE = st.sampled_from([str, str.lower, str.upper, str.swapcase, str.title])
AROUND = st.sampled_from(
    ["", " ", "key ", "`", "'", '"', "(", "[", "key=", "/", "...", "***", "\n", "İ", "for "]
)


@settings(max_examples=400, deadline=None)
@given(DRAWN | WORDS, st.data(), CASE, AROUND, AROUND, st.sampled_from(["", " ", "  "]))
@example(KEY, None, str.upper, "`", "`", "")
def test_no_piece_of_a_key_survives_in_any_case_or_spacing(secret, data, case, before, after, gap):
    begin = 0 if data is None else data.draw(st.integers(0, len(secret) - 1))
    end = len(secret) if data is None else data.draw(st.integers(begin + 1, len(secret)))
    text = f"Incorrect API key: {before}{case(gap.join(secret[begin:end]))}{after} was refused"
    left = "".join(hide(text, (secret,)).replace(HIDDEN, "\0").split()).lower()
    pieces = [secret[at : at + RUN].lower() for at in range(len(secret) - RUN + 1)]
    assert not [piece for piece in pieces if piece in left]


@pytest.mark.parametrize(
    "shown",
    [
        KEY,
        KEY[:6],
        KEY[:10],
        KEY[5:12],
        KEY[-4:],
        KEY[-4:].upper(),
        KEY.upper(),
        KEY.lower(),
        f"{KEY[:4]}...{KEY[-4:]}",
        f"{KEY[:7]}…{KEY[-3:]}",
        f"...{KEY[-4:]}",
        f"***{KEY[-4:]}",
        f"{KEY[:8]}********",
        f"gsk_****{KEY[-3:]}",
        f"gsk_xxxx{KEY[-4:]}",
        f"key={KEY[4:9]}...",
        " ".join(KEY),
        f"{KEY[:8]} {KEY[8:]}",
    ],
)
def test_a_caller_never_reads_how_a_key_begins_goes_on_or_ends(shown):
    told = judged(400, error(SAID.format(shown)), secret=KEY).request_error
    assert told is not None
    for piece in (KEY[:6], KEY[5:9], KEY[-4:], KEY[-3:]):
        assert piece.lower() not in told.lower()
    assert told.startswith("Odd field 'user' in the request of ")
    assert told.endswith(" was found, see the manual")
    assert presentable(SAID.format(shown), KEY) == told


@pytest.mark.parametrize(
    "text",
    [
        "The model `nvidia/nemotron-3-super-120b-a12b` does not exist",
        "Invalid value for 'temperature': expected a value between 0 and 2, but got 99... see the docs",
        "您的请求过多",
        "Your key is not valid; keys begin with gsk_ or sk-",
        "",
    ],
)
def test_texts_without_a_piece_of_the_key_stay_as_they_are(text):
    assert hide(text, (KEY,)) == text
    assert hide(text, ("", "abc")) == text


def test_a_short_secret_is_hidden_whole_alone():
    assert hide("token AbCd: no, abc", ("abcd",)) == f"token {HIDDEN} no, abc"


def test_a_long_text_and_many_keys_cost_little():
    keys = [f"{n:03}{'aB3dE' * 20}" for n in range(200)]
    began = time.process_time()
    for text in ("aB3d" * 1000, "aB3dE " * 700, "...aB" * 800, "x" * 4000, "*" * 4000, ". " * 2000):
        hide(text, keys)
        assert len(presentable(text, keys[0])) <= TEXT_LIMIT
    assert time.process_time() - began < 3


@pytest.mark.parametrize("piece", [KEY, KEY[:8], KEY[4:12].upper()])
def test_a_piece_of_the_key_is_no_parameter_s_name_and_no_code(piece):
    for said in (
        error(f"Unsupported parameter: '{piece}'", code="unsupported_parameter", param=piece),
        error("odd value", code=piece, param=piece, type="invalid_request_error"),
        {"detail": [{"loc": ["body", piece], "msg": "extra fields not permitted", "type": "extra"}]},
    ):
        outcome = judged(400, said, secret=KEY)
        for told in (outcome.param, outcome.code, outcome.detail, outcome.request_error):
            assert piece.lower() not in (told or "").lower()
