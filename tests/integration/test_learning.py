"""What the rate headers of real answers, over real sockets, teach the counters."""

import httpx
import pytest

from tests.support.live import Live, entry, question
from tests.support.patience import PATIENCE


async def somebody_else_asks(gateway: Live, kind: str) -> None:
    """Ask the provider directly, with the gateway's key."""
    base = gateway[kind].dialect.base_path
    body = question(model=entry(kind)["models"][0]["id"])
    async with httpx.AsyncClient(headers={"authorization": "Bearer demo-1"}, timeout=PATIENCE) as other:
        answer = await other.post(f"{gateway.simulated}/{kind}{base}/chat/completions", json=body)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("kind", "requests", "tokens"),
    [("groq", None, 8_000), ("cerebras", 5, 30_000), ("mistral", 60, 50_000)],
)
async def test_an_answer_tells_the_account_s_limits_and_what_others_took(run, kind, requests, tokens):
    gateway = await run({"alpha": entry(kind)})
    for _ in range(3):
        await somebody_else_asks(gateway, kind)
    assert (await gateway.ask()).by == "alpha"
    pools = {pool["label"]: pool for pool in (await gateway.provider("alpha")).told["pools"]}
    assert (pools["tokens/minute"]["limit"], pools["tokens/minute"]["source"]) == (tokens, "header")
    minute = pools["requests/minute"]
    if requests is None:  # this one's headers count the requests of a day
        assert (minute["used"], minute["source"]) == (1, "configured")
    else:
        assert (minute["used"], minute["limit"], minute["source"]) == (4, requests, "header")


async def test_a_quota_that_others_spend_is_not_run_into(run):
    gateway = await run({"alpha": entry("cerebras", quality=90), "beta": entry("mistral")})
    first = {"provider": {"order": ["alpha", "beta"]}}
    for _ in range(4):
        await somebody_else_asks(gateway, "cerebras")
    assert (await gateway.ask(**first)).by == "alpha"
    assert (await gateway.ask(**first)).by == "beta"
    assert [call["status"] for call in await gateway.calls("cerebras")] == [200] * 5
