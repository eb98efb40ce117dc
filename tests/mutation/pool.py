"""Runners side by side, each a process with engines of its own, that take one task after the other."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tests.engines import ROOT

T = TypeVar("T")
Ask = Callable[[dict[str, Any]], dict[str, Any]]


class Lost(Exception):
    """A runner ended, or could not begin; what it said is on the screen."""


class Pool:
    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._free: queue.Queue[subprocess.Popen[str]] = queue.Queue()
        self._processes = processes
        for process in processes:
            _answer(process)
            self._free.put(process)

    def ask(self, task: dict[str, Any]) -> dict[str, Any]:
        """Let the next free runner do it; raises Lost."""
        process = self._free.get()
        try:
            print(json.dumps(task), file=process.stdin, flush=True)
            return _answer(process)
        finally:
            self._free.put(process)

    def each(self, work: Callable[[T], Any], items: Iterable[T]) -> None:
        """Do it with all items, as many at once as there are runners; the first that fails ends it."""
        stop = threading.Event()

        def one(item: T) -> None:
            if not stop.is_set():
                try:
                    work(item)
                except BaseException:
                    stop.set()
                    raise

        with ThreadPoolExecutor(len(self._processes)) as threads:
            futures = [threads.submit(one, item) for item in items]
            try:
                for future in futures:
                    future.result()
            except KeyboardInterrupt:
                # Nobody waits for what the runners are at, which may take minutes.
                for process in self._processes:
                    process.terminate()
                raise
            finally:
                stop.set()


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise Lost(f"a runner ended with code {process.wait()}")
    found: dict[str, Any] = json.loads(line)
    return found


@contextlib.contextmanager
def running(count: int) -> Iterator[Pool]:
    """So many runners, ended with the block."""
    command = [sys.executable, "-m", "tests.mutation.runner"]
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        for _ in range(count)
    ]
    try:
        yield Pool(processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
