"""Jobs accepted by HTTP and done at the same time, by one API and one worker process through the proxy, beside a bare
`send_task` of Celery in a loop, which stores nothing and has nobody to do it; by turns. Needs wrk."""

from __future__ import annotations

import dataclasses
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
from rich.console import Console
from rich.progress import track
from sqlalchemy import text

from access import keys, tiers
from benchmarks import bed
from benchmarks.hot_path import PLENTY
from benchmarks.inline import LUA, SECONDS, measure
from local import platform_processes

ROUNDS = 5
#: Clients that ask again at once: as many as keep the machine busy, and fewer.
CONNECTIONS = (32, 8)
#: How many a bare loop sends in a round.
BARE = 5_000
MANY = {**PLENTY, "max_pending": 1_000_000, "max_running": 1_000_000}

_MOMENT = text("SELECT clock_timestamp()")
_OPEN = text("SELECT count(*) FROM jobs WHERE finished_at IS NULL")
#: The rate of those that were done in the last seconds, and how long those took, in ms, that were accepted then.
_DONE = text("""
WITH times AS (
  SELECT CAST(:until AS timestamptz) - make_interval(secs => :seconds) AS since, CAST(:until AS timestamptz) AS until
)
SELECT count(*) FILTER (WHERE finished_at BETWEEN since AND until) / :seconds AS rate,
  percentile_cont(CAST('{0.5,0.99}' AS float[])) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at))
    FILTER (WHERE created_at BETWEEN since AND until) AS took_s
FROM jobs, times WHERE status = 'completed'
""")
#: In a process of its own, as a client's would be.
_LOOP = """
import sys, time, celery
app = celery.Celery(broker=sys.argv[1])
app.conf.update(task_default_queue="bare", broker_transport_options={"global_keyprefix": "bare:"})
job = {"text": "I love this product, it works perfectly!"}
for _ in range(200): app.send_task("bare", kwargs=job)
began = time.perf_counter()
for _ in range(int(sys.argv[2])): app.send_task("bare", kwargs=job)
print(int(sys.argv[2]) / (time.perf_counter() - began))
"""


@dataclass(frozen=True)
class Round:
    """Accepted and done a second, and the time from the one to the other, in ms; the loop's own rate."""

    accepted: float
    done: float
    p50: float
    p99: float
    bare: float


def run() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this one needs wrk (apt-get install wrk)")
    with bed.made() as found:
        tiers.create(found.parts.engine, "many", like="internal", given=MANY)
        key = keys.create(found.parts.engine, tenant="bench", name="bench", scopes=keys.CLIENT, tier="many")
        script = found.folder / "post.lua"
        script.write_text(LUA % key)
        early, late = platform_processes.programs(found.state, found.env)
        for program in (*early, late[0]):
            found.start(program)
        address = f"http://127.0.0.1:{found.state.ports['api']}"
        bed.until(lambda: platform_processes.answers(f"{address}/ready"))
        rounds: dict[int, list[Round]] = {connections: [] for connections in CONNECTIONS}
        for _ in track(range(ROUNDS), "by turns", console=Console(stderr=True)):
            for connections, some in rounds.items():
                some.append(_round(found, f"{address}/api/v1/jobs", script, connections))
    for connections, some in rounds.items():
        _tell(some, connections)


def _round(found: bed.Bed, url: str, script: Path, connections: int) -> Round:
    engine = found.parts.engine
    loop = [sys.executable, "-c", _LOOP, found.env["REDIS_URL"], str(BARE)]
    bare = float(subprocess.run(loop, check=True, capture_output=True, text=True).stdout)
    accepted = measure(url, script, connections=connections)
    until = _one(engine, _MOMENT)
    if accepted.bad:
        sys.exit(f"{accepted.bad} of {accepted.requests} were refused")
    bed.until(lambda: _one(engine, _OPEN) == 0, 600)
    with engine.connect() as connection:
        row = connection.execute(_DONE, {"until": until, "seconds": SECONDS}).one()
    return Round(accepted.per_second, float(row.rate), row.took_s[0] * 1000, row.took_s[1] * 1000, bare)


def _one(engine: sqlalchemy.Engine, asked: sqlalchemy.TextClause) -> Any:
    with engine.connect() as connection:
        return connection.execute(asked).scalar_one()


def _tell(rounds: list[Round], connections: int) -> None:
    print(f"the middle of {ROUNDS} rounds of {SECONDS} s, least and most; {connections} connections")
    for item in dataclasses.fields(Round):
        values = [getattr(each, item.name) for each in rounds]
        print(f"  {item.name:<10} {statistics.median(values):8.1f}  ({min(values):.1f} to {max(values):.1f})")
    ratio = statistics.median(each.done / each.bare for each in rounds)
    print(f"  done while others came, of what the bare loop sends: {ratio:.2f}")
