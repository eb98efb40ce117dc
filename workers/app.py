"""The Celery app: wake-ups, chores and the clock. It holds no truth: see ARCHITECTURE.md."""

from __future__ import annotations

from typing import Any

import celery
from celery.signals import setup_logging, worker_process_init

from core import broker, logging, settings
from workers import node, signs  # noqa: F401 - they connect their signals
from workers.ticks import TICK_S

# Here, as Celery finds its app by importing this module: with it a process begins. No more than beat and Flower may
# know; a worker reads the rest when it starts (see node).
_settings = settings.load_only(settings.CelerySettings)

app = celery.Celery("coatcheck", broker=_settings.queue.redis_url, include=["workers.tasks"])
app.conf.update(
    # The lease in Postgres is the acknowledgement. A late ack would kill the worker when Redis restarts (Celery 5.7).
    task_acks_late=False,
    result_backend=None,
    # The last resort against a run that hangs in C and cannot be interrupted; every job's own limit is far shorter.
    task_time_limit=_settings.queue.max_run_timeout_s + _settings.queue.slice_s + 60,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="control",
    worker_pool_start_method="spawn",
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_proc_alive_timeout=180,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_send_task_events=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # A Redis that refuses what it is asked, as one that is full does, is away for a while like any other.
    broker_channel_error_retry=True,
    broker_transport_options={
        "visibility_timeout": 120,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "global_keyprefix": broker.KEY_PREFIX,
    },
    beat_scheduler="workers.ticks:Ticks",
    beat_schedule={
        "upkeep": {"task": "coatcheck.upkeep", "schedule": TICK_S, "options": {"queue": "control"}},
    },
)


@setup_logging.connect
def _log_as_json(**_: Any) -> None:
    logging.configure(_settings.log_level)


@worker_process_init.connect
def _log_as_json_in_child(**_: Any) -> None:
    logging.configure(_settings.log_level)
