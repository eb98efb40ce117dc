"""`coatcheck serve` and `coatcheck proxy`: the two halves of the front door, each in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

import click
import granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from core import settings
from local import proxy as front


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--socket", type=click.Path(path_type=Path), help="Listen on this Unix socket instead.")
def serve(host: str, port: int, socket: Path | None) -> None:
    """Serve the API. Strangers reach it through a proxy: `coatcheck proxy`, or one of your own that waits for a whole
    request before it hands it on."""
    values = settings.load()
    granian.Granian(
        "api:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=host,
        port=port,
        uds=socket,
        uds_permissions=0o600,
        # HTTP/2 streams that are left open would each hold a thread for ever (granian 2.8).
        http=HTTPModes.http1,
        websockets=False,
        blocking_threads=values.api_threads,
        log_level=LogLevels.warning,
    ).serve()


@click.command()
@click.option("--listen", default="0.0.0.0:8000", show_default=True, help="Where clients come.")
@click.option("--metrics", default="127.0.0.1:9100", show_default=True, help="Where Prometheus comes.")
@click.option("--flower", default="127.0.0.1:5555", show_default=True, help="Where operators come.")
@click.option("--api-at", default="api:8000", show_default=True, help="The API, as host:port or unix:path.")
@click.option("--flower-at", default="flower:5555", show_default=True, help="Flower, as host:port or unix:path.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default="/tmp/coatcheck-proxy")  # noqa: S108
def proxy(listen: str, metrics: str, flower: str, api_at: str, flower_at: str, folder: Path) -> None:
    """Run nginx before the API and Flower; TLS with COATCHECK_TLS_CERTIFICATE and COATCHECK_TLS_KEY."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    doors = front.Doors(listen, metrics, flower, api_at, flower_at)
    user = os.environ.get("FLOWER_BASIC_AUTH", "")
    if ":" not in user:
        raise click.ClickException("FLOWER_BASIC_AUTH must be user:password")
    program = front.program(folder, doors, front.limits(), flower_user=user, environ={})
    os.chdir(folder)
    os.execve(program.command[0], list(program.command), dict(program.env))  # noqa: S606 - it takes our place
