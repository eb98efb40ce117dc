"""`coatcheck serve-grpc`: the door for gRPC, where the extra is installed."""

from __future__ import annotations

import asyncio
import os

import click

from cli.failures import Misconfigured
from core import logging, settings
from local import platform_processes


@click.command("serve-grpc")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
def serve_grpc(host: str) -> None:
    """Serve the Open Inference Protocol by gRPC.

    It listens on COATCHECK_GRPC_PORT, and speaks TLS with COATCHECK_TLS_CERTIFICATE and COATCHECK_TLS_KEY. It is there
    where the extra `grpc` is installed.
    """
    values = settings.load()
    settings.speaking_tls()
    if not platform_processes.has_grpc():
        raise Misconfigured("gRPC is an extra, which is not installed here: pip install 'coatcheck[grpc]'")
    from inference import device
    from rpc import server

    device.load()

    logging.configure(values.log_level)
    asyncio.run(server.run(values, host, os.environ.get("COATCHECK_ALIVE_FILE")))
