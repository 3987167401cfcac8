"""What can be asked of the responses that are stored, in SQL."""

from collections.abc import Sequence

from sqlalchemy import and_, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from freeroute.engine.ports import KeptResponse
from freeroute.stores.records.tables import responses


async def write(engine: AsyncEngine, kept: Sequence[KeptResponse]) -> None:
    """Store *kept*; one that is there already, since an earlier try did succeed, is stored anew."""
    rows = [
        {
            "id": one.id,
            "holder": one.holder,
            "at": one.at,
            "response": one.response.decode(),
            "items": one.items.decode(),
            "size": one.size,
        }
        for one in kept
    ]
    async with engine.begin() as connection:
        await connection.execute(delete(responses).where(responses.c.id.in_([one.id for one in kept])))
        await connection.execute(insert(responses), rows)


async def find(engine: AsyncEngine, response_id: str, holder: str) -> KeptResponse | None:
    """Return the response *response_id* if it is *holder*'s."""
    its = and_(responses.c.id == response_id, responses.c.holder == holder)
    async with engine.connect() as connection:
        row = (await connection.execute(select(responses).where(its))).first()
    if row is None:
        return None
    return KeptResponse(row.id, row.holder, row.at, row.response.encode(), row.items.encode())


async def forget(engine: AsyncEngine, response_id: str, holder: str) -> bool:
    """Delete the response *response_id* if it is *holder*'s, and say whether it was there."""
    its = and_(responses.c.id == response_id, responses.c.holder == holder)
    async with engine.begin() as connection:
        return (await connection.execute(delete(responses).where(its))).rowcount > 0
