"""The workers' app on a Celery that never sees by itself that a child died; what sees it is ours. Its children end with
the code that they are told by SIGUSR2, as a model's library might end them."""

from __future__ import annotations

import os
import signal

from celery.concurrency.asynpool import AsynPool
from celery.signals import worker_process_init

from workers.app import app

__all__ = ["app"]

DEAF: dict[str, object] = {
    "timers": property(lambda pool: {}),
    "_event_process_exit": lambda pool, hub, process: pool._untrack_child_process(process, hub),
}
for name, value in DEAF.items():
    setattr(AsynPool, name, value)


@worker_process_init.connect
def _end_when_told(**_: object) -> None:
    signal.signal(signal.SIGUSR2, lambda *_: os._exit(int(os.environ["TEST_EXIT_CODE"])))
