"""The front door alone, before something that notes what it is handed."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

from core.setting_doors import Http

GET = ("GET /api/v1/jobs HTTP/1.1", "Host: localhost")
ONE, OTHER = (f"cck_{name * 12}_{name * 56}" for name in "ab")
KEY = f"Authorization: Bearer {ONE}"
LIMITS = Http(
    max_body_bytes=100_000, max_wait_s=0, max_connections=8, tls_certificate=None, tls_key=None, cors_origins=()
)


@dataclass
class Behind:
    """Stands where the API would: keeps every request whole, and answers 200 once `go` is set."""

    folder: Path
    seen: list[bytes] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def serve(self) -> None:
        # The path of the folder may be too long for an address.
        descriptor = os.open(self.folder, os.O_RDONLY)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"/proc/self/fd/{descriptor}/early.sock")
        os.close(descriptor)
        self.listener.listen(64)
        # By its name it is found only once it listens.
        (self.folder / "early.sock").rename(self.folder / "api.sock")
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        # The proxy may be ended while it is answered.
        with connection, contextlib.suppress(ConnectionError):
            while head := _head(connection):
                self.seen.append(head)
                self.go.wait(60)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _head(connection: socket.socket) -> bytes:
    """One request, with its body if its length is said."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65536)
        if not piece:
            return b""
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    length = next((int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Door:
    port: int
    metrics: int
    flower: int
    behind: Behind

    def ask(self, *lines: str, body: bytes = b"", port: int = 0) -> tuple[int, dict[str, str], bytes]:
        """Send a request, byte for byte, and read the answer to its end."""
        with self.connect(port) as sock:
            sock.sendall("\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1") + body)
            return answer(sock)

    def connect(self, port: int = 0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=30)


def answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """To the end that the answer says it has: who refuses a body stays for a while, so that nobody who still sends it
    is cut off before the refusal is read."""
    read = b""
    while b"\r\n\r\n" not in read and (piece := sock.recv(65536)):
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}
    while len(body) < int(headers.get("content-length", 1 << 62)) and (piece := sock.recv(65536)):
        body += piece
    return int(first.split()[1]), headers, body
