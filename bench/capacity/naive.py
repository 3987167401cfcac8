"""The usual proxy: providers in turn, the next one on an error, 30 s of rest after a 429, no queue."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from bench.capacity.providers import MODEL, Provider
from bench.capacity.web import Connection, Request, Server, asked

COOLDOWN = 30.0  # seconds that a provider is left alone after a 429
PATIENCE = 20.0  # seconds until the head of an answer


class Target(Struct, frozen=True):
    """A provider's port, with one of its keys and one of its models."""

    provider: str
    port: int
    key: str
    model: str


class Naive:
    """The proxy, on a port of its own."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        """Spread calls over all keys and models of *providers*."""
        self.server = Server(self._answer)
        self._targets = [
            Target(one.pool.name, one.server.port, key.secret, model)
            for one in providers
            for key in one.pool.keys
            for model in (MODEL, *one.pool.gone)
        ]
        self._turn = 0
        self._rests_until: dict[str, float] = {}

    async def close(self) -> None:
        """Stop."""
        await self.server.close()

    async def _answer(self, request: Request, back: Connection) -> None:
        status = 429
        for _ in self._targets:
            target = self._targets[self._turn % len(self._targets)]
            self._turn += 1
            if self._rests_until.get(target.provider, 0.0) > asyncio.get_running_loop().time():
                continue
            status = await self._try(target, request.body, back)
            if status == 200:
                return
            if status == 429:
                self._rests_until[target.provider] = asyncio.get_running_loop().time() + COOLDOWN
        code = "rate_limit_exceeded" if status == 429 else "all_providers_failed"
        back.json(status, {"error": {"message": "All providers failed", "code": code}})

    async def _try(self, target: Target, body: bytes, back: Connection) -> int:
        """Pass *target*'s answer on if it is one, and return its status; 502 and 504 are ours."""
        begun = False
        try:
            async with asyncio.timeout(PATIENCE) as patience:
                headers = {"authorization": f"Bearer {target.key}"}
                async with asked(target.port, named(body, target.model), headers) as exchange:
                    patience.reschedule(None)
                    if exchange.status == 200:
                        begun = True
                        back.write(exchange.raw)
                        async for piece in exchange.rest():
                            back.write(piece)
                    return exchange.status
        except TimeoutError:
            return 504
        except (OSError, asyncio.IncompleteReadError):
            if begun:
                back.close()
                return 200
            return 502
        finally:
            if begun:
                back.close()


def named(body: bytes, model: str) -> bytes:
    """Return *body* for a provider's *model*."""
    head, _, rest = body.partition(b'"model":"')
    return head + b'"model":"' + model.encode() + b'"' + rest.partition(b'"')[2]
