"""`coatcheck serve`, `serve-express` and `proxy`: the front door, each part in a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket as sockets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from cli.failures import Misconfigured
from cli.text import FilePath
from core import settings
from local import proxy as front

F = TypeVar("F", bound=Callable[..., Any])

#: Connections that wait to be taken.
BACKLOG = 1024


def _where(default_port: int) -> Callable[[F], F]:
    """The options that say where a command listens."""

    def with_options(command: F) -> F:
        for option in (
            click.option("--socket", type=FilePath(path_type=Path), help="Listen on this Unix socket instead."),
            click.option(
                "--port", default=default_port, show_default=True, type=click.IntRange(1, 65_535), help="And the port."
            ),
            click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on."),
        ):
            command = option(command)
        return command

    return with_options


@click.command()
@_where(8000)
def serve(host: str, port: int, socket: Path | None) -> None:
    """Serve the API.

    Strangers reach it through a proxy: `coatcheck proxy`, or one of your own that waits for a whole request before it
    hands it on.
    """
    # Here, as who serves is forked off this process: so it is there from the start, and once in memory for both.
    from inference import device

    device.load()
    values = settings.load()
    if socket is not None:
        _make_room(socket)
    granian.Granian(
        "api:served",
        factory=True,
        interface=Interfaces.WSGI,
        address=host,
        port=port,
        uds=socket,
        uds_permissions=0o600,
        # HTTP/2 streams that are left open would each hold a thread for ever (granian 2.8).
        http=HTTPModes.http1,
        websockets=False,
        blocking_threads=values.api.threads,
        log_level=LogLevels.warning,
    ).serve()


@click.command("serve-express")
@_where(8002)
def serve_express(host: str, port: int, socket: Path | None) -> None:
    """Serve the express lane: predictions that need no waiting.

    Only `coatcheck proxy --express-at` knows what to do with what it hands over.
    """
    values = settings.load()
    from api import express
    from inference import device

    device.load()

    with _listening(host, port, socket) as at:
        express.serve(values, at)


def _listening(host: str, port: int, path: Path | None) -> sockets.socket:
    """Raises ClickException where somebody listens already."""
    if path is None:
        family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
        try:
            return sockets.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise click.ClickException(f"nobody can listen on {host}:{port}: {error.strerror}") from error
    _make_room(path)
    at = sockets.socket(sockets.AF_UNIX)
    # Its owner's alone, from the first moment.
    before = os.umask(0o177)
    try:
        at.bind(str(path))
    finally:
        os.umask(before)
    at.listen(BACKLOG)
    return at


def _make_room(path: Path) -> None:
    """Remove a socket that a killed process left; raises ClickException for what is none, and when somebody listens."""
    if path.exists() and not path.is_socket():
        raise click.ClickException(f"{path} is there already, and is no socket")
    with contextlib.suppress(FileNotFoundError), sockets.socket(sockets.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise click.ClickException(f"somebody listens on {path} already")


@click.command()
@click.option("--listen", "api_listen", default="0.0.0.0:8000", show_default=True, help="Where clients come.")
@click.option(
    "--metrics", "metrics_listen", default="127.0.0.1:9100", show_default=True, help="Where Prometheus comes."
)
@click.option("--flower", "flower_listen", default="127.0.0.1:5555", show_default=True, help="Where operators come.")
@click.option("--s3", "store_listen", help="Where files come and go, if the store is to be reached through here.")
@click.option("--api-at", "api", default="api:8000", show_default=True, help="The API, as host:port or unix:path.")
@click.option("--express-at", "express", help="The express lane, if there is one, as host:port or unix:path.")
@click.option(
    "--flower-at", "flower", default="flower:5555", show_default=True, help="Flower, as host:port or unix:path."
)
@click.option("--s3-at", "store", default="seaweedfs:8333", show_default=True, help="The store, as host:port.")
@click.option("--resolver", help="A DNS server to ask again and again, where addresses change.")
@click.option("--folder", required=True, type=FilePath(path_type=Path, file_okay=False), help="For nginx's own files.")
def proxy(folder: Path, **doors: str) -> None:
    """Run nginx before the API and Flower.

    It speaks TLS with COATCHECK_TLS_CERTIFICATE and COATCHECK_TLS_KEY, and wants FLOWER_BASIC_AUTH.
    """
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    user = os.environ.get("FLOWER_BASIC_AUTH", "")
    if ":" not in user:
        raise Misconfigured("FLOWER_BASIC_AUTH is not set, or not user:password", code="SETTINGS_INVALID")
    program = front.program(folder, front.Doors(**doors), settings.speaking_tls(), flower_user=user, environ={})
    os.chdir(folder)
    os.execve(program.command[0], list(program.command), dict(program.env))  # noqa: S606 - it takes our place
