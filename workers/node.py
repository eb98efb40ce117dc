"""The parent of a worker's processes: it knows at once when one of them dies, and tells them when it has to stop.

The parent runs no job. It names its incarnation in the environment, which its children inherit, and a file that they
look for to know that they are asked to stop: a signal would not reach a child that is deep inside a run.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy
import structlog
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.signals import (
    after_task_publish,
    beat_init,
    celeryd_init,
    task_failure,
    worker_process_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from core import alive, broker, database, errors, settings
from inference import device
from jobs import rescue
from webhooks import outbox
from wiring.base import Base, Limits
from workers import scratch

log = structlog.get_logger()

INCARNATION = "COATCHECK_WORKER_INCARNATION"
POOLS = "COATCHECK_WORKER_POOLS"
#: How far a worker that does nothing but explain stands behind others (nice(2)).
NICE = 10
STOP_FILE = "COATCHECK_WORKER_STOP_FILE"
#: Where to show that this process goes round; none, and nobody is shown.
ALIVE_FILE = "COATCHECK_ALIVE_FILE"
BEAT_S = 5.0
#: How soon a child that died is missed. Celery looks when the pipe to it breaks, which is a moment before the kernel
#: says how it ended, and then not for five seconds.
MISSED_S = 0.1
#: When what it held is looked for. A statement that it was in the middle of goes on without it for a moment, and locks
#: rows, which the first look passes over.
LOOKS_S = (0.0, 1.0, 4.0)


def incarnation() -> str:
    """`node/incarnation` of this process's worker."""
    return os.environ[INCARNATION]


def pools() -> list[str]:
    """Those that this process's worker serves."""
    return os.environ[POOLS].split()


def asked_to_stop() -> bool:
    return os.path.exists(os.environ[STOP_FILE])


@celeryd_init.connect
def _check_settings(options: dict[str, Any], **_: Any) -> None:
    """Here, and not at the first job."""
    try:
        found = settings.load()
        if set(options.get("queues") or ()) & set(broker.POOLS):
            device.named(found.models.provider).require()
    except errors.SettingsInvalid as error:
        # Celery logs what its receivers raise, and goes on.
        sys.exit(error.message)


@celeryd_init.connect
def _name(sender: str, options: dict[str, Any], **_: Any) -> None:
    name, queues = secrets.token_hex(8), options.get("queues") or ()
    # All workers of a machine that nobody gives a name have one and the same of Celery's, and each would take what the
    # others hold for what it held before.
    if sender.startswith("celery@"):
        sender = sender.replace("celery", "+".join(queues) or "celery", 1)
    os.environ[INCARNATION] = f"{sender}/{name}"
    os.environ[POOLS] = " ".join(queue for queue in queues if queue in (*broker.POOLS, broker.WEBHOOKS))
    if pools() == [broker.EXPLAIN]:
        _stand_back()
    os.environ[STOP_FILE] = os.path.join(tempfile.gettempdir(), f"coatcheck-stop-{name}")
    # Those of an earlier one may have numbers that others have by now.
    for child in _children(os.environ.get(ALIVE_FILE, "")):
        child.unlink(missing_ok=True)


def _stand_back() -> None:
    """Where all share a machine, who asks for a prediction comes first."""
    os.nice(NICE)
    # A kernel that gives each session its share (sched(7), autogroup) weighs this process by its session's.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICE))


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    Path(os.environ[STOP_FILE]).touch()


@worker_shutdown.connect
def _stopped(**_: Any) -> None:
    Path(os.environ[STOP_FILE]).unlink(missing_ok=True)


@worker_ready.connect
def _born_again(sender: Any, **_: Any) -> None:
    """What an earlier incarnation of this node held is free at once."""
    _aside(_rescue_mine, sender.app)
    # By the loop itself: when it hangs, the file grows old.
    sender.timer.call_repeatedly(BEAT_S, _beat)
    sender.timer.call_repeatedly(MISSED_S, sender.pool.maintain_pool)


def _beat() -> None:
    """Say that this worker goes round, if all of its children do as well."""
    file = os.environ.get(ALIVE_FILE)
    if file and all(map(_goes_round, _children(file))):
        alive.beat(file)


def _children(file: str) -> list[Path]:
    """Where the children of a worker show that they go round; of no worker without a file."""
    return [Path(child) for child in glob.glob(f"{glob.escape(file)}.*")] if file else []


def _goes_round(child: Path) -> bool:
    """A child that is gone leaves its file, which is removed."""
    if Path(f"/proc/{child.suffix[1:]}").exists():
        return alive.beats(child)
    child.unlink(missing_ok=True)
    return True


@worker_process_init.connect
def _child_begins(**_: Any) -> None:
    """A thread of its own: a long run holds up nothing here, but what stops the whole process does."""
    if file := os.environ.get(ALIVE_FILE):
        threading.Thread(target=_beat_always, args=(f"{file}.{os.getpid()}",), daemon=True).start()
    scratch.begin()


def _beat_always(file: str) -> None:
    while True:
        alive.beat(file)
        time.sleep(BEAT_S)


@beat_init.connect
def _clock_starts(**_: Any) -> None:
    after_task_publish.connect(_clock_ticks)


def _clock_ticks(**_: Any) -> None:
    alive.beat(os.environ.get(ALIVE_FILE))


def _rescue_mine(engine: sqlalchemy.Engine, max_losses: int) -> int:
    jobs = rescue.node_born_again(engine, incarnation(), max_losses=max_losses)
    return jobs + outbox.node_born_again(engine, incarnation())


@task_failure.connect
def _child_died(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    """What a dead child held is free at once; its lease would only have run out in a while."""
    if isinstance(exception, (WorkerLostError, TimeLimitExceeded)):
        _aside(lambda engine, most: rescue.child_died(engine, task_id, max_losses=most), sender.app)


def _aside(take_back: Callable[[sqlalchemy.Engine, int], int], app: Any) -> None:
    """In a thread, so that a slow database never holds up the parent's loop; if it fails, the lease still runs out."""
    pools = [queue for queue in app.amqp.queues.consume_from if queue in (*broker.POOLS, broker.WEBHOOKS)]
    threading.Thread(target=_take_back, args=(take_back, pools), daemon=True).start()


def _take_back(take_back: Callable[[sqlalchemy.Engine, int], int], pools: list[str]) -> None:
    mine = _parents()

    def look() -> int:
        return database.insist(
            lambda: take_back(mine.engine, mine.settings.jobs.max_losses), for_s=mine.settings.jobs.lease_s
        )

    for after_s in LOOKS_S:
        time.sleep(after_s)
        try:
            count = sum(iter(look, 0))
        except database.OUTAGES as error:
            log.warning("jobs_not_taken_back", error=type(error).__name__)
            continue
        if count:
            log.warning("jobs_taken_back", jobs=count, incarnation=incarnation())
        if count or after_s == 0:
            for pool in pools:
                # The wake-up that the flag tells of may have died with them.
                mine.hints.clear(pool)
                mine.hints.send(pool)


@functools.cache
def _parents() -> Base:
    """The parent's own, when it first takes something back: Celery's signals call functions, which keep nothing."""
    return Base(settings.load(), application="coatcheck-node", limits=Limits(connections=1))
