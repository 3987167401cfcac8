"""What the tests of the transport share; they run on the gateway's event loop and on the standard one."""

import ssl
from collections.abc import AsyncIterator, Mapping

import pytest

from freeroute.upstreams.http_transport import HttpTransport
from tests.support.patience import OURS, STANDARD, LoopFactory
from tests.support.servers import Certificates

ONE_LOOP: Mapping[str, LoopFactory] = {"asyncio": STANDARD}
BOTH_LOOPS = {**ONE_LOOP, "uvloop": OURS}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Return both loops for the transport's tests, and the standard one for all others."""
    return BOTH_LOOPS if item.path.name.startswith("test_http_") else ONE_LOOP


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture(params=["plain", "tls"])
def tls(request, certificates) -> ssl.SSLContext | None:
    """What the server speaks."""
    return certificates.server if request.param == "tls" else None


@pytest.fixture
async def transport(certificates) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(tls=certificates.client)
    yield transport
    await transport.close()


@pytest.fixture
async def narrow(certificates) -> AsyncIterator[HttpTransport]:
    """A transport with room for one exchange an origin."""
    transport = HttpTransport(per_origin=1, tls=certificates.client)
    yield transport
    await transport.close()
