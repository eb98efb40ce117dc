"""From state to state, until there is no new one."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import exc

from tests.model import faults, moves
from tests.model.moves import Move
from tests.model.promises import Step, breaches
from tests.model.state import Names, State
from tests.model.tables import Tables


class Edge(NamedTuple):
    say: str
    faults: int
    after: State
    names: Names  #: who is who there: new names to old ones
    kind: str = "time"


@dataclass
class Found:
    """Which states there are, how each was come to first, and the first breach of a promise."""

    came: dict[State, tuple[State, Edge] | None] = field(default_factory=lambda: {State(): None})
    edges: dict[State, list[Edge]] = field(default_factory=dict)
    steps: int = 0
    breach: str = ""
    history: list[str] = field(default_factory=list)

    def tell(self, state: State, last: Sequence[str], breach: str) -> None:
        """The history that led to a state, and what was done then, with one name for each from beginning to end."""
        edges: list[Edge] = []
        while came := self.came[state]:
            state, edge = came
            edges.insert(0, edge)
        first: Names = {}
        for edge in edges:
            self.history.append(_translated(edge.say, first))
            first = first | {new: first.get(old, old) for new, old in edge.names.items()}
        self.history += [_translated(say, first) for say in last]
        self.breach = _translated(breach, first)

    def __str__(self) -> str:
        if self.breach:
            return f"{'; '.join(self.history)} → {self.breach}"
        return f"{len(self.came)} states, {self.steps} steps, no breach"


def _translated(words: str, names: Names) -> str:
    return re.sub(r"\b[AB]\b|chunk \d", lambda found: names.get(found[0], found[0]), words)


def explore(tables: Tables, most_faults: int) -> Found:
    """Everything that can happen with so many faults, the shortest histories first; ends at the first breach."""
    found = Found()
    left: dict[State, int] = {State(): most_faults}  #: faults that may still come, by the best way that is known
    tried: dict[State, int] = {}  #: up to how many
    waiting = deque([State()])
    while waiting and not found.breach:
        state = waiting.popleft()
        for edge in _edges(tables, found, state, tried.get(state, -1), left[state]):
            rest = left[state] - edge.faults
            if rest > left.get(edge.after, -1):
                left[edge.after] = rest
                found.came.setdefault(edge.after, (state, edge))
                waiting.append(edge.after)
        tried[state] = left[state]
    if not found.breach:
        _all_can_end(tables, found)
    return found


def _edges(tables: Tables, found: Found, state: State, tried: int, most: int) -> list[Edge]:
    """All that lead on from a state with at most so many faults, of which those with up to `tried` are known."""
    edges = found.edges.setdefault(state, [])
    for say, cost, after in faults.of(state):
        if tried < cost <= most:
            edges.append(Edge(say, cost, *after.normal()))
    with tables.holding(state):
        for step in _steps(tables, found, state, [m for m in moves.of(tables, state) if tried < m.faults <= most]):
            if breach := next(breaches(step), ""):
                found.tell(state, [step.move.say], breach)
                break
            edges.append(Edge(step.move.say, step.move.faults, *step.after.normal(), step.move.kind))
    return [edge for edge in edges if edge.faults <= most]


def _steps(tables: Tables, found: Found, state: State, possible: Sequence[Move]) -> Iterator[Step]:
    """What comes of each; a refusal of the database is a breach, and ends it."""
    found.steps += len(possible)
    # What may change nothing is tried together, and one by one only if something has changed.
    idle = [move for move in possible if not move.may and move.kind != "accept"]
    try:
        steps = _made(tables, state, idle)
    except exc.DBAPIError:
        tables.forget()
        steps = []
    if steps and steps[0].changed_nothing:
        yield from steps
        possible = [move for move in possible if move not in idle]
    for move in possible:
        try:
            yield from _made(tables, state, [move])
        except exc.DBAPIError as error:
            found.tell(state, [move.say], f"the database refuses: {str(error.orig).splitlines()[0]}")
            return


def _made(tables: Tables, state: State, together: Sequence[Move]) -> list[Step]:
    done = [move.do() for move in together]
    rows, events = tables.read(state)
    return [
        Step(state, move, state._replace(rows=rows, hands=hands), events, answer)
        for move, (hands, answer) in zip(together, done, strict=True)
    ]


def _all_can_end(tables: Tables, found: Found) -> None:
    """From everywhere a way leads on, without another fault and without a cancel, on which every job is accepted and
    ends."""
    back: dict[State, list[State]] = defaultdict(list)
    for state, edges in found.edges.items():
        for edge in edges:
            if not edge.faults and edge.kind != "ask":
                back[edge.after].append(state)
    reached = {state for state in found.came if len(state.rows) >= len(tables.world.jobs) and state.ended}
    waiting = list(reached)
    while waiting:
        new = set(back[waiting.pop()]) - reached
        reached |= new
        waiting += new
    if stuck := next((state for state in found.came if state not in reached), None):
        found.tell(stuck, [], f"{', '.join(row.name for row in stuck.rows if not row.ended)}: nothing will ever end it")
