"""What counts in a canary's trial, and what it comes to: without a database."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from typing import Any

import pytest

from registry.judging.evidence import Evidence
from registry.judging.trial import ERRORS, SETTLES, SLOW, Bad, Seen, Sums, Trial, worst
from registry.routes import By, Judge, Unit

SINCE = dt.datetime(2027, 1, 31, tzinfo=dt.UTC)
LATER = SINCE + dt.timedelta(days=1)
TRIAL = Trial("m", "next", 0.5, SINCE, Judge(), By.REQUEST, Sums())


def seen(route: str = "stable", unit: str = "r", at: dt.datetime = LATER, **how: Any) -> Seen:
    return Seen(route, Unit(unit, f"caller of {unit}"), at, **how)


def test_its_own_requests_and_the_stable_versions_count_once_its_share_has_settled() -> None:
    assert dt.timedelta(seconds=2) == SETTLES, "what is committed holds everywhere within one"
    settled = SINCE + SETTLES
    late = settled + dt.timedelta(microseconds=1)
    mine, stable = seen("canary next", at=late), seen("stable", at=late)
    others = [seen(route) for route in ("canary other", "canary", "pinned", "experiment next", "next")]
    early = [seen(route, at=settled) for route in ("stable", "canary next")]
    assert TRIAL.counting([mine, *others, *early, stable]) == [mine, stable]


def test_faults_are_the_versions_own_and_slow_is_slower_than_it_was_found_to_be() -> None:
    trial = dataclasses.replace(TRIAL, sums=Sums(slow_s=0.5))
    found = [
        seen("canary next", code="MODEL_ERROR"), seen(code="TIMED_OUT"), seen(code="WORKER_LOST"),
        seen(code="BUNDLE_INVALID"), seen(code="INVALID_INPUT"), seen(run_s=0.5), seen(run_s=0.51),
        seen("canary next", run_s=0.6, code="MODEL_ERROR"),
    ]  # fmt: skip
    told = [(item.metric, item.canary, item.at) for item in trial.bad(found)]
    assert told == [
        (ERRORS, True, LATER), (ERRORS, False, LATER), (ERRORS, False, LATER), (ERRORS, False, LATER),
        (SLOW, False, LATER), (ERRORS, True, LATER), (SLOW, True, LATER),
    ]  # fmt: skip
    assert [item.metric for item in TRIAL.bad(found)] == [ERRORS] * 5, "nothing is slow before it is known what is"


@pytest.mark.parametrize("by", By)
def test_a_unit_is_the_request_or_its_caller(by: By) -> None:
    trial = dataclasses.replace(TRIAL, by=by)
    one, again, other = (trial.bad([seen(unit=unit, code="MODEL_ERROR")])[0].unit for unit in ("a", "a", "b"))
    assert one == again != other
    assert len(one) == 8
    same = [
        trial.bad([Seen("stable", unit, LATER, code="MODEL_ERROR")])[0].unit
        for unit in (Unit("x", "caller"), Unit("y", "caller"))
    ]
    assert (same[0] == same[1]) is (by is By.CALLER)


@pytest.mark.parametrize(("share", "counts"), [(0.0, 0), (0.01, 1), (0.5, 1), (0.99, 1), (1.0, 0)])
def test_what_has_all_or_nothing_is_compared_with_nothing(share: float, counts: int) -> None:
    bad = [Bad(ERRORS, b"u", True, LATER)]
    after = dataclasses.replace(TRIAL, share=share).after([seen("canary next")], bad).sums
    assert (after.canary, after.stable, after.step) == (1, 0, 1)
    assert (after.metrics[ERRORS].canary, after.metrics[SLOW]) == (counts, Evidence())


def test_the_first_and_the_last_bad_moment_are_kept() -> None:
    moments = [LATER + dt.timedelta(seconds=seconds) for seconds in (5, 3, 9)]
    trial = TRIAL.after([], [])
    assert (trial.sums.first_at, trial.sums.last_at) == (None, None)
    trial = trial.after([], [Bad(SLOW, b"u", False, at) for at in moments])
    assert (trial.sums.first_at, trial.sums.last_at) == (moments[1].isoformat(), moments[2].isoformat())
    assert trial.after([], []).sums == trial.sums
    latest = LATER + dt.timedelta(seconds=20)
    more = trial.after([seen(), seen("canary next")], [Bad(SLOW, b"v", False, latest)]).sums
    assert (more.first_at, more.last_at) == (moments[1].isoformat(), latest.isoformat())
    assert (more.canary, more.stable, more.step) == (1, 1, 1)


def test_where_slow_begins_is_found_once_from_the_stable_versions_own_runs() -> None:
    runs = [seen(run_s=number / 1000) for number in range(600)]
    rest = [seen("canary next", run_s=9), seen(code="MODEL_ERROR", run_s=9), seen()]
    some = TRIAL.after([*rest, *runs[:499]], [])
    assert (some.sums.slow_s, len(some.sums.sample)) == (None, 499)
    all_ = some.after(runs[499:], [])
    assert (all_.sums.slow_s, all_.sums.sample) == (0.474, ())
    assert all_.after([seen(run_s=5)] * 600, []).sums.slow_s == 0.474


def test_evidence_is_told_so_that_anybody_can_check_it() -> None:
    judge = Judge(tolerance=1.5, level=0.02)
    bad = [Bad(ERRORS, b"u", True, LATER)] * 3 + [Bad(ERRORS, b"u", False, LATER)]
    after = dataclasses.replace(TRIAL, judge=judge, share=0.25).after([seen(), seen(), seen("canary next")], bad)
    errors = after.sums.metrics[ERRORS]
    needs = errors.needs(3, share=0.25, tolerance=1.5, level=0.01)
    assert after.told() == {
        "share": 0.25, "tolerance": 1.5, "level": 0.02, "threshold": 100.0, "exposed": {"canary": 1, "stable": 2},
        "metrics": {
            "errors": {"canary": 3, "stable": 1, "e": float(f"{math.exp(errors.log_e):.4g}"), "needs": needs},
            "slow": {"canary": 0, "stable": 0, "e": 1.0, "needs": None},
        },
        "slow_s": None, "first_at": LATER.isoformat(), "last_at": LATER.isoformat(),
    }  # fmt: skip
    assert needs > 0
    huge = dataclasses.replace(after, sums=Sums(metrics={ERRORS: Evidence(9, 0, (800.0,) * len(errors.sums))}))
    assert huge.told()["metrics"]["errors"]["e"] == float(f"{math.exp(700):.4g}")


def test_a_canary_is_worse_from_its_part_of_the_level_on_and_leans_so_before() -> None:
    def of(log_e: float) -> tuple[bool, bool]:
        sums = Sums(metrics={ERRORS: Evidence(), SLOW: Evidence(1, 0, (log_e,) * len(Evidence().sums))})
        trial = dataclasses.replace(TRIAL, sums=sums)
        return trial.worse, trial.leans_worse

    most = math.log(2 / 0.01)
    assert [of(log_e) for log_e in (-1.0, 0.0, 0.1, most - 0.001, most + 0.001)] == [
        (False, False), (False, False), (False, True), (False, True), (True, True)
    ]  # fmt: skip


def test_what_is_stored_is_read_as_it_was() -> None:
    after = TRIAL.after([seen(run_s=1.0)], [Bad(ERRORS, b"u", True, LATER)]).sums
    assert Sums.of(dataclasses.asdict(after)) == after
    assert Sums.of({}) == Sums()


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ([], None),
        (["INPUT_REFUSED", "MODEL_ERROR"], "MODEL_ERROR"),
        (["INPUT_REFUSED", "INVALID_INPUT"], "INPUT_REFUSED"),
        (["TIMED_OUT", "MODEL_ERROR"], "TIMED_OUT"),
    ],
)
def test_of_what_fails_in_a_list_the_versions_own_fault_is_told(codes: list[str], told: str | None) -> None:
    assert worst(codes) == told
