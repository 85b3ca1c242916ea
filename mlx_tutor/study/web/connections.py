"""Connections that ask for nothing are closed, and there is a limit on how many are open."""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# A request, its body too, has to be complete after so many seconds.
REQUEST_SECONDS = 15.0
# But an upload may go on that has so many bytes a second.
LEAST_BYTES = 50_000
# macOS lets a process have 256 files; an open page needs two or three connections.
MAX_CONNECTIONS = 160


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 with a time limit on requests; one connection too many closes the oldest that has none under way."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting_since = time.monotonic()
        self.request_timer: asyncio.TimerHandle | None = None
        self.received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, and close an idle one where there are too many."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > MAX_CONNECTIONS:
            idle = [c for c in self.connections if isinstance(c, LimitedProtocol) and not c.is_answering()]
            # Where all are answered, the new one itself is idle.
            oldest = min(idle, key=lambda connection: connection.waiting_since)
            self.connections.discard(oldest)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock of a lost connection."""
        super().connection_lost(exc)
        self._stop_watch()

    def data_received(self, data: bytes) -> None:
        """Run the clock until the request is complete."""
        self.received += len(data)
        super().data_received(data)
        self._watch()

    def is_answering(self) -> bool:
        """Whether a complete request waits for the end of its answer."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _watch(self) -> None:
        if self.is_answering() or self.transport.is_closing():
            self._stop_watch()
        elif self.request_timer is None and (self.cycle is None or self.conn.trailing_data[0] or self.cycle.more_body):
            self.waiting_since, self.received = time.monotonic(), 0
            self.request_timer = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self.request_timer = None
        if self._is_uploading():
            self._watch()
        elif not self.is_answering():
            self.transport.abort()

    def _is_uploading(self) -> bool:
        """Whether a large body is on its way, at a speed that ends, and its request was not refused."""
        cycle = self.cycle
        wanted = cycle is not None and cycle.more_body and not cycle.response_complete
        return wanted and cycle.scope["method"] == "PUT" and self.received >= LEAST_BYTES * REQUEST_SECONDS

    def _stop_watch(self) -> None:
        if self.request_timer is not None:
            self.request_timer.cancel()
            self.request_timer = None
