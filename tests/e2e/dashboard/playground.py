"""The page that asks."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from tests.e2e.dashboard.stage import AS_ADMIN
from tests.e2e.dashboard.walk import ADMIN_KEY, Walk

PATH = "/v1/chat/completions"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf50000003860181a89a0bfb0000000049454e44ae426082"
)
BRING = """(node, [kind, bytes]) => {
  const brought = new DataTransfer();
  brought.items.add(new File([new Uint8Array(bytes)], "brought.png", { type: "image/png" }));
  const told = { bubbles: true, cancelable: true, clipboardData: brought, dataTransfer: brought };
  node.dispatchEvent(kind === "paste" ? new ClipboardEvent(kind, told) : new DragEvent(kind, told));
}"""
SPLIT = """async (body) => {
  const { Answer, eventsOf } = await import("/dashboard/events.js");
  const bytes = new TextEncoder().encode(body);
  const read = async (...parts) => {
    const answer = new Answer();
    const stream = new ReadableStream({
      start(at) {
        for (const part of parts) at.enqueue(part);
        at.close();
      },
    });
    for await (const event of eventsOf(new Response(stream))) answer.take(event);
    return JSON.stringify([answer.message, answer.thoughts, answer.usage]);
  };
  const whole = await read(bytes);
  for (let at = 1; at < bytes.length; at += 1) {
    if ((await read(bytes.slice(0, at), bytes.slice(at))) !== whole) return `otherwise when cut at ${at}`;
  }
  return whole;
}"""


def an_answer_streams_beside_its_plan(walk: Walk) -> None:
    """A question goes out by keyboard, and beside the answer stand who gave it, how fast, and the plan."""
    _open(walk)
    walk.page.locator(".playground select").select_option("free-fast")
    _say(walk, "Why is the sky blue?")
    walk.see(".turn .answer", "simulated answer")
    _finished(walk, 1)
    facts = walk.page.locator(".turn .told").inner_text()
    assert all(name in facts for name in ("First token", "Total", "Tokens")), facts
    who = walk.page.locator(".turn .answer h3").inner_text()
    assert who.split(", ")[1] in walk.page.locator(".turn .answer > div .prose").inner_text()
    walk.page.get_by_text("The plan when it was asked").click()
    assert who.replace(", ", "/") in walk.page.locator(".beside li", has_text="answered").inner_text()
    walk.see("[role=status]", "simulated answer")


def a_conversation_goes_on(walk: Walk) -> None:
    """The next question carries what was said before, and nothing of it is kept after a reload."""
    with walk.page.expect_request(f"**{PATH}") as sent:
        _say(walk, "And at night?")
    roles = [one["role"] for one in sent.value.post_data_json["messages"]]
    assert roles == ["user", "assistant", "user"], roles
    walk.page.reload()
    walk.see(".playground", "a reload forgets it")


def tools_are_called_and_answered(walk: Walk) -> None:
    """A call of a tool is shown, and its result, typed in, goes back."""
    _open(walk)
    walk.page.locator("summary", has_text="Options").click()
    walk.page.get_by_label("Offer tools").check()
    tools = walk.page.get_by_label("Tools, a list in JSON")
    told = tools.input_value()
    tools.fill("{")
    _say(walk, "How is the weather in Oslo?")
    assert tools.get_attribute("aria-invalid") == "true"
    assert not walk.page.locator(".turn").count()
    tools.fill(told)
    _say(walk, "How is the weather in Oslo?")
    walk.see(".turn .calls", "get_weather")
    walk.page.get_by_label("What it returned").fill('{"celsius": 4}')
    with walk.page.expect_request(f"**{PATH}") as sent:
        walk.page.get_by_role("button", name="Send the results").click()
    asked, called, result = sent.value.post_data_json["messages"]
    assert [asked["role"], called["role"], result["role"]] == ["user", "assistant", "tool"]
    assert result["tool_call_id"] == called["tool_calls"][0]["id"]
    _finished(walk, 2)
    assert not walk.page.locator(".turn .error").all_inner_texts()[-1]


def images_go_where_they_are_seen(walk: Walk) -> None:
    """An image is shown before it is sent, can be taken back, and a model that sees none says so."""
    _open(walk)
    model, add = walk.page.locator(".playground select"), walk.page.get_by_role("button", name="Add images")
    blind = walk.page.evaluate(
        """async () => (await (await fetch("/v1/models")).json()).data.find(
             ({architecture: {input_modalities: takes, output_modalities: gives}}) =>
               gives.includes("text") && !takes.includes("image")).id"""
    )
    model.select_option("free")
    _attach(walk, "first.png")
    for number, kind in enumerate(("paste", "drop"), 2):
        walk.page.get_by_label("Message", exact=True).evaluate(BRING, [kind, list(PIXEL)])
        walk.page.locator(".previews img").nth(number - 1).wait_for()
    for number in (3, 2):
        walk.page.get_by_role("button", name=f"Remove image {number}").click()
    assert walk.page.locator(".previews img").count() == 1
    model.select_option(blind)
    walk.see(".composer .error", "takes no images")
    assert add.is_disabled()
    _say(walk, "What is this?")
    assert not walk.page.locator(".turn").count()
    model.select_option("free")
    _say(walk, "What is this?")
    walk.see(".turn .answer", "simulated answer")
    assert walk.page.locator(".turn .mine img").count() == 1
    assert not walk.page.locator(".previews li").count()


def a_stop_is_heeded(walk: Walk) -> None:
    """Escape ends what is asked, here and at the provider; what was said stays, and it can be asked again."""
    _open(walk, "groq/openai/gpt-oss-120b")
    walk.stage.steer("groq", speed={"first_token": 30})
    _say(walk, "Why?")
    walk.see(".turn .note", "Asking for")
    walk.page.keyboard.press("Escape")
    walk.see(".turn .note", "Stopped.")
    walk.stage.steer("groq", speed={"first_token": 0, "tokens_per_second": 5})
    walk.page.get_by_role("button", name="Try again").click()
    walk.see(".turn .answer", "This is")
    walk.page.keyboard.press("Escape")
    walk.see(".turn .note", "Stopped.")
    walk.see(".turn .answer", "This is")
    walk.stage.steer("groq", speed=None)
    walk.page.get_by_role("button", name="See the request").click()
    walk.page.locator("#nav [aria-current=page]", has_text="Requests").wait_for()
    walk.see("main", "caller left")


def failures_are_told_in_words(walk: Walk) -> None:
    """A spent quota counts down, an unknown model and a stream that breaks say what to do."""
    refused = {"error": {"message": "all are out of quota", "code": "capacity_exhausted"}}
    late = {
        "retry-after": "41",
        "x-freeroute-attempts": "1",
        "x-freeroute-trail": "groq/m=1=rate_limited:429",
    }
    _answered(walk, json.dumps(refused), status=429, headers=late)
    walk.see(".turn .error", "out of quota. Try again then")
    walk.see(".turn .note", "There is room in 41 s")
    walk.see(".turn .told", "groq/m=1 out of quota (429)")
    broken = {"error": {"message": "groq stopped in the middle", "code": "upstream_failed"}}
    _answered(walk, _events({"choices": [{"delta": {"content": "Because"}}]}, broken))
    walk.see(".turn .answer", "Because")
    walk.see(".turn .error", "groq stopped in the middle. Try again")
    _answered(walk, _events({"choices": [{"delta": {"content": "Half"}}]}, done=False))
    walk.see(".turn .error", "ended in the middle")
    _open(walk, "no/such model")
    _say(walk, "Why?")
    walk.see(".turn .error", "Choose one from the list.")
    walk.forgive("429")
    walk.forgive("404")


def thoughts_and_code_stand_apart(walk: Walk) -> None:
    """Thoughts are folded away once the answer begins, code has a box, and nothing becomes markup."""
    _answered(
        walk,
        _events(
            {"choices": [{"delta": {"reasoning_content": "Hm, <b>recursion</b>."}}]},
            {"choices": [{"delta": {"content": "So:\n```python\ndef f(): f()\n```\n<img src=x>"}}]},
        ),
    )
    walk.see(".turn .answer pre", "def f(): f()")
    assert walk.page.locator(".turn .answer p.prose").last.inner_text().strip() == "<img src=x>"
    thoughts = walk.page.locator(".turn .thoughts")
    assert thoughts.get_attribute("open") is None
    thoughts.locator("summary").click()
    walk.see(".turn .thoughts", "Hm, <b>recursion</b>.")


def an_answer_reads_alike_wherever_it_is_cut(walk: Walk) -> None:
    """However the network cuts a stream, its text, thoughts, calls and usage are the same."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    more = {"index": 0, "function": {"arguments": ': "ø"}'}}
    found = walk.page.evaluate(
        SPLIT,
        ": waiting\n\n"
        + _events(
            {"choices": [{"delta": {"role": "assistant", "content": "å\n"}}]},
            {"choices": [{"delta": {"reasoning_content": "日本", "tool_calls": [call]}}]},
            {"choices": [{"delta": {"tool_calls": [more]}, "finish_reason": "tool_calls"}]},
            {"choices": [], "usage": {"completion_tokens": 3}},
        ),
    )
    message, thoughts, usage = json.loads(found)
    assert message["content"] == "å\n"
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": "ø"}'}
    assert (thoughts, usage) == ("日本", {"completion_tokens": 3})


def the_request_is_a_command(walk: Walk) -> None:
    """What is copied runs in a shell as it stands."""
    _open(walk)
    walk.page.context.grant_permissions(["clipboard-write"])
    walk.page.get_by_label("Message", exact=True).fill("It's $HOME's \"quote\" `here`")
    walk.page.get_by_role("button", name="Copy as curl").click()
    walk.see("#notice", "Copied.")
    ran = subprocess.run(
        ["sh", "-c", walk.page.locator(".playground > textarea").input_value()],
        capture_output=True,
        text=True,
        timeout=15,
        check=True,
    )
    assert "data: [DONE]" in ran.stdout


def who_may_ask_asks(walk: Walk) -> None:
    """Where there are clients, they ask, and operators who may change something; others are told why not."""
    body = {"name": "looker", "scope": "read"}
    reply = walk.page.request.post(f"{walk.url}/admin/operators", data=body, headers=AS_ADMIN)
    assert reply.ok, reply.text()
    _sign_in(walk, reply.json()["token"])
    walk.see(".composer .note", "looker has scope read")
    assert walk.page.get_by_role("button", name="Send").is_disabled()
    for key in (walk.stage.add_client("asker"), ADMIN_KEY):
        _sign_in(walk, key)
        _say(walk, "Why?")
        walk.see(".turn .answer", "simulated answer")
    for path in ("operators/looker", "clients/asker"):
        assert walk.page.request.delete(f"{walk.url}/admin/{path}", headers=AS_ADMIN).ok


def _sign_in(walk: Walk, key: str) -> None:
    """Open the page anew as whoever holds *key*."""
    own = {"x-freeroute-dashboard": "1"}
    assert walk.page.request.post(f"{walk.url}/dashboard/session", data={"key": key}, headers=own).ok
    _open(walk)


def _open(walk: Walk, model: str = "") -> None:
    """Open the page anew, with nothing said."""
    walk.page.goto("about:blank")
    walk.page.goto(f"{walk.url}/dashboard#playground/{model}")
    walk.page.locator(".playground option").first.wait_for(state="attached")


def _say(walk: Walk, words: str) -> None:
    """Write *words* and send them by keyboard."""
    walk.page.get_by_label("Message", exact=True).fill(words)
    walk.page.keyboard.press("Control+Enter")


def _finished(walk: Walk, turns: int) -> None:
    """Wait until the last of so many *turns* is over."""
    walk.page.locator(".turn").nth(turns - 1).locator(".told div").first.wait_for()


def _attach(walk: Walk, name: str) -> None:
    """Pick a small image, and see it."""
    before = walk.page.locator(".previews img").count()
    file: Any = {"name": name, "mimeType": "image/png", "buffer": PIXEL}
    walk.page.get_by_label("Images", exact=True).set_input_files(file)
    walk.page.locator(".previews img").nth(before).wait_for()


def _answered(walk: Walk, body: str, status: int = 200, headers: dict[str, str] | None = None) -> None:
    """Ask, on a page with nothing said, and be answered this."""
    _open(walk)
    walk.page.route(f"**{PATH}", lambda route: route.fulfill(status=status, body=body, headers=headers or {}))
    _say(walk, "Why?")
    walk.page.locator(".turn .answer:not([aria-busy])").wait_for()
    walk.page.unroute(f"**{PATH}")


def _events(*events: Any, done: bool = True) -> str:
    """Return *events* as a stream has them."""
    said = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events)
    return said + ("data: [DONE]\n\n" if done else "")


STEPS: tuple[Callable[[Walk], None], ...] = (
    an_answer_streams_beside_its_plan,
    a_conversation_goes_on,
    tools_are_called_and_answered,
    images_go_where_they_are_seen,
    a_stop_is_heeded,
    failures_are_told_in_words,
    thoughts_and_code_stand_apart,
    an_answer_reads_alike_wherever_it_is_cut,
    the_request_is_a_command,
)
# Once there are clients.
KEYED_STEPS: tuple[Callable[[Walk], None], ...] = (who_may_ask_asks,)
