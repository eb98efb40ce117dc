"""Rates under three times their limit, by one, four and sixteen processes: what is let through in every window, how
often Redis is asked, and whether who waits as long as told is let in. And what a check costs."""

from __future__ import annotations

import bisect
import contextlib
import functools
import math
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.progress import track

from access.rates import Policy, Rates
from benchmarks import bed
from core import errors
from core.broker import KEY_PREFIX, Line

POLICY = Policy("units", per_minute=6000, burst=500)
SECONDS = 75.0
#: Windows are looked at when what was there at first is used up.
SETTLED_S = 10.0
MINUTE_S = 60.0
PROCESSES = (1, 4, 16)
#: Of each process, in the round in which all do as they are told.
CLIENTS = 8


@dataclass
class Seen:
    """What one process saw."""

    let_in_at: list[float] = field(default_factory=list)
    refused: int = 0
    asked: int = 0
    returned: int = 0  #: after waiting as long as told
    let_in_then: int = 0

    def add(self, other: Seen) -> None:
        self.let_in_at += other.let_in_at
        self.refused += other.refused
        self.asked += other.asked
        self.returned += other.returned
        self.let_in_then += other.let_in_then


class Counted(Line):
    """How often Redis was asked."""

    asked = 0

    def call(self, do: Any, otherwise: Any) -> Any:
        self.asked += 1
        return super().call(do, otherwise)


def run() -> None:
    with bed.made() as found:
        url = found.env["REDIS_URL"]
        print(f"{POLICY.per_minute} units a minute, {POLICY.burst} at once; {SECONDS:g} s each")
        for processes in track(PROCESSES, "three times the limit"):
            told(f"{processes:2} processes, three times the limit", together(url, processes, flood, 3.0))
        told(" 4 processes, half the limit", together(url, 4, flood, 0.5))
        for what, how in (("with a bucket each", obey), ("that share one", functools.partial(obey, shared=True))):
            seen = together(url, 4, how, 3.0)
            share = seen.let_in_then / max(1, seen.returned)
            print(
                f"   4 processes, {4 * CLIENTS} clients {what}, who wait as told: of {seen.returned} let in {share:.1%}"
            )
        check(url)


def together(url: str, processes: int, how: Any, load: float) -> Seen:
    """All of them at once, in a bucket of their own."""
    # Those of the run before are gone, and would be counted for a while.
    Line(url).redis.delete(f"{KEY_PREFIX}rates")
    spawn, party = multiprocessing.get_context("spawn"), f"bench-{time.time_ns()}"
    queue: Any = spawn.Queue()
    begin = spawn.Barrier(processes)
    arguments = (url, party, begin, load / processes, queue)
    made = [spawn.Process(target=how, args=arguments) for _ in range(processes)]
    for process in made:
        process.start()
    seen = Seen()
    for _ in made:
        seen.add(queue.get())
    for process in made:
        process.join()
    return seen


def flood(url: str, party: str, begin: Any, load: float, queue: Any) -> None:
    """So many times the limit, evenly, whatever is answered."""
    line, seen, gap_s = Counted(url), Seen(), 1 / (POLICY.rate_s * load)
    rates = Rates(line)
    begin.wait()
    for due in _moments(time.time(), gap_s):
        time.sleep(max(0.0, due - time.time()))
        _try(rates, party, seen)
    seen.asked = line.asked
    queue.put(seen)


def obey(url: str, party: str, begin: Any, load: float, queue: Any, *, shared: bool = False) -> None:
    """The same by clients that wait as long as they are told, as a header tells it: in whole seconds."""
    policy = POLICY if shared else Policy("units", per_minute=120, burst=10)
    line, seen = Counted(url), Seen()
    gap_s = CLIENTS / (POLICY.rate_s * load) if shared else 1 / (3 * policy.rate_s)
    rates = Rates(line)
    begin.wait()
    begin_at = time.time()

    def client(number: int) -> None:
        time.sleep(max(0.0, begin_at + gap_s * number / CLIENTS - time.time()))
        waited = False
        while time.time() < begin_at + SECONDS:
            wait_s = _try(rates, party if shared else f"{party}-{os.getpid()}-{number}", seen, policy)
            if waited:
                seen.returned += 1
                seen.let_in_then += wait_s is None
            waited = wait_s is not None
            time.sleep(gap_s if wait_s is None else math.ceil(wait_s))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.asked = line.asked
    queue.put(seen)


def _moments(begin_at: float, gap_s: float) -> Iterator[float]:
    for count in range(int(SECONDS / gap_s)):
        yield begin_at + count * gap_s


def _try(rates: Rates, party: str, seen: Seen, policy: Policy = POLICY) -> float | None:
    """How long to wait, if it was refused."""
    try:
        rates.take(policy, party)
    except errors.RateLimited as refused:
        seen.refused += 1
        return refused.retry_after_s
    seen.let_in_at.append(time.time())
    return None


def told(what: str, seen: Seen) -> None:
    moments = sorted(seen.let_in_at)
    # In the minute that the limit is of, and in the time in which a bucket fills.
    windows = "; ".join(_parts(moments, window_s) for window_s in (MINUTE_S, float(POLICY.window_s)))
    share = seen.asked / (len(moments) + seen.refused)
    print(f"  {what}: let in {len(moments)}, of the limit {windows}; Redis asked for {share:.1%}")


def _parts(moments: list[float], window_s: float) -> str:
    parts = [
        (bisect.bisect(moments, begin + window_s) - bisect.bisect(moments, begin)) / (POLICY.rate_s * window_s)
        for begin in _windows(moments, window_s)
    ]
    return f"in every {window_s:g} s {min(parts):.1%} to {max(parts):.1%}"


def _windows(moments: list[float], window_s: float) -> Iterator[float]:
    begin = moments[0] + SETTLED_S
    while begin + window_s < moments[-1]:
        yield begin
        begin += 0.1


def check(url: str) -> None:
    """What it costs to be let in, when nothing has to be asked."""
    rates, large, took_ns = Rates(Line(url)), Policy("units", 6_000_000_00, 100_000_000), []
    for _ in range(200_000):
        begun = time.perf_counter_ns()
        with contextlib.suppress(errors.RateLimited):
            rates.take(large, "bench")
        took_ns.append(time.perf_counter_ns() - begun)
    cuts = statistics.quantiles(took_ns, n=100)
    print(f"  one check: p50 {cuts[49] / 1000:.2f} us, p99 {cuts[98] / 1000:.2f} us")
