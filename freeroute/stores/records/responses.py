"""What can be asked of the responses that are stored, in SQL."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.engine import Connection

from freeroute.engine.ports import KeptResponse
from freeroute.stores.records.tables import responses

Key = tuple[str, str]
"""A response's id, and whose it is: nobody else finds it."""

_KEY = tuple_(responses.c.id, responses.c.holder)


def write(connection: Connection, kept: Sequence[KeptResponse]) -> None:
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
    connection.execute(delete(responses).where(responses.c.id.in_([one.id for one in kept])))
    connection.execute(insert(responses), rows)


def find(connection: Connection, wanted: Collection[Key]) -> dict[Key, KeptResponse]:
    """Return those *wanted* that there are."""
    rows = connection.execute(select(responses).where(_KEY.in_(wanted)))
    return {
        (row.id, row.holder): KeptResponse(
            row.id, row.holder, row.at, row.response.encode(), row.items.encode()
        )
        for row in rows
    }


def forget(connection: Connection, wanted: Collection[Key]) -> dict[Key, bool]:
    """Delete those *wanted*, and say which there were."""
    gone = delete(responses).where(_KEY.in_(wanted)).returning(responses.c.id, responses.c.holder)
    return {(row.id, row.holder): True for row in connection.execute(gone)}
