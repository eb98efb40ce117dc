"""One chaos run from beginning to verdict."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import exc, text

from tests.chaos import asking, calls, check, files, load, machine, stage
from tests.chaos.drill import BURST, SCENES, SLOWER, Drill
from tests.chaos.nemesis import Nemesis
from tests.chaos.truth import Truth
from webhooks import outbox

CLIENTS, ASKERS = 4, 2
#: How long after the last fault everything accepted must have ended, besides what its number takes; in seconds and in
#: starts of a process. The same for what a storm may add to the lease until a dead process's jobs are free again.
SETTLE_S, SETTLE_STARTS = 60.0, 10


@dataclass
class Report:
    seed: int
    minutes: float
    nemesis: Nemesis
    ledger: load.Ledger
    told: Counter[str]  #: of what was asked at once
    verdict: check.Verdict
    fenced: int
    drained_s: float
    took: dict[str, float]  #: seconds, in the drill

    def table(self) -> str:
        verdict, recovery = self.verdict, self.verdict.recovery
        rows = {
            "seed, minutes of faults": f"{self.seed}, {self.minutes:g}",
            "kills": self.nemesis.kills,
            "other faults": sum(self.nemesis.done.values()) - self.nemesis.kills,
            "jobs accepted": verdict.accepted,
            "of them files": sum(promise.of_file for promise in self.ledger.accepted()),
            "ended as": ", ".join(f"{count} {name}" for name, count in sorted(verdict.ends.items())),
            "attempts in all": verdict.attempts,
            "requests refused or unanswered, then repeated": self.ledger.refused,
            "lost": len(verdict.lost),
            "duplicated effects": len(verdict.duplicated),
            "double terminals": len(verdict.double_terminals),
            "wrong answers": len(verdict.wrong),
            "predictions asked at once": ", ".join(f"{count} {how}" for how, count in sorted(self.told.items())),
            "webhooks delivered, visibly failed": f"{verdict.delivered}, {verdict.undelivered}",
            "calls that the receiver got": verdict.calls,
            "webhooks lost, wrong or badly signed": len(verdict.webhooks),
            "writes fenced off": self.fenced,
            "a killed child's jobs are free again, s": check.percentiles(recovery.get("child noticed", [])),
            "a killed child's jobs run again, s": check.percentiles(recovery.get("child", [])),
            "a killed worker's jobs are free again, s": check.percentiles(recovery.get("worker noticed", [])),
            "a killed worker's jobs run again, s": check.percentiles(recovery.get("worker", [])),
            "everything ended after the last fault, s": f"{self.drained_s:.1f}",
            **{f"at rest: {name}, s": f"{seconds:.1f}" for name, seconds in self.took.items()},
        }
        return "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def run(
    folder: Path,
    *,
    seed: int,
    minutes: float,
    every_s: float,
    lease_s: float,
    pace_s: float = 0.25,
    scenes: Collection[str] = tuple(SCENES),
    sabotages: Collection[str] = (),
    say: Callable[[str], None],
) -> Report:
    """Break things at random for `minutes`, heal, wait until all is quiet, break them on purpose, and judge."""
    truth = Truth()
    with stage.built(folder, lease_s=lease_s, seed=seed, sabotages=sabotages) as built:
        nemesis = Nemesis(built, random.Random(seed), lease_s)
        ledger = load.Ledger()
        clients = [load.Client(built.url, built.key, truth, ledger, seed * 100 + n, pace_s) for n in range(CLIENTS)]
        askers = [
            asking.Asker(built.url, built.key, truth, ledger, seed * 100 + n) for n in range(ASKERS if minutes else 0)
        ]
        drill = Drill(built, load.Client(built.url, built.key, truth, ledger, seed * 100 + CLIENTS, pace_s), lease_s)
        drill.begin(scenes)
        if minutes:
            _storm(built, nemesis, [*clients, *askers], ledger, minutes, every_s, say)
        drained_s = _drain(built, lease_s, drill.burst_s)
        drill.run(scenes)
        if not drill.faults:
            _drain(built, lease_s, drill.burst_s)
        verdict = check.judge(built.admin, ledger, nemesis.losses, truth)
        verdict.wrong += files.faults(built.url, built.key, ledger, truth)
        verdict.wrong += asking.faults(built.admin, askers, nemesis.done["kill_express"] + nemesis.done["kill_api"])
        verdict.slow += [*_slow(verdict, lease_s), *drill.faults]
        calls.judge(built.admin, built.receiver, verdict)
        told = sum((asker.told for asker in askers), Counter[str]())
        return Report(seed, minutes, nemesis, ledger, told, verdict, _fenced(folder), drained_s, drill.took)


def _slow(verdict: check.Verdict, lease_s: float) -> list[str]:
    """A lease, and what a storm adds to it: whatever a dead process held is free again by then."""
    longest_s = 2 * lease_s + SETTLE_S / 2 + SETTLE_STARTS * machine.start_s()
    return [
        f"{what}: the slowest took {max(seconds):.1f} s, allowed are {longest_s:.0f} s"
        for what, seconds in verdict.recovery.items()
        if what.endswith("noticed") and max(seconds, default=0.0) > longest_s
    ]


def _storm(
    built: stage.Stage,
    nemesis: Nemesis,
    clients: Sequence[load.Client | asking.Asker],
    ledger: load.Ledger,
    minutes: float,
    every_s: float,
    say: Callable[[str], None],
) -> None:
    for client in clients:
        client.start()
    ends_at = time.monotonic() + minutes * 60
    next_at, next_word = time.monotonic() + 3, time.monotonic() + 30
    while time.monotonic() < ends_at:
        built.tend()
        nemesis.tend()
        if time.monotonic() >= next_at:
            nemesis.strike()
            next_at = time.monotonic() + nemesis.random.uniform(0.5, 1.5) * every_s
        if time.monotonic() >= next_word:
            next_word += 30
            left = max(0.0, ends_at - time.monotonic())
            say(f"  {left / 60:5.1f} min left, {nemesis.kills} kills, {len(ledger.accepted())} jobs accepted")
        time.sleep(0.05)
    nemesis.heal()
    for client in clients:
        client.stop()
    for client in clients:
        client.join(30)


def _drain(built: stage.Stage, lease_s: float, burst_s: float) -> float:
    """Seconds until everything runs and nothing is open; what then still is, is for the verdict."""
    started = time.monotonic()
    # A claim whose answer a fault cut off is nobody's for a whole lease: of a delivery that is the longer one.
    base_s = SETTLE_S + max(lease_s, outbox.LEASE_S) + SLOWER * burst_s / BURST * _open(built)
    # What the last fault killed may be missed by no job, as Redis is: nobody would start it again.
    machine.within(lambda: built.whole and _open(built) == 0, base_s=base_s, starts=SETTLE_STARTS, meanwhile=built.tend)
    return time.monotonic() - started


def _open(built: stage.Stage) -> float:
    """How many jobs and deliveries have not ended; infinite while Postgres does not say it."""
    open_ = text(
        "SELECT (SELECT count(*) FROM jobs WHERE finished_at IS NULL)"
        " + (SELECT count(*) FROM webhook_deliveries WHERE finished_at IS NULL)"
    )
    try:
        with built.admin.connect() as connection:
            return int(connection.execute(open_).scalar_one())
    except exc.DBAPIError:
        return math.inf


def _fenced(folder: Path) -> int:
    """Finished work thrown away, as the workers logged it."""
    return sum(path.read_text(errors="replace").count("write_fenced") for path in (folder / "logs").glob("worker*.log"))
