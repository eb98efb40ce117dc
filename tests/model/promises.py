"""What ARCHITECTURE.md promises of the core, of each step from one state to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from core import errors
from tests.model.moves import WRITES, Move
from tests.model.state import LIVE, Row, State
from tests.model.tables import CHUNKS, Events

MAX_LOSSES = 3


class Step(NamedTuple):
    before: State
    move: Move
    after: State  #: as it was read, not yet normal
    events: Events
    answer: Any

    @property
    def pairs(self) -> list[tuple[Row, Row]]:
        """Each job as it was and as it is."""
        return [
            (was.plain(), now.plain()) for was in self.before.rows for now in self.after.rows if now.name == was.name
        ]

    @property
    def changed(self) -> set[str]:
        return {was.name for was, now in self.pairs if was != now}

    @property
    def changed_nothing(self) -> bool:
        return not self.changed and not any(self.events.values()) and len(self.before.rows) == len(self.after.rows)


def breaches(step: Step) -> Iterator[str]:
    """Of any promise, in words."""
    names = Counter(row.name for row in step.after.rows)
    if twice := sorted(name for name, count in names.items() if count > 1):
        yield f"{', '.join(twice)}: there twice"
        return
    if lost := sorted({row.name for row in step.before.rows} - set(names)):
        yield f"{', '.join(lost)}: accepted, and gone"
        return
    for was, now in step.pairs:
        yield from _moved(was, now)
    for promise in (_touched, _answered, _born, _parked, _ended_with_their_parent):
        yield from promise(step)
    for row in step.after.rows:
        yield from _kept(row)
    of_kind = _OF_KIND.get(step.move.kind)
    for was, now in step.pairs:
        yield from _told(was, now, step.events[now.name])
        if of_kind and now.name in step.move.may and was != now:
            yield from of_kind(was, now)


def _touched(step: Step) -> Iterator[str]:
    """Nobody changes what is not theirs: not a zombie, not a sweep. What ends a bulk job ends its chunks."""
    ended = any(now.ended and not was.ended and not now.is_chunk for was, now in step.pairs)
    chunks = {row.name for row in step.before.rows if row.is_chunk} if ended else set()
    for name in sorted(step.changed - step.move.may - chunks):
        was, now = _said(step.before.row(name)), _said(step.after.row(name))
        yield f"{name}: changed by whom it did not belong to, from {was} to {now}"
    for name in sorted(step.move.must - step.changed):
        yield f"{name}: not changed by whom it belonged to"


def _answered(step: Step) -> Iterator[str]:
    """Who writes is told whether the job was still theirs; who asks, whether it can be had."""
    move, answer = step.move, step.answer
    if move.kind in WRITES or move.kind == "beat":
        for hand, ours in answer.items():
            if ours != step.before.owned(hand):
                yield f"{hand.job}: {hand.who} is told that it is {'' if ours else 'not '}its own"
    if move.kind == "claim" and move.may and not answer:
        yield "nothing is claimed, though something is due"
    if move.kind == "claim" and len(answer) > 1 and any(step.before.row(hand.job).lost for hand in answer):
        yield "what lost a worker before does not run alone"
    if move.kind == "ask":
        (name,) = move.may or {""}
        if isinstance(answer, errors.JobStateConflict) and name:
            yield f"{name}: cannot be canceled, though it has not ended"


def _born(step: Step) -> Iterator[str]:
    """Jobs are born by acceptance and, once, by the cut of a bulk job."""
    born = {row.name for row in step.after.rows} - {row.name for row in step.before.rows}
    parked = step.move.kind == "park" and any(now.parked and not was.parked for was, now in step.pairs)
    wanted = 1 if step.move.kind == "accept" else len(CHUNKS) if parked else 0
    if len(born) != wanted:
        yield f"{len(born)} jobs are born, and not {wanted}"
    for row in step.after.rows:
        if row.name in born and (row.status, row.attempt, row.progress, row.lost) != ("pending", 0, 0, 0):
            yield f"{row.name}: born in the middle of its life"


def _parked(step: Step) -> Iterator[str]:
    """A bulk job is parked once, while its chunks run, and pending once more when the last of them has ended."""
    running = any(not row.ended for row in step.after.chunks)
    for was, now in step.pairs:
        if now.parked and (now.worker or now.wake):
            yield f"{now.name}: parked, and held by a worker"
        if now.parked and not was.parked and step.before.chunks:
            yield f"{now.name}: parked a second time"
        if was.parked and now.status == "pending" and running:
            yield f"{now.name}: pending again while a chunk runs"
        if was.parked and not now.parked and now.status == "processing":
            yield f"{now.name}: no longer parked, and nobody claimed it"
        if now.status == "completed" and not was.ended and not now.is_chunk and running:
            yield f"{now.name}: completed while a chunk runs"


def _ended_with_their_parent(step: Step) -> Iterator[str]:
    """No chunk outlives its parent but in the hands of a worker that will be told to stop."""
    if any(row.ended for row in step.after.rows if not row.is_chunk):
        for row in step.after.chunks:
            if not (row.ended or (row.status == "processing" and row.asked)):
                yield f"{row.name}: {row.status}, though its parent has ended"


def _moved(was: Row, now: Row) -> Iterator[str]:
    """The guard: only the moves that are drawn, nothing goes back, and what has ended stays as it ended."""
    if was.ended and now != was:
        yield f"{now.name}: had ended as {was.status}, and is {_said(now)}"
    if now.attempt < was.attempt or now.progress < was.progress or now.lost < was.lost or (was.asked and not now.asked):
        yield f"{now.name}: went back from {_said(was)} to {_said(now)}"
    if now.attempt != was.attempt + ((was.status, now.status) == ("pending", "processing")):
        yield f"{now.name}: attempt {now.attempt} follows {was.attempt} without a claim of its own"


def _told(was: Row, now: Row, events: list[str]) -> Iterator[str]:
    """The events tell what happened, each thing once; the terminal one is the last."""
    happened = []
    if now.status != was.status:
        happened = [now.status]
    elif now.asked and not was.asked:
        happened = ["cancel_requested"]
    elif now.progress != was.progress:
        happened = ["progress"]
    if events != happened:
        yield f"{now.name}: its events say {events}, and not {happened}"


def _kept(row: Row) -> Iterator[str]:
    """What holds of a job at any time."""
    if row.ends != int(row.ended):
        yield f"{row.name}: {row.status}, with {row.ends} terminal events"
    if row.told != int(row.ended and not row.is_chunk):
        yield f"{row.name}: {row.status}, and its receiver is told {row.told} times"
    completed = row.status == "completed"
    if (row.charged, row.result) != (int(completed), row.attempt if completed else None):
        yield f"{row.name}: {row.status} in attempt {row.attempt}, charged {row.charged} times, result of {row.result}"
    if completed and (row.error or row.progress != 100):
        yield f"{row.name}: completed, with an error or at {row.progress} %"
    if row.lost > MAX_LOSSES or row.left < 0:
        yield f"{row.name}: {row.lost} losses, {row.left} attempts left"
    if row.asked and (row.parked or row.status == "pending"):
        yield f"{row.name}: {'parked' if row.parked else 'waits'}, though its tenant canceled it, and nobody will hear"


def _claimed(was: Row, now: Row) -> Iterator[str]:
    if now.status != "processing" or now.lease != LIVE or not (now.worker and now.wake):
        yield f"{now.name}: claimed, and {_said(now)}"


def _beaten(was: Row, now: Row) -> Iterator[str]:
    if now._replace(progress=0) != was._replace(lease=LIVE, progress=0):
        yield f"{now.name}: a heartbeat makes it {_said(now)}"


def _rescued(was: Row, now: Row) -> Iterator[str]:
    """One loss more; three, or the last attempt, end it."""
    last = now.lost == MAX_LOSSES or was.left == 0
    left = 0 if now.ended else was.left
    wanted = "canceled" if was.asked else "expired" if was.expired else "failed" if last else "pending"
    if (now.lost, now.left, now.status) != (was.lost + 1, left, wanted):
        yield f"{now.name}: taken back as {_said(now)}, and not {wanted} with one loss more"


def _uncharged(was: Row, now: Row) -> Iterator[str]:
    wanted = "canceled" if was.asked else "pending"
    left = 0 if now.ended else was.left + 1
    if (now.status, now.left, now.lost) != (wanted, left, was.lost):
        yield f"{now.name}: given back as {_said(now)}, and not {wanted} without a charge"


def _retried(was: Row, now: Row) -> Iterator[str]:
    wanted = "failed" if not was.left else "canceled" if was.asked else "failed" if was.expired else "pending"
    if now.status != wanted or now.left not in (0, was.left) or now.lost != was.lost:
        yield f"{now.name}: failed for now, and {_said(now)}"


def _advanced(was: Row, now: Row) -> Iterator[str]:
    if now.status == "pending" and now.left != was.left + 1:
        yield f"{now.name}: its merge is charged an attempt"


def _asked(was: Row, now: Row) -> Iterator[str]:
    at_once = was.status == "pending" or was.parked
    if not now.asked or now.status != ("canceled" if at_once else was.status):
        yield f"{now.name}: canceled by its tenant when it was {_said(was)}, and {_said(now)}"


def _becomes(*wanted: str) -> Any:
    def check(was: Row, now: Row) -> Iterator[str]:
        if now.status not in wanted:
            yield f"{now.name}: {_said(now)}, and not {' or '.join(wanted)}"

    return check


_OF_KIND = {
    "claim": _claimed,
    "beat": _beaten,
    "rescue": _rescued,
    "expire": _becomes("expired"),
    "advance": _advanced,
    "ask": _asked,
    "complete": _becomes("completed"),
    "fail": _becomes("failed"),
    "retry": _retried,
    "put_off": _uncharged,
    "give_back": _uncharged,
    "cancel": _becomes("canceled"),
    "park": _becomes("processing", "canceled"),
}


def _said(row: Row) -> str:
    what = "parked" if row.parked else row.status
    return f"{what} (attempt {row.attempt}, {row.progress} %)"
