"""pytest's side of a mutant: which tests run, in which order and for how long; and who executes what, while measured.

It is told by a file that the environment names, as it runs in a process that was forked for one run of pytest.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import coverage
import pytest

from tests.mutation import seen

TASK = "MUTATION_TASK"
#: What is executed for every test of a file, and by what engines that are kept warm spare it.
WHOLE_FILE = "*"
FILLING = "filling"
WARM = ("throwaway", "platform")


class Plugin:
    """Writes a line of JSON for each test that ended, so that it is known even of a run that was killed."""

    def __init__(self, task: dict[str, Any]) -> None:
        #: Tests in the order to run them in, with the seconds they usually take; None: every test of the files.
        self.usual: dict[str, float] | None = task.get("usual")
        self.spare_s: float = task["spare_s"]
        self.report = Path(task["report"])
        self.coverage = coverage.Coverage(config_file=task["coverage"]) if task.get("coverage") else None
        self.seen = Path(task["seen"])
        self.filling = FILLING if task.get("bare") else WHOLE_FILE
        self.shared_s = self.own_shared_s = 0.0
        self.context = WHOLE_FILE
        self.ended: dict[str, Any] = {}

    def measure(self) -> None:
        if self.coverage:
            self.coverage.start()
            self.switch(WHOLE_FILE)

    def switch(self, context: str) -> None:
        if self.coverage:
            seen.count(self.seen, context)
            self.coverage.switch_context(context)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if self.usual is None:
            return
        order = {name: place for place, name in enumerate(self.usual)}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in order])
        items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
        for item in items:
            limit_s = self.spare_s + 5 * self.usual[item.nodeid]
            item.add_marker(pytest.mark.timeout(limit_s, method="signal"), append=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, bool, bool]:
        self.ended = {"test": item.nodeid, "outcome": "passed", "why": ""}
        self.context, self.shared_s, self.own_shared_s = item.nodeid, 0.0, 0.0
        self.switch(item.nodeid)
        started_at = time.monotonic()
        try:
            return (yield)
        finally:
            self.ended["seconds"] = round(time.monotonic() - started_at - self.shared_s, 3)
            self.ended["shared_s"] = round(self.own_shared_s, 3)
            with self.report.open("a") as stream:
                stream.write(json.dumps(self.ended) + "\n")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            self.ended["outcome"] = report.outcome
            crash = getattr(report.longrepr, "reprcrash", None)
            self.ended["why"] = str(getattr(crash, "message", report.longrepr))[:300]

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        before, self.context = self.context, self.filling if fixturedef.argname in WARM else WHOLE_FILE
        self.switch(self.context)
        started_at = time.monotonic()
        try:
            return (yield)
        finally:
            took_s = time.monotonic() - started_at
            self.shared_s += took_s
            self.own_shared_s += took_s if fixturedef.scope != "session" else 0.0
            self.context = before
            self.switch(before)

    def pytest_unconfigure(self) -> None:
        if self.coverage:
            self.coverage.stop()
            self.coverage.save()


def told(path: str) -> Plugin:
    """By the file that the task stands in."""
    return Plugin(json.loads(Path(path).read_text()))


def pytest_configure(config: pytest.Config) -> None:
    if TASK in os.environ:
        config.pluginmanager.register(found := told(os.environ[TASK]))
        found.measure()
