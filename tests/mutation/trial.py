"""One mutant before the tests that execute it: quickest first, until one fails or the time is up."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engines import ROOT
from tests.mutation import plugin
from tests.mutation.mutants import Mutant
from tests.mutation.usage import Usage

#: A test may take five times as long as it usually does, and this: of that, machines have bad moments.
SPARE_S = 20.0
#: Where each test file fills the database anew.
FILLING_S = 60.0
#: What is run first: most mutants die here, and each file more costs a second to collect.
FIRST_S, FIRST_FILES = 6.0, 3
KIN = 10.0
#: What of a budget is for kin alone.
KINS_PART = 0.3
#: pytest's code where none of the names is there: some are made up anew at every run.
NOTHING_CHOSEN = 5
TOO_LONG = "took too long"


@dataclass
class Verdict:
    """`how`: killed by a test, survived, or executed by no test at all."""

    mutant: Mutant
    line: int
    before: str
    after: str
    how: str
    killer: str = ""
    why: str = ""
    ran: list[str] = field(default_factory=list)
    left: int = 0  #: tests that execute it too, and were not run as the time was up

    @property
    def survived(self) -> bool:
        return self.how != "killed"

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def sentence(self) -> str:
        where = f"{self.mutant.path}:{self.line}"
        if self.how == "unseen":
            tail = "no test executes it"
        else:
            tail = f"{len(self.ran)} tests ran over it" + (
                f", {self.left} longer ones were left out" if self.left else ""
            )
        return f"{where}: {self.mutant.what}; {tail}\n    - {self.before}\n    + {self.after}"


def judge(mutant: Mutant, usage: Usage, budget_s: float, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> Verdict:
    source = (ROOT / mutant.path).read_text()
    line, before, after = mutant.shown(source)
    verdict = Verdict(mutant, line, before, after, "survived")
    users = usage.tests(mutant)
    tests = {name: usage.seconds[name] for name in users - {plugin.FILLING}}
    bare = plugin.FILLING in users and (not tests or mutant.path.startswith("migrations/"))
    if bare and not tests:
        tests = usage.seconds
    if not tests:
        verdict.how = "unseen"
        return verdict
    named = usage.named(mutant)
    first = usage.noticed[mutant.path] | (named if len(named) < len(users) else set())
    chosen = within(mutant.path, tests, usage.shared_s, first, budget_s)
    verdict.left = len(tests) - len(chosen)
    for part in parts(chosen):
        answer = ask(task(mutant, source, part, bare=bare))
        verdict.ran += [item["test"] for item in answer["ended"]]
        if (killer := _killer(answer, part)) is not None:
            verdict.how, (verdict.killer, verdict.why) = "killed", killer
            usage.noticed[mutant.path].add(verdict.killer)
            break
    return verdict


def _killer(answer: dict[str, Any], part: dict[str, float]) -> tuple[str, str] | None:
    """What noticed the mutant, and what it says. That pytest complains after all have passed is no sign of it: a few
    tests by themselves leave connections to the garbage collector that others would have closed."""
    for item in answer["ended"]:
        if item["outcome"] == "failed":
            return item["test"], item["why"]
    if answer["code"] is None:
        return TOO_LONG, ""
    # With -x, what cannot be imported ends with the code of a failed test, and without one.
    whole = answer["code"] in (0, NOTHING_CHOSEN) or len(answer["ended"]) == len(part)
    return None if whole else ("nothing runs", answer["log"][-300:])


def within(
    path: str, tests: dict[str, float], shared_s: dict[str, float], first: Collection[str], budget_s: float
) -> dict[str, float]:
    """As many as take no longer than the budget together, quickest first; one at least.

    Those of the changed file's own room, or with its or the room's name, count as KIN times as quick: they look at what
    others pass through. So do those of `first`, who have noticed another change of the file, or execute what others
    import. Later cases of a test count as slower, by the logarithm of how many came before: many look at the same, and
    the last of a long table may be the only one of its kind. The first of a file that is chosen pays for the fixtures
    that its tests share. A part of the budget is kept for those of the room, be there thousands of quicker ones.
    """
    room, name = path.split("/", maxsplit=1)[0], Path(path).stem
    chosen: dict[str, float] = {}
    paid: set[str] = set()
    cases = Counter[str]()
    case = {test: _counted(cases, test.partition("[")[0]) for test in sorted(tests, key=lambda test: tests[test])}

    def is_kin(test: str) -> bool:
        stem = Path(_file(test)).stem
        return test.startswith(f"tests/{room}/") or name in stem or stem == f"test_{room}"

    def rank(test: str) -> float:
        quick = (KIN if is_kin(test) else 1.0) * (KIN if test in first else 1.0)
        return (tests[test] + shared_s[_file(test)]) * (1 + math.log(case[test])) / quick

    ranked = sorted(tests, key=rank)
    for most_s, candidates in ((budget_s * KINS_PART, [*filter(is_kin, ranked)]), (budget_s, ranked)):
        for test in candidates:
            cost = tests[test] + (0.0 if _file(test) in paid else shared_s[_file(test)])
            alone = not chosen and candidates is ranked
            if test not in chosen and (sum(chosen.values()) + cost <= most_s or alone):
                chosen[test] = cost
                paid.add(_file(test))
    return {test: chosen[test] for test in ranked if test in chosen}


def _counted(found: Counter[str], name: str) -> int:
    found[name] += 1
    return found[name]


def _file(test: str) -> str:
    return test.split("::", maxsplit=1)[0]


def parts(tests: dict[str, float]) -> Iterable[dict[str, float]]:
    """A quick part of few files first, then the rest."""
    first: dict[str, float] = {}
    for name, seconds in tests.items():
        seen = {_file(item) for item in [*first, name]}
        if len(seen) <= FIRST_FILES and sum(first.values()) + seconds <= FIRST_S:
            first[name] = seconds
    yield from filter(None, (first, {name: tests[name] for name in tests if name not in first}))


def task(mutant: Mutant, source: str, tests: dict[str, float], *, bare: bool) -> dict[str, Any]:
    spare_s = SPARE_S + (FILLING_S if bare else 0.0)
    return {
        "path": mutant.path,
        "before": source,
        "source": mutant.applied(source),
        "files": list(dict.fromkeys(map(_file, tests))),
        "usual": tests,
        "bare": bare,
        "spare_s": spare_s,
        "limit_s": 2 * spare_s + 5 * sum(tests.values()),
    }
