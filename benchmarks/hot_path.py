"""What access costs a prediction that is answered at once: two APIs by turns, one with limits, conduct and usage by
month, one without; and how often Postgres and Redis are asked for one. Needs wrk."""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

import redis
from rich.console import Console
from rich.progress import track

from access import keys, tiers
from benchmarks import bed
from benchmarks.inline import LUA, measure
from local import platform_processes
from local.child import Program, tree

TURNS = 12
#: So much of everything that each request is judged and none refused.
PLENTY = {
    "requests_per_minute": 1_000_000, "requests_burst": 1_000_000, "units_per_minute": 1_000_000,
    "units_burst": 1_000_000, "monthly_units": 1_000_000_000,
}  # fmt: skip
OFF = {"COATCHECK_LIMITS": "false", "COATCHECK_MAX_ERRORS": "0"}


@dataclass
class Way:
    """One of the two APIs; each list has a number for each turn."""

    name: str
    url: str
    pid: int
    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)
    commands: list[float] = field(default_factory=list)

    def turn(self, script: Path, found: bed.Bed) -> None:
        cpu_s, queries, commands = self._cpu_s(), _transactions(found), _commands(found)
        side = measure(f"{self.url}/api/v1/predict", script)
        if side.bad:
            sys.exit(f"{side.bad} of {side.requests} answers were errors")
        self.per_second.append(side.per_second)
        # As many more are asked before, for a quarter of the time: for both.
        self.cpu_us.append((self._cpu_s() - cpu_s) / side.requests * 1e6)
        self.queries.append((_transactions(found) - queries) / side.requests)
        self.commands.append((_commands(found) - commands) / side.requests)

    def _cpu_s(self) -> float:
        times = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in tree(self.pid)]
        return sum(map(int, itertools.chain(*times))) / os.sysconf("SC_CLK_TCK")


def run() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this one needs wrk (apt-get install wrk)")
    with bed.made() as found:
        tiers.create(found.parts.engine, "plenty", like="internal", given=PLENTY)
        key = keys.create(found.parts.engine, tenant="bench", name="bench", scopes=keys.CLIENT, tier="plenty")
        script = found.folder / "post.lua"
        script.write_text(LUA % key)
        ways = [_way(found, "on", 8001, {}), _way(found, "off", 8002, OFF)]
        for turn in track(range(TURNS), "by turns", console=Console(stderr=True)):
            for way in ways if turn % 2 else ways[::-1]:
                way.turn(script, found)
    print(f"predictions answered at once, {TURNS} turns each, middle of them (a request's own, in CPU, and asked)")
    for way in ways:
        middle = [statistics.median(item) for item in (way.per_second, way.cpu_us, way.queries, way.commands)]
        print("  {:4} {:7.0f} /s   {:6.0f} us of CPU   Postgres {:.4f}   Redis {:.4f}".format(way.name, *middle))
    ratios = [on / off for on, off in zip(ways[0].per_second, ways[1].per_second, strict=True)]
    print(f"  on / off: {statistics.median(ratios):.3f}  (of each turn: {' '.join(f'{item:.2f}' for item in ratios)})")


def _way(found: bed.Bed, name: str, port: int, more: dict[str, str]) -> Way:
    env = {**found.env, "COATCHECK_ONNX_THREADS": "1", **more}
    child = found.start(Program(f"api-{name}", platform_processes.command("serve", "--port", str(port)), env))
    url = f"http://127.0.0.1:{port}"
    bed.until(lambda: platform_processes.answers(f"{url}/ready"))
    return Way(name, url, child.pid)


def _transactions(found: bed.Bed) -> int:
    with found.superuser.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
        count: int = connection.exec_driver_sql(
            "SELECT sum(xact_commit + xact_rollback)::int FROM pg_stat_database"
        ).scalar_one()
    return count


def _commands(found: bed.Bed) -> int:
    """Those of scripts and of what is told in pipelines too; this one's own among them."""
    client = redis.Redis.from_url(found.env["REDIS_URL"])
    count: int = client.info("stats")["total_commands_processed"]
    client.close()
    return count
