"""The routes, headers, errors, endings and numbers on the pages are those of the code."""

import re
import string
from collections.abc import Iterator

import pytest

from freeroute import errors, open_files
from freeroute.domain import breaker, counters, effects, keys, ranking, scores, speed, usage
from freeroute.domain.outcome import DROPPABLE, IN_MESSAGES, Kind, Outcome, blamed, judge
from freeroute.engine import probes
from freeroute.engine.ports import SOON
from freeroute.local_servers import PAUSE
from freeroute.surfaces import crowd
from freeroute.surfaces.bounds import Bounds
from freeroute.upstreams import http_pool, local
from tests.support.pages import OPENAPI, OWN_SOURCE, PAGES, ROOT, ROUTING, SOURCE, codes, prose, rows, section

# --- routes, headers, codes ------------------------------------------------------------------------------

ADMINISTRATION = PAGES["docs/administration.md"]
ROUTE = re.compile(r"^(?:(GET|POST|PATCH|PUT|DELETE) )?(/[\w/{}.:-]*)(?:\?.*)?$")


def test_every_route_that_a_page_names_exists():
    known = {(method.upper(), path) for path, item in OPENAPI["paths"].items() for method in item}
    patterns = [(method, re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))) for method, path in known]
    for page, content in PAGES.items():
        for match in filter(None, map(ROUTE.match, codes(prose(content)))):
            path = match[2].removeprefix("/api") if match[2].startswith("/api/v1/") else match[2]
            if not match[1] and (path.split("/")[1] not in ROOTS or path in PREFIXES):
                continue
            fits = [re.fullmatch(p, path) for method, p in patterns if match[1] in (None, method)]
            assert any(fits), (page, match[0])


ROOTS = {path.split("/")[1] for path in OPENAPI["paths"]} - {"v1", ""}
PREFIXES = {"/api", "/api/v1"}


def test_every_route_is_named_with_who_may_call_it():
    table = section(PAGES["docs/deployment.md"], "Routes") + section(ADMINISTRATION, "Routes")
    named = {match[0] for match in filter(None, map(ROUTE.match, codes(table)))}
    known = {f"{method.upper()} {path}" for path, item in OPENAPI["paths"].items() for method in item
             if method in ("get", "post", "patch", "put", "delete")}  # fmt: skip
    assert {route for route in known - named if not route.startswith("GET /dashboard/")} == set()


def test_the_scope_of_every_route_of_administration_is_the_one_it_asks_for():
    for routes_, scope, _ in rows(section(ADMINISTRATION, "Routes")):
        for method, path in (code.split(" ") for code in codes(routes_)):
            assert OPENAPI["paths"][path][method.lower()]["security"] == [{"admin": codes(scope)}], path


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_header_that_does_not_exist(page):
    named = set(re.findall(r"\bx-freeroute-[a-z]+(?:-[a-z]+)*", PAGES[page]))
    assert {name for name in named if f'"{name}"' not in SOURCE and f"{name}: " not in SOURCE} == set()


def test_every_header_of_an_answer_and_of_a_request_is_explained():
    parameters = OPENAPI["paths"]["/v1/chat/completions"]["post"]["parameters"]
    expected = {*OPENAPI["components"]["headers"], *(p["name"] for p in parameters)}
    explained = {word for code in codes(ROUTING) for word in code.replace(":", " ").split()}
    assert expected - explained == set()


def test_every_error_is_in_the_table():
    table = {(int(row[0]), codes(row[1])[0]) for row in rows(section(ROUTING, "Errors")) if row[0].isdigit()}
    classes = list(_leaves(errors.ApiError))
    expected = {(cls.status, cls.default_code) for cls in classes}
    extra = {
        "model_not_found": 404,
        "model_not_allowed": 403,
        "forbidden_origin": 403,
        "insufficient_scope": 403,
        "too_many_wrong_tokens": 429,
        "audit_unavailable": 503,
        "crowded": 503,
        "invalid_settings": 400,
        "previous_response_not_found": 400,
        "responses_not_kept": 400,
    }
    assert table == expected | {(status, code) for code, status in extra.items()}
    assert set(re.findall(r'code="(\w+)"', OWN_SOURCE)) <= {code for _, code in table}


def _leaves(cls: type[errors.ApiError]) -> Iterator[type[errors.ApiError]]:
    for inner in cls.__subclasses__():
        yield inner
        yield from _leaves(inner)


# --- endings and numbers ---------------------------------------------------------------------------------


def test_every_ending_is_in_the_table_with_what_comes_next_and_whose_fault_it_is():
    table = {codes(row[0])[0]: row for row in rows(section(ROUTING, "What an ending means")) if codes(row[0])}
    del table["kind"]  # the table's head
    assert set(table) == {kind.value for kind in Kind}
    for kind in Kind:
        outcome = Outcome(kind)
        _, _, following, fault, _ = table[kind.value]
        assert fault == blamed(outcome).value, kind
        expected = "without, or candidate" if kind is Kind.BAD_PARAMETER else judge(outcome).value
        assert following == expected, kind


def test_every_parameter_that_may_be_left_out_is_named():
    found = re.search(r"Parameters that may be left out:(.*?)and fields", ROUTING, re.DOTALL)
    assert found
    assert set(codes(found[1])) == {name for name in DROPPABLE if not name.startswith(IN_MESSAGES)}


def _said(seconds: float) -> str:
    for length, unit in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


@pytest.mark.parametrize(
    ("page", "phrase"),
    [
        ("routing", f"ranked last for {_said(breaker.SUSPICION)}"),
        ("routing", f"{breaker.IN_A_ROW} failures in a row"),
        ("routing", f"half of at least {breaker.SAMPLE} answers within {breaker.SAMPLE_SECONDS} s"),
        ("routing", f"rests for {_said(breaker.FIRST_REST)}"),
        ("routing", f"up to {_said(breaker.LONGEST_REST)}"),
        ("routing", f"two of its models fail within {_said(breaker.TWO_MODELS_WITHIN)}"),
        ("routing", f"rests {_said(effects.CAPACITY_REST)} or as long as asked"),
        ("routing", f"the key is out for {_said(effects.NO_CREDIT_REST)}"),
        ("routing", f"out for that key for {_said(effects.FORBIDDEN_REST)}"),
        ("routing", f"on, the key for {_said(effects.FORBIDDEN_KEY_REST)}"),
        ("routing", f"the model is out for {_said(effects.GONE_REST)}"),
        ("routing", f"the server rests {_said(effects.LOADING_REST)}"),
        ("routing", f"the provider is out for {_said(effects.MISCONFIGURED_REST)}"),
        ("routing", f"under way for {_said(keys.PROVING)}"),
        ("routing", f"adds {_said(speed.FAILURE_SECONDS)}"),
        ("routing", f"at most {http_pool.MOST} calls at a time to one provider"),
        ("routing", f"waits {SOON:g} s for its turn"),
        ("deployment", f"At most {http_pool.MOST} calls at a time"),
        ("deployment", f"fewer than {2 * http_pool.MOST + open_files.SPARE} files"),
        ("deployment", f"{http_pool.most_with(1024)} with `ulimit -n 1024`"),
        ("deployment", f"Of fewer than {2 * open_files.SPARE} it keeps back half"),
        ("deployment", f"half instead of {open_files.SPARE}, but {open_files.SPARE // 2} at least"),
        ("deployment", f"for callers: {open_files.each_side(1024):g} with `ulimit -n 1024`"),
        ("deployment", f"{open_files.each_side(open_files.MANY):,.0f} with {open_files.MANY:,}"),
        ("deployment", f"Up to {crowd.AT_THE_DOOR} of them, a quarter at most"),
        ("deployment", f"been on its way for {_said(Bounds().slow_head_seconds)} is idle"),
        ("deployment", f"nobody has been idle for {_said(crowd.RESTED)}"),
        ("deployment", "once a minute at most" if crowd.TELL_AGAIN == 60 else "?"),
        ("routing", f"After {speed.ENOUGH} answers of a model within {_said(speed.STALE)}"),
        ("routing", "four times its slowest" if speed.PATIENCE == 4 else "?"),
        ("routing", "takes a twentieth off" if speed.FORGETTING == 1 / 20 else "?"),
        ("routing", f"{_said(speed.LEAST_PATIENCE)} at least, and a second more for every {speed.PREFILL:g}"),
        ("routing", f"One request in {1 / scores.EXPLORE:g} "),
        ("routing", f"in the last {scores.STALE_MEASUREMENT / 60:g} minutes"),
        ("routing", f"up to {usage.DEFAULT_OUTPUT} tokens"),
        ("routing", f"up to {', '.join(map(str, scores.OUTPUTS[:-1]))} or {scores.OUTPUTS[-1]} tokens"),
        ("routing", f"at the latest {_said(ranking.READ_AGAIN)} after"),
        ("routing", f"`max_tokens` {probes.PROBE_TOKENS}"),
        ("routing", f"fewer than {probes.SPARE_DAY_QUOTA} requests a day"),
        ("limits", f"at {usage.BYTES_PER_TOKEN} bytes a token, and the"),
        ("limits", f"with {usage.TOKENS_PER_MESSAGE} tokens a message"),
        ("limits", f"and {usage.TOKENS_PER_IMAGE} an image"),
        ("limits", f"answer up to {usage.DEFAULT_OUTPUT} tokens"),
        ("limits", "half a second after sending" if counters.GUARD == 0.5 else "?"),
        ("limits", f"{_said(effects.FIRST_BACKOFF)}, doubling with each further one"),
        ("limits", f"one up to {_said(effects.LONGEST_BACKOFF)}"),
        ("configuration", f"has {local.BUDGET:g} s to answer"),
        ("configuration", f"has {local.LISTED_BUDGET:g} s"),
        ("configuration", "again every minute" if PAUSE == 60 else "?"),
        ("configuration", f"else {local.OLLAMA_CONTEXT} tokens"),
    ],
)  # fmt: skip
def test_a_number_on_a_page_is_the_number_in_the_code(page, phrase):
    text = " ".join(PAGES[f"docs/{page}.md"].split())
    assert phrase in text


# --- the picture -----------------------------------------------------------------------------------------


def test_the_picture_describes_itself_and_follows_the_readers_theme():
    picture = (ROOT / "docs/flow.svg").read_text(encoding="utf-8")
    assert 'role="img"' in picture
    assert re.search(r"<title[^>]*>[^<]+</title>", picture)
    assert re.search(r"<desc[^>]*>[^<]{80,}</desc>", picture)
    assert "prefers-color-scheme: dark" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("page", PAGES)
def test_a_picture_has_words_for_those_who_do_not_see_it(page):
    for words in re.findall(r"!\[([^\]]*)\]\(", PAGES[page]):
        assert len(words) > 20


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_written_in_characters_that_every_editor_shows(page):
    strange = {char for char in PAGES[page] if not char.isascii() and char not in "–─→’└├│…"}
    assert strange - set(string.printable) == set()
