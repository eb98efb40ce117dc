"""Log lines: JSON, each with its event, its level and its moment, whoever writes them."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core import logging as ours

CHATTY = ("celery.worker.strategy", "celery.app.trace", "celery.beat")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Whatever is configured here holds no longer than a test."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    yield
    root.handlers[:], root.level = handlers, level
    for name, chatty in levels.items():
        logging.getLogger(name).setLevel(chatty)
    structlog.reset_defaults()
    structlog.configure(**before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_says_what_happened_when_and_with_what(capsys: pytest.CaptureFixture[str]) -> None:
    ours.configure("INFO")
    structlog.contextvars.clear_contextvars()
    assert [handler.stream for handler in logging.getLogger().handlers] == [sys.stdout]  # type: ignore[attr-defined]
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        structlog.get_logger().warning("thing_happened", job=7)
        logging.getLogger("library").info("thing %s", "heard", extra={"job": 8})
    structlog.get_logger().debug("not_told")
    logging.getLogger("library").debug("not told")
    structlog.get_logger().error("broke", exc_info=ZeroDivisionError("no"))
    first, second, third = lines(capsys)
    for line in (first, second, third):
        moment = dt.datetime.fromisoformat(line.pop("ts"))
        assert abs((dt.datetime.now(dt.UTC) - moment).total_seconds()) < 60
    assert first == {"event": "thing_happened", "level": "warning", "job": 7, "request_id": "req_1"}
    assert second == {"event": "thing heard", "level": "info", "job": 8, "request_id": "req_1"}
    assert "ZeroDivisionError: no" in third.pop("exception")
    assert third == {"event": "broke", "level": "error"}


@pytest.mark.parametrize(("level", "of_chatty"), [("DEBUG", "WARNING"), ("WARNING", "WARNING"), ("ERROR", "ERROR")])
def test_who_says_something_of_every_wake_up_is_heard_of_what_is_odd_alone(level: str, of_chatty: str) -> None:
    ours.configure(level)
    assert logging.getLevelName(logging.getLogger().level) == level
    assert {logging.getLevelName(logging.getLogger(name).level) for name in CHATTY} == {of_chatty}
