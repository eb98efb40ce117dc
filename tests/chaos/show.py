"""One chaos run from beginning to verdict."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import exc, text

from tests.chaos import calls, check, files, load, stage
from tests.chaos.nemesis import Nemesis

CLIENTS = 4
#: How long after the last fault everything accepted must have ended.
SETTLE_S = 600.0


@dataclass
class Report:
    seed: int
    minutes: float
    nemesis: Nemesis
    ledger: load.Ledger
    verdict: check.Verdict
    fenced: int
    drained_s: float

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
            "webhooks delivered, visibly failed": f"{verdict.delivered}, {verdict.undelivered}",
            "calls that the receiver got": verdict.calls,
            "webhooks lost, wrong or badly signed": len(verdict.webhooks),
            "writes fenced off": self.fenced,
            "a killed child's jobs are free again, s": check.percentiles(recovery.get("child noticed", [])),
            "a killed child's jobs run again, s": check.percentiles(recovery.get("child", [])),
            "a killed worker's jobs are free again, s": check.percentiles(recovery.get("worker noticed", [])),
            "a killed worker's jobs run again, s": check.percentiles(recovery.get("worker", [])),
            "everything ended after the last fault, s": f"{self.drained_s:.1f}",
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
    say: Callable[[str], None],
) -> Report:
    """Break things at random for `minutes`, heal, wait until all is quiet, and judge."""
    expected = load.expected()
    with stage.built(folder, lease_s=lease_s, seed=seed) as built:
        nemesis = Nemesis(built, random.Random(seed), lease_s)
        ledger = load.Ledger()
        clients = [load.Client(built.url, built.key, ledger, seed * 100 + n, pace_s) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        _storm(built, nemesis, ledger, minutes, every_s, say)
        nemesis.heal()
        for client in clients:
            client.stop()
        for client in clients:
            client.join(30)
        healed_at = time.monotonic()
        drained_s = _drain(built, healed_at)
        verdict = check.judge(built.admin, ledger, nemesis.losses, expected)
        verdict.wrong += files.faults(built.url, built.key, ledger, expected)
        calls.judge(built.admin, built.receiver, verdict)
        return Report(seed, minutes, nemesis, ledger, verdict, _fenced(folder), drained_s)


def _storm(
    built: stage.Stage,
    nemesis: Nemesis,
    ledger: load.Ledger,
    minutes: float,
    every_s: float,
    say: Callable[[str], None],
) -> None:
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


def _drain(built: stage.Stage, since: float) -> float:
    """Wait until nothing is open; what is open after SETTLE_S is for the verdict."""
    while time.monotonic() - since < SETTLE_S:
        built.tend()
        try:
            with built.admin.connect() as connection:
                open_ = text(
                    "SELECT (SELECT count(*) FROM jobs WHERE finished_at IS NULL)"
                    " + (SELECT count(*) FROM webhook_deliveries WHERE finished_at IS NULL)"
                )
                if connection.execute(open_).scalar_one() == 0:
                    break
        except exc.DBAPIError:
            pass
        time.sleep(0.2)
    return time.monotonic() - since


def _fenced(folder: Path) -> int:
    """Finished work thrown away, as the workers logged it."""
    return sum(path.read_text(errors="replace").count("write_fenced") for path in (folder / "logs").glob("worker*.log"))
