"""TLS sessions that are taken up again: to prove anew who the peer is costs three times the CPU."""

import ssl


class Resuming(ssl.SSLContext):
    """A context whose connections take up what the last one to the same host left.

    The peer must have shown its certificate to this very context then. One that knows nothing of it any more
    shows it again.
    """

    kept: dict[str, ssl.SSLSession]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return the end of a connection to *server_hostname*."""
        if session is None and isinstance(server_hostname, str):
            session = self.kept.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def keep(self, host: str, connected: ssl.SSLObject) -> None:
        """Take what *connected*, which has read something from *host*, leaves to the next one."""
        session = connected.session
        if session is not None and session.has_ticket:
            self.kept[host] = session


def resuming(context: ssl.SSLContext) -> Resuming:
    """Return *context*, from now on with sessions."""
    # What makes contexts as they should be, `create_default_context`, makes them of no other class.
    context.__class__ = Resuming
    assert isinstance(context, Resuming)
    context.kept = {}
    return context
