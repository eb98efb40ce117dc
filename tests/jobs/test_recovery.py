from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import pytest
import sqlalchemy.exc

from core import errors, metrics
from inference.bundle import Bundle
from inference.model import Model
from inference.output import Label
from jobs import lease, queries, rescue, settle
from jobs.job import Claimed
from jobs.kinds import predict
from jobs.lease import Held, Leases
from tests.conftest import Platform, until
from tests.hands import clean_up, complete, lose, status_of, took

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]
COPIED = """tenant_id, kind, batches, pool, model, version,
  lane, expires_at, max_attempts, timeout_s, inputs, options, metadata,
  request_id"""


def lost_count(platform: Platform, job_id: UUID) -> object:
    return platform.one("SELECT lost_count FROM jobs WHERE id = :id", id=job_id)[0]


def test_a_dead_childs_jobs_are_due_again_at_once_and_nobody_elses(platform: Platform, new_job: NewJob) -> None:
    mine = new_job()
    took(platform, wake_id="died")
    others = new_job()
    took(platform, wake_id="alive")
    assert rescue.child_died(platform.engine, "died", max_losses=3) == 1
    assert (status_of(platform, mine), status_of(platform, others)) == ("pending", "processing")
    assert [job.id for job in took(platform)] == [mine]


def test_a_restarted_node_takes_back_what_its_earlier_self_held(platform: Platform, new_job: NewJob) -> None:
    before = new_job()
    took(platform, worker="cpu@a/first/1")
    now = new_job()
    took(platform, worker="cpu@a/second/2")
    elsewhere = new_job()
    took(platform, worker="cpu@ab/first/1")
    assert rescue.node_born_again(platform.engine, "cpu@a/second", max_losses=3) == 1
    found = [status_of(platform, job) for job in (before, now, elsewhere)]
    assert found == ["pending", "processing", "processing"]


def test_losses_are_counted_by_how_they_were_found(platform: Platform, new_job: NewJob) -> None:
    def counted() -> list[float]:
        return [metrics.LOST.labels(way)._value.get() for way in ("lease", "parent", "restart")]

    before = counted()
    new_job(max_attempts=9)
    ways: list[Callable[[], int]] = [
        lambda: rescue.lease_over(platform.engine, max_losses=9),
        lambda: rescue.child_died(platform.engine, "wake-1", max_losses=9),
        lambda: rescue.node_born_again(platform.engine, "node/again", max_losses=9),
    ]
    for take_back in ways:
        took(platform)
        platform.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s'")
        assert take_back() == 1
        platform.execute("UPDATE jobs SET not_before = now()")
    assert [after - once for after, once in zip(counted(), before, strict=True)] == [1, 1, 1]


def test_a_job_given_back_is_charged_neither_an_attempt_nor_a_loss(platform: Platform, new_job: NewJob) -> None:
    job = new_job(max_attempts=1)
    for _ in range(3):
        (held,) = took(platform)
        assert settle.give_back(platform.engine, [held])
    (held,) = took(platform)
    assert settle.fail(platform.engine, held, errors.ModelUnavailable())
    assert (status_of(platform, job), lost_count(platform, job)) == ("failed", 0)


def test_a_job_past_its_expiry_ends_even_while_it_runs(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    held = took(platform)
    platform.execute("UPDATE jobs SET expires_at = now()")
    assert clean_up(platform)["expire"] == 1
    assert complete(platform, held) == set()
    assert status_of(platform, job) == "expired"


def test_a_retry_that_could_only_come_too_late_is_a_failure(platform: Platform, new_job: NewJob) -> None:
    job = new_job(ttl_s=1)
    (held,) = took(platform)
    platform.execute("UPDATE jobs SET expires_at = now()")
    settle.fail(platform.engine, held, errors.ModelUnavailable())
    assert status_of(platform, job) == "failed"


def test_a_completed_job_shows_no_error_of_an_earlier_attempt(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    took(platform)
    lose(platform)
    complete(platform, took(platform))
    assert platform.one("SELECT error FROM jobs WHERE id = :id", id=job) == (None,)


def test_a_cancel_that_the_worker_never_heard_of_is_honoured_when_the_worker_is_lost(
    platform: Platform, new_job: NewJob
) -> None:
    job = new_job()
    took(platform)
    tenant = UUID(str(platform.one("SELECT tenant_id FROM jobs")[0]))
    assert queries.cancel(platform.engine, tenant, job).cancel_requested
    lose(platform)
    assert status_of(platform, job) == "canceled"


@pytest.mark.parametrize("fields", ["status = 'processing', lease_expires_at = now()", "attempt = 1", "progress = 5"])
def test_no_job_is_born_in_the_middle_of_its_life(platform: Platform, new_job: NewJob, fields: str) -> None:
    new_job()
    pairs = [part.split(" = ") for part in fields.split(", ")]
    names, values = (", ".join(column) for column in zip(*pairs, strict=True))
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="a new job is pending"):
        platform.execute(
            f"INSERT INTO jobs ({COPIED}, id, {names}) SELECT {COPIED}, gen_random_uuid(), {values} FROM jobs"
        )


class Slow:
    """A model that takes as long as its rows say, and lets itself be interrupted, as ONNX Runtime does."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def each(self, rows: list[dict[str, float]], interrupt: object) -> list[Label]:
        ends_at = time.monotonic() + sum(row["takes_s"] for row in rows)
        while time.monotonic() < ends_at:
            if interrupt.is_set:  # type: ignore[attr-defined]
                raise errors.ModelInterrupted
            time.sleep(0.005)
        return [Label("done", 1.0, {})] * len(rows)


def hold(number: int, timeout_s: int, inputs: object) -> Held:
    return Held(Claimed(UUID(int=number), UUID(int=0), "predict", 1, 4, "m", "1", timeout_s, inputs, {}, "req"))


def ticking(platform: Platform, held: list[Held], *, stopping: bool = False) -> Leases:
    leases = Leases(
        platform.engine,
        lease_s=60,
        heartbeat_s=30,
        grace_s=0.3,
        asked_to_stop=lambda: stopping,
    )
    leases._held = {item.job.id: item for item in held}
    leases.start()
    return leases


def test_a_job_over_its_time_is_ended_alone_and_its_neighbours_are_not(platform: Platform, new_job: NewJob) -> None:
    model = Slow(platform.shelf.open(platform.catalog.resolve("tumor", None)).bundle)
    for takes_s in (0.1, 30, 0.2):
        new_job(inputs={"takes_s": takes_s}, timeout_s=3)
    held = [Held(job) for job in took(platform)]
    leases = ticking(platform, held)
    outcomes = predict.run(model, held)  # type: ignore[arg-type]
    leases.close()
    ends = {outcome.held.job.inputs["takes_s"]: outcome for outcome in outcomes}
    assert {takes_s: end.result is not None for takes_s, end in ends.items()} == {0.1: True, 30: False, 0.2: True}
    assert isinstance(ends[30].error, errors.TimedOut)


@pytest.mark.parametrize(
    ("inputs", "progress"), [({"takes_s": 0}, 0), ([{"takes_s": 0}], 0), ([{"takes_s": 0}] * 4, 74)]
)
def test_a_job_whose_last_input_was_answered_asks_for_no_heartbeat_of_its_own(
    platform: Platform, inputs: object, progress: int
) -> None:
    model = Slow(platform.shelf.open(platform.catalog.resolve("tumor", None)).bundle)
    held = hold(1, 300, inputs)
    (outcome,) = predict.run(model, [held])  # type: ignore[arg-type]
    assert outcome.result is not None
    assert held.progress == progress


def test_when_the_grace_is_over_a_long_run_is_interrupted_and_is_no_failure(platform: Platform) -> None:
    model = Slow(platform.shelf.open(platform.catalog.resolve("tumor", None)).bundle)
    held = [hold(1, 300, {"takes_s": 30})]
    leases = ticking(platform, held, stopping=True)
    (outcome,) = predict.run(model, held)  # type: ignore[arg-type]
    leases.close()
    assert (outcome.result, outcome.error, outcome.held.given_back) == (None, None, True)
    assert not leases.may_claim


def test_a_real_onnx_run_ends_when_it_is_interrupted(platform: Platform) -> None:
    model = platform.shelf.open(platform.catalog.resolve("sentiment", "2.1.0"))
    assert isinstance(model, Model)
    row = {"text": "not bad at all " * 60, "language": "en", "confidence_threshold": 0.0}
    held = hold(1, 1, [row] * 4000)
    leases = ticking(platform, [held])
    started = time.monotonic()
    (outcome,) = predict.run(model, [held])
    leases.close()
    assert isinstance(outcome.error, errors.TimedOut)
    assert time.monotonic() - started < 20


def test_progress_is_told_and_a_cancel_seen_long_before_the_heartbeat_is_due(
    platform: Platform, new_job: NewJob, quiet: None
) -> None:
    job_id = new_job()
    leases = ticking(platform, [])
    (held,) = leases.hold(took(platform))
    held.advance(0.5)
    until(lambda: platform.one("SELECT progress FROM jobs WHERE id = :id", id=job_id)[0] == 49)
    platform.execute("UPDATE jobs SET cancel_requested_at = now() WHERE id = :id", id=job_id)
    held.advance(0.6)
    until(lambda: held.canceled)
    leases.close()


@pytest.mark.parametrize(("fraction", "told"), [(-0.2, 0), (0.0, 0), (1.0, 99), (1.2, 99), (float("inf"), 99)])
def test_progress_that_a_kind_s_own_code_does_not_count_as_it_should_stays_what_can_be_told(
    platform: Platform, new_job: NewJob, fraction: float, told: int
) -> None:
    new_job()
    (held,) = map(Held, took(platform))
    held.advance(fraction)
    assert held.progress == told


class Clock:
    """A clock that goes on while it is waited for, and ends the wait of a thread that looks at it."""

    def __init__(self, ends_at: float) -> None:
        self._now, self._ends_at = 0.0, ends_at

    def monotonic(self) -> float:
        return self._now

    def wait(self, seconds: float) -> bool:
        self._now += seconds
        return self._now > self._ends_at


@pytest.mark.parametrize(
    ("heartbeat_s", "news_at", "beats"),
    [
        (5.0, [], [5.0, 10.0]),
        (5.0, [2.5], [2.75, 7.75]),
        (5.0, [0.3], [1.0, 6.0, 11.0]),
        (5.0, [0.3, 1.1, 1.2], [1.0, 2.0, 7.0]),
        (0.5, [], [at / 2 for at in range(1, 23)]),
        (0.125, [], [at / 8 for at in range(1, 92)]),
    ],
)
def test_a_heartbeat_is_sent_when_it_is_due_or_when_there_is_news_but_for_news_once_a_second_at_most(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, heartbeat_s: float, news_at: list[float], beats: list[float]
) -> None:
    clock, sent = Clock(11.4), []
    monkeypatch.setattr(lease, "time", clock)
    monkeypatch.setattr(lease, "TICK_S", 0.25)
    leases = Leases(
        platform.engine, lease_s=60, heartbeat_s=heartbeat_s, grace_s=1, asked_to_stop=lambda: False
    )  # fmt: skip
    leases._closing = clock  # type: ignore[assignment]
    (held,) = leases.hold([hold(1, 300, {}).job])

    def tick() -> None:
        held.progress = sum(at <= clock.monotonic() for at in news_at)

    def beat() -> None:
        sent.append(clock.monotonic())
        held.told = held.progress

    monkeypatch.setattr(leases, "tick", tick)
    monkeypatch.setattr(leases, "beat", beat)
    leases.run()
    assert sent == beats


def test_leases_that_are_closed_renew_nothing_any_more(platform: Platform) -> None:
    leases = ticking(platform, [])
    leases.close()
    leases.join(60)
    assert not leases.is_alive()
