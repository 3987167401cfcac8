"""A small simulated world for tests: ask a provider, read what it answered."""

from typing import Any

import msgspec

from freeroute.upstreams.simulated.faults import Speed
from freeroute.upstreams.simulated.simulation import SimulatedProvider, Simulation, demo_providers
from freeroute.upstreams.transport import Deadlines, Exchange
from tests.support.clocks import ManualClock

AT_ONCE = Speed(0.0, 0.0)
# For answers that never come: long enough for the loop to turn, short enough to wait for.
BRIEF = Deadlines(first_byte=0.01, idle=0.01, total=1.0)


class Heard:
    """A whole answer as it came over the wire."""

    def __init__(self, exchange: Exchange, body: bytes) -> None:
        self.status = exchange.status
        self.headers = {name.decode().lower(): value.decode() for name, value in exchange.headers}
        self.body = body

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def data(self) -> list[str]:
        """The data of each event of a stream."""
        lines = self.body.decode().split("\n")
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]

    @property
    def events(self) -> list[Any]:
        """The values of a stream, without the end mark."""
        return [msgspec.json.decode(data) for data in self.data if data != "[DONE]"]

    @property
    def rates(self) -> dict[str, str]:
        return {
            name: value
            for name, value in self.headers.items()
            if "ratelimit" in name or name == "retry-after"
        }

    @property
    def text(self) -> str:
        """The text of a JSON answer or of a stream."""
        if self.headers["content-type"].startswith("application/json"):
            return self.json["choices"][0]["message"]["content"]
        choices = [choice for event in self.events for choice in event.get("choices", ())]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


class World:
    """All six providers, answering at once, on a clock moved by hand."""

    def __init__(self, seed: int = 7, speed: Speed = AT_ONCE) -> None:
        self.clock = ManualClock()
        self.simulation = Simulation(seed, self.clock, demo_providers())
        for provider in self.simulation.providers.values():
            provider.speed = speed

    def __getitem__(self, name: str) -> SimulatedProvider:
        return self.simulation.providers[name]

    def base(self, name: str) -> str:
        dialect = self[name].dialect
        return dialect.origins[0] + dialect.base_path

    async def begin(
        self,
        name: str,
        body: dict[str, Any] | bytes | None = None,
        *,
        key: str | None = "demo",
        deadlines: Deadlines | None = None,
        **fields: Any,
    ) -> Exchange:
        """Send a chat request and return its exchange; *fields* are added to a plain one."""
        if not isinstance(body, bytes):
            plain = {
                "model": next(iter(self[name].models)),
                "messages": [{"role": "user", "content": "Hello"}],
            }
            body = msgspec.json.encode(plain | (body or {}) | fields)
        headers = [(b"Authorization", f"Bearer {key}".encode())] if key else []
        url = self.base(name) + "/chat/completions"
        return await self.simulation.open("POST", url, headers, body, deadlines or Deadlines())

    async def ask(self, name: str, body: dict[str, Any] | bytes | None = None, **more: Any) -> Heard:
        """Send a chat request and hear the answer out."""
        exchange = await self.begin(name, body, **more)
        return Heard(exchange, await hear(exchange))

    async def get(self, url: str, key: str | None = "demo") -> Heard:
        headers = [(b"Authorization", f"Bearer {key}".encode())] if key else []
        exchange = await self.simulation.open("GET", url, headers, b"", Deadlines())
        return Heard(exchange, await hear(exchange))


async def hear(exchange: Exchange) -> bytes:
    """Read an answer to its end."""
    parts = []
    while data := await exchange.next():
        parts.append(data)
    return b"".join(parts)


def weather_tool(**parameters: Any) -> dict[str, Any]:
    """A tool that any model would call."""
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1, "maximum": 3},
            "unit": {"enum": ["c", "f"]},
        },
        "required": ["city"],
    }
    return {"type": "function", "function": {"name": "get_weather", "parameters": schema | parameters}}


def message_of(name: str, value: Any) -> str:
    """The text of an error, wherever this provider puts it."""
    value = value[0] if name == "gemini" else value
    return value["error"]["message"] if "error" in value else value["message"]
