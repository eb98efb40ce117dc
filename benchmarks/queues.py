"""Durable jobs drained per second by one worker process, beside the queues of others, by turns: those predict the same,
and keep nothing of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from statistics import median

import sqlalchemy

from benchmarks import bed, drain, peers
from benchmarks.rivals import work
from local.child import Program

ROUNDS = 5
#: How many jobs each has in a round: as many as it does in a few seconds.
RIVALS = {
    "celery": 3_000,
    "rq": 2_000,
    "dramatiq": 6_000,
    "huey": 6_000,
    "procrastinate": 1_500,
    "pgqueuer": 6_000,
    "awa": 6_000,
}
REQUIREMENTS = Path(__file__).parent / "rivals" / "requirements.txt"


def run() -> None:
    python = peers.python("rivals", REQUIREMENTS)
    rates: dict[str, list[float]] = {"coatcheck": [], **{name: [] for name in RIVALS}}
    for _ in range(ROUNDS):
        with bed.made() as found:
            rates["coatcheck"].append(drain.coatcheck(found))
            for name, jobs in RIVALS.items():
                rates[name].append(_rival(found, python, name, jobs))
    ours = median(rates["coatcheck"])
    print(f"jobs drained a second by one worker process; the middle of {ROUNDS} rounds by turns, least and most")
    for name, found_rates in rates.items():
        middle = median(found_rates)
        spread = f"{min(found_rates):.0f} to {max(found_rates):.0f}"
        print(f"  {name:<14} {middle:7.0f}  ({spread})  {'' if name == 'coatcheck' else f'{ours / middle:.1f}'}")


def _rival(found: bed.Bed, python: Path, name: str, jobs: int) -> float:
    """Jobs a second, from when the first was done to when the last was."""
    env = {**found.env, "RIVALS_DATABASE_URL": _database(found, name)}
    work.board_at(found.env["REDIS_URL"]).delete(work.FIRST, work.LAST)
    handed_in = [python, "-m", "benchmarks.rivals", name, str(jobs)]
    done = subprocess.run(handed_in, cwd=bed.ROOT, env=env, check=True, capture_output=True, text=True)
    worker = found.start(Program(name, (str(python), "-m", *json.loads(done.stdout)), env))
    board = work.board_at(found.env["REDIS_URL"])
    bed.until(lambda: board.get(work.LAST), 300)
    worker.stop()
    first, last = (float(board.get(key) or 0) for key in (work.FIRST, work.LAST))
    return jobs / (last - first)


def _database(found: bed.Bed, name: str) -> str:
    """One of its own, anew."""
    database = f"rival_{name}"
    with found.superuser.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {database}")
    url = sqlalchemy.make_url(found.state.superuser_url).set(drivername="postgresql", database=database)
    return url.render_as_string(hide_password=False)
