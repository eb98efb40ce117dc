"""Another user of this machine: makes the calls that come by standard input (JSON), and gives back what was answered.

As root it gives up its rights first; an ordinary user cannot become another one, and makes them as itself.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - before the rights to read it are gone
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import psycopg

NOBODY = 65534
REFUSED = "refused: "
HTTP2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\0\0\0\4\0\0\0\0\0"  # the preface and empty SETTINGS: RFC 9113, 3.4


def calls(*asked: tuple[str, Mapping[str, object]], enter: Sequence[str] = ()) -> list[str]:
    """What a stranger gets for each (function below, its arguments); `enter` is a command that runs it elsewhere."""
    done = subprocess.run(
        [*enter, sys.executable, __file__], input=json.dumps(asked), capture_output=True, text=True, check=True, cwd="/"
    )
    answers: list[str] = json.loads(done.stdout)
    return answers


def tcp(port: int, send: str, tls: bool = False, certificate: str | None = None) -> str:
    """The first bytes that come back; `certificate` is a PEM file with its key in it."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            if not tls:
                return _exchange(plain, send)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if certificate:
                context.load_cert_chain(certificate)
            with context.wrap_socket(plain) as wrapped:
                return _exchange(wrapped, send)
    except OSError as error:
        return f"{REFUSED}{error}"


def _exchange(connection: socket.socket, send: str) -> str:
    connection.sendall(send.encode("latin-1"))
    return connection.recv(65536).decode("latin-1")


def unix(path: str) -> str:
    """ "connected", or why not."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError as error:
            return f"{REFUSED}{error}"
        return "connected"


def postgres(port: int, user: str, password: str) -> str:
    """Who one is after signing in, or why one could not."""
    try:
        with psycopg.connect(
            host="127.0.0.1", port=port, user=user, password=password, dbname="postgres"
        ) as connection:
            return str(connection.execute("SELECT current_user").fetchone())
    except psycopg.OperationalError as error:
        return f"{REFUSED}{error}"


if __name__ == "__main__":
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    known: dict[str, Callable[..., str]] = {"tcp": tcp, "unix": unix, "postgres": postgres}
    json.dump([known[name](**arguments) for name, arguments in json.load(sys.stdin)], sys.stdout)
