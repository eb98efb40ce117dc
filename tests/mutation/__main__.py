"""Change the code in small ways, one at a time, and tell which changes no test notices.

Without a number, every mutant of what is named: Python's and SQL's. A survivor is a line without a test, or a test that
does not look at what the line is for. Nothing here is written to: each runner has a copy of the project.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track

from tests.mutation import mutants, pool, trial, usage
from tests.mutation.mutants import Mutant
from tests.mutation.runner import FILLS
from tests.mutation.trial import Verdict
from tests.mutation.usage import Usage

REPORT = usage.CACHE / "report.json"
SHOW = Console(highlight=False, soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    asked = _asked(arguments)
    # However it is stopped, what has been judged until then is told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        chosen = choose(asked)
    except FileNotFoundError as error:
        SHOW.print(str(error), markup=False)
        return 2
    if not chosen:
        SHOW.print("Nothing to change there")
        return 2
    try:
        with pool.running(asked.runners) as runners:
            known = measured(runners, chosen, asked)
            verdicts = judged(chosen, runners, known, asked.budget)
    except pool.Lost as error:
        SHOW.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        SHOW.print("Stopped before anything was judged: what has been measured is kept")
        return 130
    told(verdicts, asked.report)
    return 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    description, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="./run mutate", description=description, epilog=rest, allow_abbrev=False)
    parser.add_argument("where", nargs="*", metavar="ROOM|FILE", help="jobs, jobs/settle.py; without: every room")
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants of Python, chosen at random")
    parser.add_argument("--sql", type=int, metavar="N", help="so many mutants of SQL, chosen at random")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which at random (0)")
    parser.add_argument("--again", action="store_true", help="those that survived last time, by --report")
    parser.add_argument("--tests", nargs="+", default=[], metavar="FOLDER", help="of the tests, only these")
    parser.add_argument("--budget", type=float, default=60.0, metavar="S", help="seconds of tests for a mutant (60)")
    parser.add_argument("--runners", type=int, default=2, metavar="N", help="at once, each with engines (2)")
    parser.add_argument("--report", default=str(REPORT), metavar="FILE", help="where the JSON goes")
    return parser.parse_args(arguments)


def choose(asked: argparse.Namespace) -> list[Mutant]:
    """The mutants that were asked for, in the order of the files."""
    wanted: set[tuple[str, str, str]] = set()
    if asked.again:
        before = json.loads(Path(asked.report).read_text())["survivors"]
        wanted = {(item["mutant"]["path"], item["before"], item["after"]) for item in before}
        asked.where = sorted({path for path, _, _ in wanted})
    every = asked.sample is None and asked.sql is None
    paths = mutants.files(asked.where, mutants.WITH_SQL)
    python = [path for path in paths if not path.startswith("migrations")] if every or asked.sample else []
    sites = [
        site for path in track(python, "Reading", console=SHOW, transient=True) for site in mutants.in_python(path)
    ]
    in_sql = [found for path in paths for found in mutants.in_sql(path)] if every or asked.sql else []
    drawn = random.Random(asked.seed)
    if not every:
        sites = drawn.sample(sites, min(len(sites), asked.sample or 0))
        in_sql = drawn.sample(in_sql, min(len(in_sql), asked.sql or 0))
    found = sorted([*(site.mutant() for site in sites), *in_sql], key=lambda item: (item.path, item.start))
    if asked.again:
        found = [
            item for item in found if (item.path, *item.shown((mutants.ROOT / item.path).read_text())[1:]) in wanted
        ]
    return list(dict.fromkeys(found))


def measured(runners: pool.Pool, chosen: list[Mutant], asked: argparse.Namespace) -> Usage:
    """What every file of tests executes; what is not kept is measured now."""
    known = Usage()
    lock, numbers = threading.Lock(), itertools.count()
    files = [FILLS, *usage.test_files({mutant.path.split("/")[0] for mutant in chosen}, tuple(asked.tests))]
    new = [name for name in files if usage.kept(name) is None]

    def measure(name: str) -> None:
        data = Path(folder) / f"coverage-{next(numbers)}"
        task = {"files": [name], "bare": name == FILLS, "spare_s": 0.0, "limit_s": 1800.0, "coverage": str(data)}
        answer = runners.ask(task)
        with lock:
            if answer["code"] not in (0, 1):
                raise pool.Lost(f"{name} cannot be measured: {answer['log']}")
            found = usage.keep(name, answer, data)
            if failed := [item["test"] for item in answer["ended"] if item["outcome"] == "failed"]:
                SHOW.print(f"fails without any change, and is left out: {', '.join(failed)}", markup=False)
            if not SHOW.is_terminal:
                SHOW.print(f"measured {name}: {len(found['seconds'])} tests", markup=False)
            bar.advance(at)

    usage.CACHE.mkdir(exist_ok=True)
    # A folder of its own: what a run that was stopped had measured is of other code.
    with tempfile.TemporaryDirectory(dir=usage.CACHE) as folder, progress() as bar:
        at = bar.add_task("Who executes what", total=len(new))
        runners.each(measure, new)
    for name in files:
        if found := usage.kept(name):
            known.add(found)
    return known


def judged(chosen: list[Mutant], runners: pool.Pool, known: Usage, budget_s: float) -> list[Verdict]:
    """What becomes of each, in any order: if it is stopped, those that were judged are a sample of all."""
    found: list[Verdict] = []
    chosen = random.Random(len(chosen)).sample(chosen, len(chosen))

    def one(mutant: Mutant) -> None:
        verdict = trial.judge(mutant, known, budget_s, runners.ask)
        found.append(verdict)
        if verdict.survived:
            SHOW.print(verdict.sentence(), markup=False)
        bar.advance(at)
        if not SHOW.is_terminal and len(found) % 20 == 0:
            SHOW.print(f"{len(found)} of {len(chosen)}", markup=False)

    with progress() as bar:
        at = bar.add_task("Mutants", total=len(chosen))
        try:
            runners.each(one, chosen)
        except KeyboardInterrupt:
            SHOW.print("Stopped: what follows is of those that were judged")
    return found


def progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=SHOW)


def told(verdicts: list[Verdict], report: str) -> None:
    survivors = sorted((item for item in verdicts if item.survived), key=lambda item: (item.mutant.path, item.line))
    killed = [item for item in verdicts if not item.survived]
    with open(report, "w") as stream:
        json.dump(
            {"survivors": [item.as_json() for item in survivors], "killed": [item.as_json() for item in killed]},
            stream, indent=1,
        )  # fmt: skip
    rooms = Counter(item.mutant.path.split("/")[0] for item in verdicts)
    dead = Counter(item.mutant.path.split("/")[0] for item in killed)
    for room, count in sorted(rooms.items()):
        SHOW.print(f"{room}: {dead[room]} of {count} killed", markup=False)
    late = sum(item.killer == trial.TOO_LONG for item in killed)
    SHOW.print(f"{len(killed)} of {len(verdicts)} mutants killed ({late} of them as the tests took too long)")
    SHOW.print(f"{len(survivors)} survived: {report}", markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
