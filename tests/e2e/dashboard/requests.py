"""The page of requests."""

from collections.abc import Callable
from typing import Any

from tests.e2e.dashboard.walk import Walk

ILL = "cerebras"  # a provider that has no capacity, once
PLENTY = "mistral"  # one whose models let so many ask at once
MANY = """async ({provider, count}) => {
  const {data} = await (await fetch("/v1/models")).json();
  const names = data.map(({id}) => id).filter((id) => id.startsWith(`${provider}/`));
  await Promise.all(Array.from({length: count}, async (_, at) => {
    const messages = [{role: "user", content: "Hello!"}];
    const body = JSON.stringify({model: names[at % names.length], max_tokens: 9 + at, messages});
    await (await fetch("/v1/chat/completions", {method: "POST", body})).text();
  }));
}"""


def a_request_appears(walk: Walk) -> None:
    """A finished request shows up by itself, with who answered."""
    walk.turn_to("Requests")
    asked = _ask(walk, "free-fast")
    _row(walk, asked).wait_for()
    walk.see(".request .what", "free-fast")


def a_failed_hop_is_told_on_the_timeline(walk: Walk) -> None:
    """An opened request tells each attempt with its ending, what it was chosen by, and its headers."""
    walk.stage.steer(ILL, faults=[503])
    asked = _ask(walk, f"{ILL}/gpt-oss-120b", models=["free-fast"], stream=True)
    opener = _row(walk, asked).get_by_role("button")
    opener.focus()
    opener.press("Enter")
    assert opener.get_attribute("aria-expanded") == "true"
    walk.see(".opened .said", "after 1 attempt in vain")
    hop, answer = walk.page.locator(".course li").all_inner_texts()
    assert [words for words in (ILL, "too busy itself (503)") if words not in hop] == [], hop
    assert [words for words in ("answered", "first word after") if words not in answer] == []
    walk.see(".opened .why", "Able to serve such requests")
    walk.see(".opened pre", f"x-request-id: {asked}")
    walk.see(".opened pre", f"x-freeroute-trail: {ILL}/gpt-oss-120b=no_capacity:503")


def the_plan_is_of_now(walk: Walk) -> None:
    """The plan is asked for when it is opened, and says that it is of now."""
    walk.page.locator(".opened summary").click()
    walk.see(".opened .note", "not as it stood then")
    assert walk.page.locator(".plan li", has_text=f"{ILL}/gpt-oss-120b: ").count() == 1


def what_one_reads_stays_where_it_is(walk: Walk) -> None:
    """While a request is open nothing moves: new ones are counted and wait; the focus stays."""
    shown = walk.page.locator(".request").count()
    opener = walk.page.locator(".opener[aria-expanded=true]")
    opener.focus()
    later = _ask(walk, "free")
    walk.see(".fresh", "1 new")
    assert walk.page.locator(".request").count() == shown
    assert opener.evaluate("node => node === document.activeElement")
    walk.page.locator(".fresh button").click()
    _row(walk, later).wait_for()
    opener.press("Escape")
    walk.page.locator(".opened").wait_for(state="detached")
    assert walk.page.url.endswith("#requests")


def filters_are_in_the_address(walk: Walk) -> None:
    """What is looked for stands in the address, so that a view can be linked; nothing found is told."""
    _ask(walk, "groq/nope", served=False)
    walk.page.get_by_label("Outcome", exact=True).select_option("turned")
    walk.see(".request .result", "404")
    assert walk.page.locator(".request .result", has_text="200").count() == 0
    address = walk.page.url
    walk.page.get_by_label("Find by model").fill("nothing of the kind")
    walk.see(".panel", "None of the requests here is like that")
    walk.page.get_by_role("button", name="Show all").click()
    assert walk.page.url.endswith("#requests")
    walk.page.goto("about:blank")
    walk.page.goto(address)
    walk.see(".request .result", "404")
    assert walk.page.get_by_label("Outcome", exact=True).input_value() == "turned"
    walk.page.get_by_role("button", name="Show all").click()


def older_ones_come_from_the_records(walk: Walk) -> None:
    """An operator goes back beyond the last requests; none is there twice."""
    asked = [_ask(walk, "free-fast") for _ in range(2)]
    walk.page.evaluate(MANY, {"provider": PLENTY, "count": 55})
    _row(walk, asked[0]).wait_for(state="detached")
    walk.page.get_by_role("button", name="Load older requests").click()
    _row(walk, asked[0]).wait_for()
    titles = [row.get_attribute("title") for row in walk.page.locator(".request").all()]
    assert len(titles) == len(set(titles))
    _row(walk, asked[0]).get_by_role("button").click()
    walk.see(".opened .note", "is worked out")


def a_request_has_an_address(walk: Walk) -> None:
    """A link to a request opens it, from the records too; one that nobody knows is told."""
    address = walk.page.url
    assert "#requests/req_" in address
    for place, seen in (
        (address, ".opened .said"),
        (f"{walk.url}/dashboard#requests/no-such", ".requests > [role=status]"),
    ):
        walk.page.goto("about:blank")
        walk.page.goto(place)
        walk.page.locator(seen).first.wait_for()
    walk.see(".panel", "Request no-such is not among those that are known here")
    walk.turn_to("Requests")


def _ask(walk: Walk, model: str, *, served: bool = True, **given: Any) -> str:
    """Ask *model*; return the request's id."""
    question = [{"role": "user", "content": "Hello!"}]
    sent = {"model": model, "messages": question, **given}
    reply = walk.page.request.post(f"{walk.url}/v1/chat/completions", data=sent)
    assert reply.ok is served, reply.text()
    return str(reply.headers["x-request-id"])


def _row(walk: Walk, request_id: str) -> Any:
    return walk.page.locator(f'tr[title="Request {request_id}"]')


STEPS: tuple[Callable[[Walk], None], ...] = (
    a_request_appears,
    a_failed_hop_is_told_on_the_timeline,
    the_plan_is_of_now,
    what_one_reads_stays_where_it_is,
    filters_are_in_the_address,
    older_ones_come_from_the_records,
    a_request_has_an_address,
)
