"""The settings of the Celery app, as Celery and its Redis client take them: one that neither knows is no setting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import celery
import pytest
from celery.app.defaults import NAMESPACES, flatten

from core import broker
from tests.conftest import Platform
from workers import ticks
from workers.ticks import TICK_S, Ticks

KNOWN: dict[str, Any] = dict(flatten(NAMESPACES))
DEFAULTS = {name: option.default for name, option in KNOWN.items()}

#: How the app departs from Celery, and what would happen to whom if it did not.
DEPARTS: dict[str, tuple[object, str]] = {
    "task_ignore_result": (True, "what is told comes from Postgres"),
    "task_default_queue": ("control", "a task without a queue would wait in one that nobody reads"),
    "accept_content": (["json"], "a message is data, and never code"),
    "worker_pool_start_method": ("spawn", "a fork would share connections, and CUDA does not survive it"),
    "worker_prefetch_multiplier": (1, "a busy child would hold wake-ups that an idle one could take"),
    "worker_disable_prefetch": (True, "as before: a worker takes no wake-up while all of its children are busy"),
    "worker_proc_alive_timeout": (180, "a child that loads a large model would be killed while it starts"),
    "worker_cancel_long_running_tasks_on_connection_loss": (True, "what Redis has lost would be held twice"),
    "worker_send_task_events": (True, "Flower would show nothing"),
    "worker_hijack_root_logger": (False, "a worker's log would not be JSON"),
    "broker_connection_retry_on_startup": (True, "a worker that starts before Redis would end"),
    "broker_connection_max_retries": (None, "a worker would end after an hour without Redis"),
    "broker_channel_error_retry": (True, "a worker would end when Redis is full"),
    "beat_scheduler": ("workers.ticks:Ticks", "a clock that is set back would stop the chores"),
}
#: What is looked at below.
ELSEWHERE = {"broker_url", "include", "task_time_limit", "broker_transport_options", "beat_schedule"}
#: Where Celery remembers which old names it was given.
CELERYS = {"deprecated_settings"}


@pytest.fixture(scope="module")
def app(platform: Platform) -> celery.Celery:
    """Here, as it reads the settings when it is imported."""
    from workers.app import app

    return app


def test_every_setting_is_one_that_celery_knows_and_every_one_that_departs_from_it_is_looked_at(
    app: celery.Celery,
) -> None:
    assert set(app.conf) - set(DEFAULTS) == CELERYS
    departs = {name for name, default in DEFAULTS.items() if app.conf[name] != default}
    assert departs == set(DEPARTS) | ELSEWHERE


@pytest.mark.parametrize("name", DEPARTS)
def test_the_app_departs_from_celery_where_somebody_would_notice(app: celery.Celery, name: str) -> None:
    expected, _ = DEPARTS[name]
    assert app.conf[name] == expected
    assert DEFAULTS[name] != expected


def test_a_run_is_ended_by_force_a_minute_after_any_jobs_own_limit(app: celery.Celery, platform: Platform) -> None:
    queue = platform.settings.queue
    assert app.conf.task_time_limit == queue.max_run_timeout_s + queue.slice_s + 60


def test_beat_has_one_task_which_is_there_and_goes_where_the_io_worker_looks(app: celery.Celery) -> None:
    app.loader.import_default_modules()
    tick = {"task": "coatcheck.upkeep", "schedule": TICK_S, "options": {"queue": "control"}}
    assert app.conf.beat_schedule == {"upkeep": tick}
    assert {tick["task"], broker.WAKE, broker.DELIVER} <= set(app.tasks)


def test_no_call_of_redis_waits_for_ever_and_every_key_is_ours(app: celery.Celery, platform: Platform) -> None:
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        assert set(app.conf.broker_transport_options) <= set(channel.from_transport_options)
        pool: dict[str, Any] = channel.pool.connection_kwargs
        taken = {name: pool[name] for name in pool if name.startswith(("socket_", "health_")) and pool[name]}
        assert taken == {
            "socket_timeout": 5, "socket_connect_timeout": 3, "socket_keepalive": True, "health_check_interval": 10,
        }  # fmt: skip
        assert (channel.visibility_timeout, channel.global_keyprefix) == (120, broker.KEY_PREFIX)
        assert connection.as_uri(include_password=True).rstrip("/") == platform.settings.queue.redis_url.rstrip("/")


def test_beat_sends_what_is_due_once_however_late_and_says_when_something_is_again(
    app: celery.Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, sent = [100.0], []
    monkeypatch.setattr(ticks, "time", SimpleNamespace(monotonic=lambda: now[0]))
    beat = Ticks(app=app, lazy=True)
    monkeypatch.setattr(beat, "apply_entry", lambda entry, producer: sent.append((entry.name, now[0])))
    monkeypatch.setattr(Ticks, "producer", None)
    beat.setup_schedule()
    waits = []
    for later_s in (0.0, 0.5, 1.5, 0.0, 10.0, 1.0):
        now[0] += later_s
        waits.append(beat.tick())
    assert sent == [("upkeep", 100.0), ("upkeep", 102.0), ("upkeep", 112.0)]
    assert waits == [2.0, 1.5, 2.0, 2.0, 2.0, 1.0]
