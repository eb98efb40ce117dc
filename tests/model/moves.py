"""What the product may do in a state, whoever comes first: each a call of its own functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy

from core import errors
from jobs import chores, claim, queries, rescue, settle
from jobs.bulk import progress
from jobs.job import Status
from jobs.lease import Leases
from tests.hands import SAID
from tests.model.state import ENDLESS, OVER, ZOMBIE, Hand, Row, State, Worker
from tests.model.tables import BULK, LEASE_S, PLAN, Tables

Hands = tuple[Hand, ...]


class Move(NamedTuple):
    """`do` gives the hands afterwards and what it was told; `may` names the jobs that it may change, besides the chunks
    of one that it ends, `must` those that it has to."""

    kind: str
    say: str
    do: Callable[[], tuple[Hands, Any]]
    may: frozenset[str]
    must: frozenset[str] = frozenset()
    hands: Hands = ()
    faults: int = 0


def of(tables: Tables, state: State) -> Iterator[Move]:
    """Every one, from whoever could make it."""
    engine: Any = tables
    for name in tables.world.jobs[len([row for row in state.rows if not row.is_chunk]) :][:1]:
        yield _accept(tables, state, name)
    for worker in state.workers:
        yield from _of_worker(tables, engine, state, worker)
    for hand in state.hands:
        yield from _settles(tables, engine, state, hand)
        if hand.worker == ZOMBIE:
            yield _beat(tables, engine, state, (hand,))
    yield from _of_sweep(tables, engine, state)
    for row in state.rows:
        if not row.is_chunk and tables.world.cancels:
            yield _ask(tables, engine, state, row)


def _names(rows: Iterable[Row]) -> frozenset[str]:
    return frozenset(row.name for row in rows)


def _accept(tables: Tables, state: State, name: str) -> Move:
    def do() -> tuple[Hands, Any]:
        return state.hands, tables.submitter().submit(tables.new_job(name))

    return Move("accept", f"{name} is accepted", do, frozenset())


def _of_worker(tables: Tables, engine: Any, state: State, worker: Worker) -> Iterator[Move]:
    living = tuple(hand for hand in state.hands if hand.worker == worker.name and not hand.ghost)
    # Who is like A may come after A.
    alike = state.names_first is None
    if not any(map(state.owned, living)) and not (alike and worker is state.workers[1]):
        yield _claim(tables, engine, state, worker)
    if living:
        yield _beat(tables, engine, state, living)
    yield from _of_parent(tables, engine, state, worker)


def _claim(tables: Tables, engine: Any, state: State, worker: Worker) -> Move:
    def do() -> tuple[Hands, Any]:
        batch = claim.claim(engine, pool="cpu", worker=worker.full_name, wake_id=worker.wake, lease_s=LEASE_S)
        new = []
        for job in batch.jobs if batch else ():
            name = tables.name_of(job.id)
            merges = name == BULK and bool(progress.chunks(engine, job.id))
            new.append(Hand(worker.name, name, job.attempt, job.max_attempts - job.attempt, merges=merges))
        return (*state.hands, *new), new

    able = [row for row in state.rows if row.status == "pending" and row.due and not row.expired]
    return Move("claim", f"worker {worker.name} claims", do, _names(able))


def _beat(tables: Tables, engine: Any, state: State, mine: Hands) -> Move:
    def do() -> tuple[Hands, Any]:
        leases = Leases(engine, lease_s=LEASE_S, heartbeat_s=1, grace_s=1, asked_to_stop=lambda: False)
        held = leases.hold(map(tables.claimed, mine))
        for item in held:
            # An earlier attempt has come further than a later one.
            item.advance(0.0 if item.job.kind == "chunk" else 0.5 if item.job.attempt < item.job.max_attempts else 0.25)
        leases.beat()
        assert leases.may_claim, "the heartbeat failed"
        told = dict(zip(mine, held, strict=True))
        kept = [hand._replace(canceled=told[hand].canceled) if hand in told else hand for hand in state.hands]
        return tuple(kept), {hand: not item.lost for hand, item in told.items()}

    owned = _names(state.row(hand.job) for hand in mine if state.owned(hand))
    return Move("beat", f"{mine[0].who} sends a heartbeat", do, owned, hands=mine)


def _of_parent(tables: Tables, engine: Any, state: State, worker: Worker) -> Iterator[Move]:
    """What is taken back from the processes that came before this one."""
    running = [row for row in state.rows if row.worker and row.worker[0] == worker.name]
    dead = {str(row.wake) for row in running} - {worker.wake}
    if worker == state.workers[-1]:
        dead.add(f"{worker.name}0")  # which held nothing that anybody remembers
    for wake in sorted(dead):
        held = _names(row for row in running if row.wake == wake)
        do = functools.partial(rescue.child_died, engine, wake, max_losses=tables.max_losses)
        yield _sweeps(
            "rescue", f"the parent of worker {worker.name} takes back what a dead child held", state, do, held
        )
    incarnation = worker.full_name.rpartition("/")[0]
    before = _names(row for row in running if row.worker != worker.full_name)
    if before or dead:
        do = functools.partial(rescue.node_born_again, engine, incarnation, max_losses=tables.max_losses)
        say = f"node {worker.name}, born again, takes back what it held before"
        yield _sweeps("rescue", say, state, do, frozenset(before))


def _of_sweep(tables: Tables, engine: Any, state: State) -> Iterator[Move]:
    over = _names(row for row in state.rows if row.lease == OVER)
    do = functools.partial(rescue.lease_over, engine, max_losses=tables.max_losses)
    yield _sweeps("rescue", "the sweep takes back what nobody renewed", state, do, over)
    for status in (Status.PENDING, Status.PROCESSING):
        late = _names(row for row in state.rows if row.status == status and row.expired)
        do = functools.partial(chores.expire, engine, status)
        yield _sweeps("expire", f"the sweep ends what is {status} past its time", state, do, late)
    if BULK in tables.world.jobs:
        parked = _names(row for row in state.rows if row.lease == ENDLESS)
        look = functools.partial(progress.advance, engine)
        yield _sweeps("advance", "the sweep looks at the chunks", state, look, parked)._replace(must=frozenset())


def _sweeps(kind: str, say: str, state: State, do: Callable[[], Any], found: frozenset[str]) -> Move:
    return Move(kind, say, lambda: (state.hands, do()), found, found)


def _ask(tables: Tables, engine: Any, state: State, row: Row) -> Move:
    def do() -> tuple[Hands, Any]:
        try:
            return state.hands, queries.cancel(engine, tables.caller.tenant_id, tables.id_of(row.name))
        except errors.JobStateConflict as conflict:
            return state.hands, conflict

    found = frozenset() if row.ended or row.asked else frozenset({row.name})
    return Move("ask", f"its tenant cancels {row.name}", do, found, found)


#: How a worker ends an attempt → the words for it, and what it costs in faults.
WRITES = {
    "complete": ("completes", 0),
    "fail": ("fails", 0),
    "retry": ("fails for now", 0),
    "put_off": ("puts off", 1),
    "give_back": ("gives back", 1),
    "park": ("cuts and parks", 0),
    "cancel": ("cancels", 0),
}


def _settles(tables: Tables, engine: Any, state: State, hand: Hand) -> Iterator[Move]:
    if hand.unheard is not None:
        yield _settle(tables, engine, state, (hand,), hand.unheard, again=True)
        return
    zombie = hand.is_zombie(state.row(hand.job))
    verbs = ["complete", "fail", "retry", "put_off", "give_back"]
    if hand.job == BULK and not hand.merges:
        verbs[0] = "park"
    owned = state.owned(hand)
    for verb in list(WRITES) if zombie else ["cancel"] if hand.canceled else verbs:
        yield _settle(tables, engine, state, (hand,), verb, faults=WRITES[verb][1] if owned else 0)
        if owned and not hand.ghost:
            yield _settle(tables, engine, state, (hand,), verb, faults=WRITES[verb][1] + 1, unheard=True)
    batch = _batch(state, hand.worker)
    if len(batch) > 1 and hand == batch[0] and hand.worker != ZOMBIE:
        yield _settle(tables, engine, state, tuple(batch), "complete")


def _batch(state: State, worker: str) -> list[Hand]:
    """What a worker may complete at once, its own first; what is lost may be among it."""
    mine = [hand for hand in state.hands if hand.worker == worker and not (hand.canceled or hand.unheard)]
    held = {hand.job for hand in state.hands if hand.worker == worker}
    return mine + [hand for hand in state.hands if hand.worker == ZOMBIE and hand.job not in held]


def _settle(
    tables: Tables, engine: Any, state: State, hands: Hands, verb: str, *, faults: int = 0, unheard: bool = False,
    again: bool = False,
) -> Move:  # fmt: skip
    def do() -> tuple[Hands, Any]:
        ours = _write(engine, verb, [tables.claimed(hand) for hand in hands])
        # A zombie may write again and again.
        kept = [hand for hand in state.hands if hand not in hands or hand.is_zombie(state.row(hand.job))]
        if unheard:
            kept += [hand._replace(unheard=verb) for hand in hands]
        return tuple(kept), {hand: tables.id_of(hand.job) in ours for hand in hands}

    owned = _names(state.row(hand.job) for hand in hands if state.owned(hand))
    say = f"{hands[0].who} {WRITES[verb][0]} {' and '.join(hand.job for hand in hands)}"
    say += ", and does not hear of it" if unheard else " once more" if again else ""
    return Move(verb, say, do, owned, owned, hands, faults)


def _write(engine: sqlalchemy.Engine, verb: str, jobs: list[Any]) -> set[Any]:
    """Which of them were still ours."""
    if verb == "complete":
        return settle.complete(engine, [settle.Done(job, SAID, units=1) for job in jobs])
    (job,) = jobs
    ours = {
        "fail": lambda: settle.fail(engine, job, errors.ModelError()),
        "retry": lambda: settle.fail(engine, job, errors.OutOfMemory()),
        "put_off": lambda: settle.put_off(engine, job, errors.ModelUnavailable()),
        "give_back": lambda: bool(settle.give_back(engine, [job])),
        "cancel": lambda: settle.cancel(engine, job),
        "park": lambda: progress.park(engine, job, PLAN, units=1),
    }[verb]()
    return {job.id} if ours else set()
