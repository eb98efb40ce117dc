"""What the core's future depends on, and nothing else: jobs with times as relations, and what workers believe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from jobs.job import TERMINAL

ZOMBIE = "the zombie"
ENDLESS, LIVE, OVER = "endless", "live", "over"

Names = dict[str, str]


class Row(NamedTuple):
    """A job as the database has it."""

    name: str
    status: str = "pending"
    attempt: int = 0
    left: int = 0  #: attempts that it may still have: max_attempts - attempt
    lost: int = 0
    worker: str | None = None
    wake: str | None = None
    lease: str | None = None  #: ENDLESS, LIVE, OVER, or none
    due: bool = True
    expired: bool = False  #: expires_at has passed
    asked: bool = False  #: its tenant asked to cancel it
    progress: int = 0
    place: int = 0  #: in the order of fair_at
    error: bool = False
    charged: int = 0  #: rows in `usage`
    result: int | None = None  #: the attempt that its result is of
    told: int = 0  #: deliveries of its end
    ends: int = 0  #: terminal events, ever

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def parked(self) -> bool:
        return self.status == "processing" and self.lease == ENDLESS

    def plain(self) -> Row:
        """Without what nobody should read: who held it, once nobody does; when it may run, while it runs; if it has
        ended, whatever could be mistaken for a reason to touch it is there."""
        if self.ended:
            return self._replace(worker=None, wake=None, due=True, expired=True, left=0, place=0)
        if self.status == "pending":
            return self._replace(worker=None, wake=None, place=0)
        return self._replace(due=True, place=0)

    @property
    def is_chunk(self) -> bool:
        return self.name.startswith("chunk")


class Hand(NamedTuple):
    """One claimed job in the memory of a worker's process, which may be behind the times."""

    worker: str
    job: str
    attempt: int
    left: int
    canceled: bool = False  #: a heartbeat said that its tenant does not want it any more
    merges: bool = False  #: of a bulk job that is cut already
    ghost: bool = False  #: its process is dead, and its last write may be on its way
    unheard: str | None = None  #: the write that was committed without an answer, and will be repeated

    def owns(self, row: Row) -> bool:
        return row.status == "processing" and row.attempt == self.attempt and not row.parked

    def is_zombie(self, row: Row) -> bool:
        """Nothing that it writes may change anything, ever."""
        return row.status != "processing" or row.attempt != self.attempt

    @property
    def who(self) -> str:
        return f"{ZOMBIE} of {self.job}" if self.worker == ZOMBIE else f"worker {self.worker}"

    def zombie(self) -> Hand:
        """Whoever it was, and whatever it knew: it may write anything."""
        return self._replace(worker=ZOMBIE, left=1, canceled=False, merges=False, ghost=False, unheard=None)


class Worker(NamedTuple):
    """A node with one child at a time."""

    name: str
    life: int = 1  #: incarnation of the node
    child: int = 1

    @property
    def full_name(self) -> str:
        return f"{self.name}/{self.life}/1"

    @property
    def wake(self) -> str:
        return f"{self.name}{self.child}"


class State(NamedTuple):
    rows: tuple[Row, ...] = ()
    hands: tuple[Hand, ...] = ()
    workers: tuple[Worker, ...] = (Worker("A"), Worker("B"))

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    @property
    def ended(self) -> bool:
        return all(row.ended for row in self.rows)

    @property
    def names_first(self) -> str | None:
        """The worker that is named first in it, if any is."""
        held = [hand.worker for hand in sorted(self.hands, key=lambda hand: (hand.job, hand.attempt))]
        return next((name[0] for name in (*held, *(row.worker for row in self.rows)) if name and name != ZOMBIE), None)

    def renamed(self, names: Names) -> State:
        """With other names for chunks and workers."""
        rows = [
            row._replace(
                name=names.get(row.name, row.name),
                worker=row.worker and names.get(row.worker[0], row.worker[0]) + row.worker[1:],
                wake=row.wake and names.get(row.wake[0], row.wake[0]) + row.wake[1:],
            )
            for row in self.rows
        ]
        hands = [
            hand._replace(job=names.get(hand.job, hand.job), worker=names.get(hand.worker, hand.worker))
            for hand in self.hands
        ]
        workers = [worker._replace(name=names.get(worker.name, worker.name)) for worker in self.workers]
        return State(tuple(sorted(rows, key=lambda row: row.name)), tuple(sorted(hands)), tuple(sorted(workers)))

    @property
    def chunks(self) -> list[Row]:
        return [row for row in self.rows if row.is_chunk]

    def owned(self, hand: Hand) -> bool:
        """Whether this hand's job is still its own, which it may not know."""
        return hand.owns(self.row(hand.job))

    def with_row(self, row: Row) -> State:
        return self._replace(rows=tuple(row if old.name == row.name else old for old in self.rows))

    def with_worker(self, worker: Worker) -> State:
        return self._replace(workers=tuple(worker if old.name == worker.name else old for old in self.workers))

    def normal(self) -> tuple[State, Names]:
        """The same for every state that differs from this one in nothing that anybody reads, and who is who in it."""
        places = {name: place for place, name in enumerate(_in_order(self.rows), 1)}
        rows, hands = [], []
        for row in self.rows:
            mine = [hand for hand in self.hands if hand.job == row.name]
            # All zombies of a job may do the same, which is nothing: one stands for all.
            zombies = [hand.zombie() for hand in mine if hand.is_zombie(row)]
            mine = sorted(zombies)[-1:] + [hand for hand in mine if not hand.is_zombie(row)]
            numbers = _numbered({row.attempt, *(hand.attempt for hand in mine)} - {0})
            hands += [hand._replace(attempt=numbers[hand.attempt]) for hand in mine]
            rows.append(_normal(row, numbers.get(row.attempt, 0), places.get(row.name, 0)))
        return _renamed(_named_anew(State(tuple(rows), tuple(hands), self.workers)))


def _renamed(state: State) -> tuple[State, Names]:
    """Chunks are like each other, and so are workers: in which order they come is decided by how they stand."""

    def standing(chunk: Row) -> str:
        return repr((chunk[1:], [hand[2:] for hand in state.hands if hand.job == chunk.name]))

    chunks = sorted(state.chunks, key=standing)
    names = {old.name: new.name for new, old in zip(state.chunks, chunks, strict=True)}
    if state.names_first == "B":
        names |= {"A": "B", "B": "A"}
    return state.renamed(names), {new: old for old, new in names.items() if new != old}


def _normal(row: Row, attempt: int, place: int) -> Row:
    row = row.plain()
    if not row.ended:
        # Whatever went wrong before: it has to be gone when the job completes.
        return row._replace(attempt=attempt, place=place, error=attempt > 0)
    done = row.status == "completed"
    return row._replace(
        attempt=attempt, lost=0, asked=False, error=False, progress=100 * done, result=attempt if done else None
    )


def _in_order(rows: Iterable[Row]) -> list[str]:
    return [row.name for row in sorted(rows, key=lambda row: row.place) if not row.ended]


def _numbered(values: Iterable[int]) -> dict[int, int]:
    return {value: number for number, value in enumerate(sorted(values), 1)}


def _named_anew(state: State) -> State:
    """Lives of nodes and children that nothing is left of are not counted."""
    rows, workers = state.rows, []
    for worker in state.workers:
        held = [row for row in rows if row.worker and row.worker.startswith(worker.name)]
        lives = _numbered({worker.life, *(int(row.worker.split("/")[1]) for row in held if row.worker)})
        children = _numbered({worker.child, *(int(row.wake[1:]) for row in held if row.wake)})
        names = {f"{worker.name}/{old}/1": f"{worker.name}/{new}/1" for old, new in lives.items()}
        wakes = {f"{worker.name}{old}": f"{worker.name}{new}" for old, new in children.items()}
        rows = tuple(
            row._replace(worker=names.get(str(row.worker), row.worker), wake=wakes.get(str(row.wake), row.wake))
            for row in rows
        )
        workers.append(worker._replace(life=lives[worker.life], child=children[worker.child]))
    return state._replace(rows=rows, workers=tuple(workers))
