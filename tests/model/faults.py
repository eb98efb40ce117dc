"""What nobody does: time passes, processes die. It changes the state, and calls nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.state import LIVE, OVER, Row, State, Worker


def of(state: State) -> Iterator[tuple[str, int, State]]:
    """Each in words, what it costs in faults, and what is then."""
    if any(not row.due for row in state.rows):
        rows = tuple(row._replace(due=True) for row in state.rows)
        yield "what was to wait is due", 0, state._replace(rows=rows)
    for row in state.rows:
        if row.lease == LIVE:
            yield (
                f"the lease of {row.name} runs out",
                int(_is_held(state, row)),
                state.with_row(row._replace(lease=OVER)),
            )
        if not row.is_chunk and not row.ended and not row.expired:
            yield f"{row.name} passes its expires_at", 1, _expired(state, row)
    for worker in state.workers:
        if any(hand.worker == worker.name and not hand.ghost and state.owned(hand) for hand in state.hands):
            yield from _deaths(state, worker)


def _is_held(state: State, row: Row) -> bool:
    """By a process that lives; nobody else's lease is renewed anyway."""
    return any(hand.owns(row) and not hand.ghost for hand in state.hands if hand.job == row.name)


def _expired(state: State, row: Row) -> State:
    late = [other for other in state.rows if not other.ended and (other == row or other.is_chunk)]
    return state._replace(rows=tuple(item._replace(expired=True) if item in late else item for item in state.rows))


def _deaths(state: State, worker: Worker) -> Iterator[tuple[str, int, State]]:
    others = tuple(hand for hand in state.hands if hand.worker != worker.name or hand.ghost)
    mine = tuple(hand._replace(ghost=True) for hand in state.hands if hand.worker == worker.name and not hand.ghost)
    child = worker._replace(child=worker.child + 1)
    node = child._replace(life=worker.life + 1)
    for who, born in ((f"the child of worker {worker.name}", child), (f"node {worker.name}", node)):
        after = state.with_worker(born)
        yield f"{who} dies", 1, after._replace(hands=others)
        yield f"{who} dies while it writes", 1, after._replace(hands=(*others, *mine))
