"""Objects in the store: what was pinned is what is read, and nothing else is touched."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from uuid import uuid4

import pytest

from core import errors
from storage.objects import Store
from tests.conftest import Platform


@pytest.fixture
def store(platform: Platform) -> Store:
    return platform.store


@pytest.fixture
def key(store: Store) -> str:
    """An object of ten digits."""
    name = f"tests/{uuid4().hex}/object"
    store.put(name, b"0123456789")
    return name


def replaced(store: Store, key: str) -> None:
    store.put(key, b"9876543210")


def deleted(store: Store, key: str) -> None:
    store.delete_all(key)


@pytest.mark.parametrize("what", [replaced, deleted])
def test_what_is_not_any_more_what_was_pinned_is_not_read_in_part_or_whole(
    store: Store, key: str, what: Callable[[Store, str], None]
) -> None:
    head = store.head(key)
    assert head is not None
    assert b"".join(store.stream(key, head.etag)) == b"0123456789"
    assert store.read_range(key, head.etag, 3, 5) == b"34"
    what(store, key)
    with pytest.raises(errors.InputChanged):
        list(store.stream(key, head.etag))
    with pytest.raises(errors.InputChanged):
        store.read_range(key, head.etag, 3, 5)


@pytest.mark.parametrize(("start", "end"), [(0, 10), (0, 1), (9, 10), (3, 7)])
def test_a_range_is_the_bytes_from_its_start_up_to_its_end(store: Store, key: str, start: int, end: int) -> None:
    head = store.head(key)
    assert head is not None
    assert store.read_range(key, head.etag, start, end) == b"0123456789"[start:end]


def test_a_file_is_stored_from_where_it_stands_and_stays_open(store: Store, key: str) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"head and body")
        file.seek(5)
        head = store.put_file(key, file)
        assert not file.closed
    assert (store.get(key), head) == (b"and body", store.head(key))


def test_what_is_deleted_is_all_that_lies_under_the_prefix_and_nothing_beside_it(store: Store, key: str) -> None:
    folder = key.removesuffix("object")
    beside = f"{folder.removesuffix('/')}-beside/object"
    for name in (f"{folder}another", f"{folder}deep/er", beside):
        store.put(name, b"x")
    store.delete_all(folder)
    assert [store.head(name) for name in (key, f"{folder}another", f"{folder}deep/er")] == [None] * 3
    assert store.head(beside) is not None


def test_a_store_that_is_away_is_unavailable_whatever_is_asked_of_it(platform: Platform) -> None:
    away = Store(dataclasses.replace(platform.settings.storage, endpoint_url="http://127.0.0.1:1"), attempts=1)
    with tempfile.TemporaryFile() as file:
        asked: list[Callable[[], object]] = [
            lambda: away.put("key", b""),
            lambda: away.put_file("key", file),
            lambda: away.get("key"),
            lambda: away.head("key"),
            lambda: list(away.stream("key", "etag")),
            lambda: away.read_range("key", "etag", 0, 1),
            lambda: away.delete_all("key"),
        ]
        for ask in asked:
            with pytest.raises(errors.Unavailable, match="The object store did not"):
                ask()
    assert not away.ping()
