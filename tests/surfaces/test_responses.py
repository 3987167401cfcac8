"""The Responses API over HTTP: what is asked, what is kept, and who may see it."""

import msgspec
import pytest

from freeroute.domain.clients import Client, hash_key
from freeroute.surfaces.access import Policy
from tests.contract.speaking import server_sent
from tests.support.gateways import ANSWER, FakeServed, chunk

PATH = "/v1/responses"
ALICE, BOB = (Client(name, hash_key(f"sk-{name}")) for name in ("alice", "bob"))
KEYED = Policy(admin_key="boss", clients=(ALICE, BOB))


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer sk-{name}"}


@pytest.fixture
def ask_as(ask):
    async def ask_as(name, method, path, **more):
        async with ask(KEYED) as client:
            return await client.request(
                method, path, headers={**key(name), **more.pop("headers", {})}, **more
            )

    return ask_as


async def made(ask_as, gateway, name="alice", **fields):
    gateway.answer = FakeServed(ANSWER)
    reply = await ask_as(name, "POST", PATH, json={"model": "free", "input": "Hi", **fields})
    assert reply.status_code == 200
    return reply.json()


def sent(gateway) -> list[tuple[str, str]]:
    call, _ = gateway.calls[-1]
    return [(one["role"], one["content"]) for one in msgspec.json.decode(call.fields["messages"])]


async def test_a_response_repeats_what_was_asked_and_says_that_it_is_kept(ask_as, gateway):
    form = {"type": "json_schema", "name": "x", "schema": {"type": "object"}}
    response = await made(
        ask_as,
        gateway,
        instructions="Be brief.",
        metadata={"a": "b"},
        temperature=0.5,
        reasoning={"effort": "low"},
        text={"format": form},
    )
    assert response["id"].startswith("resp_")
    assert response["model"] == "m"
    assert (response["instructions"], response["metadata"]) == ("Be brief.", {"a": "b"})
    assert (response["temperature"], response["top_p"]) == (0.5, 1.0)
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["text"]["format"]["schema"] == {"type": "object"}
    assert response["store"] is True


async def test_what_is_kept_is_shown_listed_and_forgotten(ask_as, gateway):
    first = await made(ask_as, gateway)
    second = await made(ask_as, gateway, input="So?", previous_response_id=first["id"])
    path = f"{PATH}/{second['id']}"
    assert (await ask_as("alice", "GET", path)).json() == second
    assert second["previous_response_id"] == first["id"]
    listed = (await ask_as("alice", "GET", f"{path}/input_items", params={"order": "asc"})).json()
    assert [item["role"] for item in listed["data"]] == ["user", "assistant", "user"]
    names = [item["id"] for item in listed["data"]]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (names[0], names[2], False)
    page = (
        await ask_as("alice", "GET", f"{path}/input_items", params={"limit": 1, "after": names[2]})
    ).json()
    assert ([item["id"] for item in page["data"]], page["has_more"]) == ([names[1]], True)
    gone = await ask_as("alice", "DELETE", path)
    assert gone.json() == {"id": second["id"], "object": "response", "deleted": True}
    assert (await ask_as("alice", "GET", path)).status_code == 404
    assert (await ask_as("alice", "DELETE", path)).status_code == 404
    assert (await ask_as("alice", "GET", f"{path}/input_items")).status_code == 404


async def test_a_response_that_is_over_is_not_cancelled(ask_as, gateway):
    response = await made(ask_as, gateway)
    reply = await ask_as("alice", "POST", f"{PATH}/{response['id']}/cancel")
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["param"]) == (400, "invalid_request_error", "response_id")
    assert error["message"].startswith("Cannot cancel a synchronous response")
    for who, name in (("bob", response["id"]), ("alice", "resp_9")):
        assert (await ask_as(who, "POST", f"{PATH}/{name}/cancel")).status_code == 404


async def test_a_conversation_goes_on_without_the_instructions_of_before(ask_as, gateway):
    first = await made(ask_as, gateway, instructions="Be brief.")
    second = await made(ask_as, gateway, input="So?", previous_response_id=first["id"])
    await made(ask_as, gateway, input="And?", previous_response_id=second["id"])
    assert sent(gateway) == [
        *[("user", "Hi"), ("assistant", "Hello!")],
        *[("user", "So?"), ("assistant", "Hello!"), ("user", "And?")],
    ]


async def test_items_may_be_referred_to(ask_as, gateway):
    first = await made(ask_as, gateway)
    [message] = first["output"]
    items = [{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": message["id"]}]
    again = await made(ask_as, gateway, input=[*items, {"role": "user", "content": "So?"}])
    assert sent(gateway) == [("user", "Hi"), ("assistant", "Hello!"), ("user", "So?")]
    listed = (await ask_as("alice", "GET", f"{PATH}/{again['id']}/input_items")).json()["data"]
    assert [item["role"] for item in listed] == ["user", "assistant", "user"]
    for strange in (message["id"][:-1] + "9", "msg_elsewhere"):
        reply = await ask_as("alice", "POST", PATH, json={"model": "free", "input": [{"id": strange}]})
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "previous_response_not_found")


async def test_nobody_sees_what_another_was_told(ask_as, gateway):
    response = await made(ask_as, gateway)
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items")):
        assert (await ask_as("bob", method, f"{PATH}/{response['id']}{path}")).status_code == 404
    body = {"model": "free", "input": "So?", "previous_response_id": response["id"]}
    reply = await ask_as("bob", "POST", PATH, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "previous_response_not_found")
    assert (await ask_as("alice", "GET", f"{PATH}/{response['id']}")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "fields"), [({}, {"store": False}), ({"x-freeroute-store": "false"}, {})]
)
async def test_who_says_no_has_nothing_kept(ask_as, gateway, responses, headers, fields):
    reply = await ask_as(
        "alice", "POST", PATH, json={"model": "free", "input": "Hi", **fields}, headers=headers
    )
    assert reply.json()["store"] is False
    assert not responses.kept
    [(_, context)] = gateway.calls
    assert context.store is False


async def test_what_breaks_off_is_not_kept_and_does_not_say_so(ask_as, gateway, responses):
    gateway.answer = FakeServed(batches=[[chunk("a")], ValueError("broken")])
    reply = await ask_as("alice", "POST", PATH, json={"model": "free", "input": "Hi", "stream": True})
    [*_, failed] = server_sent(reply.content)
    assert failed[0] == "response.failed"
    assert msgspec.json.decode(failed[1])["response"]["store"] is False
    assert not responses.kept


async def test_what_there_is_no_room_for_is_said_not_to_be_kept(ask_as, gateway, responses):
    responses.full = True
    assert (await made(ask_as, gateway))["store"] is False


async def test_where_nothing_is_kept_that_is_said_with_what_would_help(ask_as, gateway, responses):
    responses.keeping = False
    assert (await made(ask_as, gateway))["store"] is False
    for body in ({"input": "So?", "previous_response_id": "resp_1"}, {"input": [{"id": "msg_1"}]}):
        reply = await ask_as("alice", "POST", PATH, json={"model": "free", **body})
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "responses_not_kept")
        assert "storage.bodies" in reply.json()["error"]["message"]
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items")):
        reply = await ask_as("alice", method, f"{PATH}/resp_1{path}")
        assert reply.status_code == 404
        assert "storage.bodies" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/resp_1?stream=true", "stream"),
        ("/resp_1/input_items?limit=0", "limit"),
        ("/resp_1/input_items?limit=x", "limit"),
        ("/resp_1/input_items?order=up", "order"),
        ("/resp_1/input_items?after=x", "after"),
    ],
)
async def test_what_cannot_be_shown_is_refused(ask_as, path, param):
    reply = await ask_as("alice", "GET", PATH + path)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_what_is_left_out_is_told(ask_as, gateway):
    tools = [{"type": "function", "name": "f"}, {"type": "web_search"}]
    await made(ask_as, gateway, tools=tools)
    [(call, _)] = gateway.calls
    assert call.dropped == ("web_search",)


async def test_a_large_body_is_read_beside_the_loop_and_may_go_on(ask_as, gateway):
    first = await made(ask_as, gateway, input="x" * 2**20)
    await made(ask_as, gateway, input="y" * 2**20, previous_response_id=first["id"])
    assert len(sent(gateway)) == 3
