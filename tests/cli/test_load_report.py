"""What a load says it came to, to the last word: for programs, and for people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.load import report
from cli.load.drive import Plan
from cli.load.histogram import Histogram
from cli.load.model import BATCH, ROWS_IN_FILE, Model
from cli.load.picture import svg
from cli.load.record import MOMENTS, Record
from cli.load.report import document, tell

PLAN = Plan(rate=20.0, seconds=60.0, warm_up_s=5.0, mix={"inline": 1.0}, obey=False)
MODEL = Model("m", "1.0.0", {"x": 1})
NOTHING = {"p50": None, "p99": None, "p99_9": None, "max": None}


def filled() -> Record:
    """Of two routes, in and after the warm-up."""
    record = Record(PLAN.warm_up_s, PLAN.seconds)
    for due_s, sent_s in ((4.9, 9.0), (5.0, 5.25), (64.9, 64.0), (20.0, 20.0)):
        record.left(due_s, sent_s)
    record.answered("inline", 4.0, 5.0, None, expected=False)
    record.answered("inline", 4.0, 5.0, "WARM", expected=False)
    record.answered("inline", 5.0, 7.0, None, expected=False)
    record.answered("inline", 64.9, 65.4, None, expected=False)
    record.answered("inline", 65.0, 66.0, "UNAVAILABLE", expected=False)
    record.answered("inline", 7.0, 8.0, "RATE_LIMITED", expected=True)
    record.answered("batch", 35.0, 35.125, None, expected=False)
    for _ in range(5):
        record.accepted()
    for how in ("done", "done", "failed", "lost"):
        record.ended(how)
    record.not_sent(3)
    return record


def test_what_is_drawn_of_it_is_kept_to_the_last_figure() -> None:
    """`UPDATE_PICTURE=1 ./run test tests/cli/test_load_report.py` draws it anew: look at it."""
    kept, drawn = Path(__file__).parent / "load.svg", svg(document(PLAN, MODEL, filled()))
    if os.environ.get("UPDATE_PICTURE"):
        kept.write_text(drawn)
    assert drawn == kept.read_text()


def test_all_that_was_recorded_is_told_to_programs() -> None:
    said = document(PLAN, MODEL, filled())
    moments = {place: found for place, found in enumerate(said.pop("moments")) if found != NOTHING}
    assert said == {
        "model": "m", "model_version": "1.0.0", "seconds": 60.0, "lasted_s": 60.0, "asked_per_s": 20.0,
        "sent_per_s": 0.1, "lag_p99_ms": 250.0, "late": True, "unsent": 3,
        "routes": [
            {"route": "batch", "sent": 1, "ok": 1, "refused": 0, **dict.fromkeys(NOTHING, 125.0)},
            {"route": "inline", "sent": 4, "ok": 2, "refused": 1, **dict.fromkeys(NOTHING, 2000.0),
             "p50": pytest.approx(1000.0, rel=0.02)},
        ],
        "errors": [
            {"route": "inline", "code": "RATE_LIMITED", "expected": True, "count": 1},
            {"route": "inline", "code": "UNAVAILABLE", "expected": False, "count": 1},
            {"route": "inline", "code": "WARM", "expected": False, "count": 1},
        ],
        "tickets": {"accepted": 5, "done": 2, "failed": 1, "lost": 1, "open": 1},
        "good": False,
    }  # fmt: skip
    # A second each; what was due with the end belongs to the last.
    assert moments.keys() == {0, 30, MOMENTS - 1}
    assert (moments[0]["max"], moments[30]["max"], moments[MOMENTS - 1]["max"]) == (2000.0, 125.0, 1000.0)


@pytest.mark.parametrize(
    ("at_s", "lasted_s", "sent_per_s"), [(4.0, 0.0, 0.0), (5.0, 0.0, 0.0), (6.26, 1.3, 2.4), (90.0, 60.0, 0.1)]
)
def test_how_many_were_sent_a_second_is_of_the_time_until_it_was_stopped(
    at_s: float, lasted_s: float, sent_per_s: float
) -> None:
    record = filled()
    record.stop(at_s)
    said = document(PLAN, MODEL, record)
    assert (said["seconds"], said["lasted_s"], said["sent_per_s"]) == (60.0, lasted_s, sent_per_s)


def test_a_load_that_was_stopped_is_not_good() -> None:
    record = Record(0.0, 60.0)
    assert record.good
    record.stop(10.0)
    assert not record.good


def test_of_a_load_of_which_nothing_was_sent_nothing_is_made_up() -> None:
    said = document(PLAN, MODEL, Record(5.0, 60.0))
    assert (said["lag_p99_ms"], said["late"], said["routes"], said["good"]) == (None, False, [], True)
    assert said["moments"] == [NOTHING] * MOMENTS == [NOTHING] * 60


@pytest.mark.parametrize(("lag_s", "late"), [(0.0999, False), (0.1, False), (0.101, True)])
def test_a_load_is_late_when_one_of_a_hundred_left_later_than_a_tenth_of_a_second(lag_s: float, late: bool) -> None:
    record = Record(0.0, 1.0)
    record.left(0.0, lag_s)
    assert document(PLAN, MODEL, record)["late"] is late


@pytest.mark.parametrize("wrong", [{"lost": 1}, {"failed": 1}, {"accepted": 1}])
def test_a_load_is_good_only_if_every_ticket_ended_well(wrong: Mapping[str, int]) -> None:
    record = Record(0.0, 1.0)
    record.accepted()
    record.ended("done")
    record.answered("inline", 0.5, 0.6, "RATE_LIMITED", expected=True)
    assert record.good
    for name, count in wrong.items():
        setattr(record.tickets, name, getattr(record.tickets, name) + count)
    assert not record.good


TOLD = """\
route   sent  ok  refused  p50 ms   p99 ms   p99.9 ms  max ms
batch   1     1   0        125.0    125.0    125.0     125.0
inline  4     2   1        1,000.0  2,000.0  2,000.0   2,000.0

route   error         count  refusal
inline  RATE_LIMITED  1      yes
inline  UNAVAILABLE   1
inline  WARM          1

tickets: accepted 5, done 2, failed 1, lost 1, open 1
m 1.0.0: 0.1 of 20 requests a second were sent
"""


def test_the_same_is_told_to_people(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    said: dict[str, Any] = document(PLAN, MODEL, filled())
    said["routes"][1]["p50"] = 1000.0
    tell(said)
    out, err = capfd.readouterr()
    assert "\n".join(line.rstrip() for line in out.splitlines()) + "\n" == TOLD
    late = (
        "Late: one request of a hundred left 250.0 ms or more after it was due, and 3 requests not answered or sent. "
    )
    all_senders = "All 256 senders waited for answers, or this machine can do no more; latencies include that"
    assert " ".join(err.split()) == late + all_senders
    tell({**said, "late": False, "errors": [], "tickets": {"accepted": 1234}})
    out, err = capfd.readouterr()
    assert (err, "error" in out, "tickets: accepted 1,234\n" in out) == ("", False, True)
    tell({**said, "unsent": 0})
    assert "after it was due. All" in " ".join(capfd.readouterr().err.split())


def test_a_percentile_is_rounded_up_by_at_most_a_fiftieth_and_never_beyond_the_longest() -> None:
    found = Histogram()
    assert found.percentile(50) is None
    for number in range(1, 1001):
        found.add(number / 1000)
    for percent in (0.1, 1, 50, 99, 99.9, 100):
        exact = percent / 100
        assert exact <= (found.percentile(percent) or 0.0) * (1 + 1e-9) <= min(exact * 1.021, 1.0 + 1e-6)
    assert (found.count, found.most_s) == (1000, 1.0)
    least = Histogram()
    least.add(0.0)
    assert (least.percentile(99), least.count) == (0.0, 1)


def test_what_is_sent_is_the_example_alone_in_a_batch_and_in_a_file() -> None:
    asked = {"model": "m", "model_version": "1.0.0"}
    assert MODEL.one == {**asked, "inputs": {"x": 1}}
    assert MODEL.several == {**asked, "inputs": [{"x": 1}] * BATCH}
    assert MODEL.rows == b'{"x": 1}\n' * ROWS_IN_FILE
    assert (BATCH, ROWS_IN_FILE, report.PERCENTILES) == (8, 50, {"p50": 50.0, "p99": 99.0, "p99_9": 99.9})
