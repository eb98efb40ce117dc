"""The express lane: predictions that need no waiting, made one after the other in one thread, and jobs that need no
thought, stored by another; both without Flask.

Threads that predict side by side hand each other Python's lock, a dozen times a request; one thread alone answers
twice as many. Whatever is asked in an unusual way, is refused, waits or fails has no words here: it is handed over to
the API, which answers it as if it had come there.
"""

from __future__ import annotations

import gc
import socket

import uvicorn

from api.express.lane import Lane
from core import logging
from core.settings import Settings
from wiring.base import Limits
from wiring.door import Door

#: Nobody is to wait for the engines here, but those whose jobs are stored.
LIMITS = Limits(connections=5, statement_s=10.0, store_s=5.0, store_attempts=2)
#: Longer than the proxy keeps a connection open that nothing comes by.
_IDLE_S = 75
#: So long those that are being answered may take when the process is asked to stop.
_GRACE_S = 14


def serve(values: Settings, listening: socket.socket) -> None:
    """Answer whoever comes there, until SIGTERM or SIGINT."""
    logging.configure(values.log_level)
    lane = Lane(Door(values, application="coatcheck-express", limits=LIMITS))
    # What is there by now stays: nobody waits for a look of the garbage collector through all of it.
    gc.collect()
    gc.freeze()
    how = uvicorn.Config(
        lane,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    uvicorn.Server(how).run(sockets=[listening])
