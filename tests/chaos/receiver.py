"""A receiver of webhooks outside the platform, which fails often enough, and notes what it was told."""

from __future__ import annotations

import http.server
import json
import random
import threading
import time
from dataclasses import dataclass, field

import standardwebhooks

#: How often a call is answered with an error, not answered at all, or late.
FAILS, HANGS_UP, IS_SLOW = 0.05, 0.03, 0.02


@dataclass
class Told:
    """All calls under one `webhook-id`: they must all say the same."""

    bodies: set[bytes] = field(default_factory=set)
    calls: int = 0
    taken: int = 0  #: of them answered with 2xx
    badly_signed: int = 0

    @property
    def event(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(next(iter(self.bodies)))
        return found


class Receiver:
    def __init__(self, seed: int) -> None:
        self.told: dict[str, Told] = {}
        self.secret = ""
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def note(self, headers: dict[str, str], body: bytes) -> tuple[Told, float]:
        """What is known of this event by now, and a throw of the dice."""
        with self.lock:
            told = self.told.setdefault(headers["webhook-id"], Told())
            told.bodies.add(body)
            told.calls += 1
            try:
                standardwebhooks.Webhook(self.secret).verify(body, headers)
            except standardwebhooks.WebhookVerificationError:
                told.badly_signed += 1
            return told, self.random.random()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    receiver: Receiver

    def handle_error(self, *_: object) -> None:
        """Whoever called was killed."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(length := int(self.headers["Content-Length"]))
        if len(body) < length:
            # Whoever called was killed in the middle of it: nothing was said.
            self.close_connection = True
            return
        told, dice = self.server.receiver.note({name.lower(): value for name, value in self.headers.items()}, body)
        if dice < HANGS_UP:
            self.connection.close()
            return
        if dice > 1 - IS_SLOW:
            time.sleep(1)
        good = dice > HANGS_UP + FAILS
        with self.server.receiver.lock:
            told.taken += good
        self.send_response(204 if good else 500)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""
