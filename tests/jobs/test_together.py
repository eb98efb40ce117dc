"""Whoever writes at the same moment writes together, and hears of what is his alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import exc

from core import database, errors
from jobs.together import Together
from tests.conftest import until

MOST = 4


class Table:
    """Takes what it is given as soon as it may; `odd` are refused, and `away` is how it does not answer."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may = threading.Event()
        self.odd: set[int] = set()
        self.away: BaseException | None = None

    def write(self, items: Sequence[int]) -> None:
        self.groups.append([*items])
        assert self.may.wait(20)
        if self.away:
            raise self.away
        if self.odd & {*items}:
            raise exc.DataError("", {}, Exception(f"{min(self.odd & {*items})} is odd"))


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def together(table: Table) -> Together[int]:
    return Together(table.write, MOST)


@pytest.fixture
def came(table: Table, together: Together[int]) -> Callable[[int], list[Future[None]]]:
    """So many come while the first one writes; then the table may."""
    pool = ThreadPoolExecutor(16)

    def come(count: int) -> list[Future[None]]:
        first = pool.submit(together.write, 0)
        until(lambda: table.groups)
        others = []
        for number in range(1, count):
            others.append(pool.submit(together.write, number))
            until(lambda number=number: len(together._waiting) == number)  # type: ignore[misc]
        table.may.set()
        pool.shutdown()
        return [first, *others]

    return come


def test_who_comes_alone_is_written_at_once(table: Table, together: Together[int]) -> None:
    table.may.set()
    for number in range(3):
        together.write(number)
    assert table.groups == [[0], [1], [2]]


def test_who_comes_while_another_writes_is_written_with_all_who_do_in_their_order_and_so_many_at_a_time(
    table: Table, came: Callable[[int], list[Future[None]]]
) -> None:
    assert [one.result() for one in came(2 + MOST)] == [None] * (2 + MOST)
    assert table.groups == [[0], [1, 2, 3, 4], [5]]


def test_what_cannot_be_stored_is_said_of_it_alone(table: Table, came: Callable[[int], list[Future[None]]]) -> None:
    table.odd = {2}
    found = came(1 + MOST)
    assert [type(one.exception()) for one in found] == [type(None), type(None), exc.DataError, type(None), type(None)]
    assert table.groups == [[0], [1, 2, 3, 4], [1], [2], [3], [4]]


def test_an_outage_is_said_to_all_who_waited_for_it(table: Table, came: Callable[[int], list[Future[None]]]) -> None:
    table.away = exc.OperationalError("", {}, Exception("gone"))
    found = came(3 + MOST)
    assert {type(one.exception()) for one in found} == {exc.OperationalError}
    assert table.groups == [[0]]


def test_who_was_to_be_written_by_one_that_was_interrupted_is_told_so(
    table: Table, together: Together[int], came: Callable[[int], list[Future[None]]]
) -> None:
    table.away = KeyboardInterrupt()
    first, second, *others = came(4)
    assert isinstance(first.exception(), KeyboardInterrupt)
    told = [second.exception(), *(one.exception() for one in others)]
    assert sorted(type(one).__name__ for one in told) == ["KeyboardInterrupt", "Unavailable", "Unavailable"]
    table.away = None
    together.write(9)
    assert table.groups[-1] == [9]


def test_an_error_of_the_program_is_no_success_of_those_who_wait(
    table: Table, came: Callable[[int], list[Future[None]]]
) -> None:
    table.away = TypeError("no such thing")
    assert {type(one.exception()) for one in came(4)} == {TypeError, errors.Unavailable}


def test_who_was_only_in_the_way_of_the_first_is_not_in_the_way_of_those_behind(
    table: Table, came: Callable[[int], list[Future[None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    table.away = exc.OperationalError("", {}, Exception("locked"))
    monkeypatch.setattr(database, "is_of_others", lambda error: error is table.away)
    found = came(2 + MOST)
    assert {type(one.exception()) for one in found} == {exc.OperationalError}
    assert [len(group) for group in table.groups] == [1, MOST, 1]
