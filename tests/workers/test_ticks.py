"""The sweep is ticked by how long ago the last one was, and not by what time it is."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from core import broker
from local.child import Child
from tests.conftest import Platform, until
from workers import ticks
from workers.ticks import Pace

#: Adds to the wall clock the seconds that stand in the file named by CLOCK_FILE, which may change at any time.
CLOCK_C = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long ahead(void) {
    FILE *file = fopen(getenv("CLOCK_FILE"), "r");
    long seconds = 0;
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, at);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += ahead();
    return failed;
}
int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")
def test_beat_ticks_on_when_its_clock_is_set_forth_and_back(
    platform: Platform, spawn: Callable[..., Child], tmp_path: Path
) -> None:
    library, file = tmp_path / "clock.so", tmp_path / "ahead"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=CLOCK_C.encode(), check=True)
    file.write_text("0")
    waiting = redis.Redis.from_url(platform.settings.queue.redis_url)
    queue = f"{broker.KEY_PREFIX}control"
    waiting.delete(queue)

    def longer(length: int) -> bool:
        return waiting.llen(queue) >= length

    beat = spawn(
        "beat", "celery", "-A", "workers.app", "beat", "--pidfile=", LD_PRELOAD=str(library), CLOCK_FILE=str(file)
    )
    before = beat.log.stat().st_size  # what an earlier one has said, if the engines are kept running
    try:
        for ahead_s in (0, 3600, 0, -3600, 0):
            file.write_text(str(ahead_s))
            so_far = waiting.llen(queue)
            until(functools.partial(longer, so_far + 2))
    finally:
        waiting.delete(queue)
    # Nor does it write a line for each of them.
    assert b"Sending due task" not in beat.log.read_bytes()[before:]


def test_ticks_that_piled_up_are_one_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(ticks, "time", SimpleNamespace(monotonic=lambda: now[0]))
    pace = Pace(1.0)
    assert [pace.begin() for _ in range(3)] == [True, False, False]
    now[0] += 1
    assert [pace.begin() for _ in range(2)] == [True, False]
