"""Following jobs: one thread of a process looks for the events of all who follow one, however many they are."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy

from core import errors
from jobs import events
from jobs.events import Event
from jobs.job import Job

#: How often it looks.
LOOK_S = 0.25
#: A follower hears None when there was nothing else for so long: only a write tells that nobody listens any more.
SILENCE_S = 1.0


@dataclass(eq=False)
class _Reader:
    """Who follows a job: it has seen events up to this one, and is given the next ones once it has taken the last."""

    job_id: uuid.UUID
    seen: int
    inbox: queue.Queue[Sequence[Event] | errors.Unavailable] = field(default_factory=lambda: queue.Queue(1))


class Follower:
    """Shared by threads; its own one lives from the first time that somebody follows a job."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._readers: set[_Reader] = set()
        self._changed = threading.Condition()
        self._looking: threading.Thread | None = None

    def follow(self, job: Job, event_id: int = -1) -> Iterator[Event | None]:
        """Events behind this one as they happen, up to and with the last; None after SILENCE_S without one. Raises
        Unavailable."""
        while found := events.after(self._engine, job, event_id):
            yield from found
            event_id = found[-1].id
            if found[-1].is_last:
                return
        if job.status.is_terminal:
            return
        with self._reading(_Reader(job.id, event_id)) as reader:
            while True:
                try:
                    heard = reader.inbox.get(timeout=SILENCE_S)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(heard, errors.Unavailable):
                    raise heard
                yield from heard
                if heard[-1].is_last:
                    return

    @contextmanager
    def _reading(self, reader: _Reader) -> Iterator[_Reader]:
        try:
            with self._changed:
                self._readers.add(reader)
                self._begin()
                self._changed.notify()
            yield reader
        finally:
            with self._changed:
                self._readers.discard(reader)

    def _begin(self) -> None:
        """Raises Busy."""
        if self._looking is None or not self._looking.is_alive():
            self._looking = threading.Thread(target=self._look, name="follower", daemon=True)
            try:
                self._looking.start()
            except RuntimeError as error:  # there may be no thread more
                raise errors.Busy from error

    def _look(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._readers)
                # Whoever has not taken what it was given last is given no more: its client reads slowly.
                hungry = [reader for reader in self._readers if reader.inbox.empty()]
            try:
                self._feed(hungry)
            except BaseException:
                # Nobody is to wait for a thread that has ended; the next one who comes starts another.
                for reader in hungry:
                    reader.inbox.put(errors.Unavailable("The stream has to be opened again"))
                raise
            time.sleep(LOOK_S)

    def _feed(self, hungry: Sequence[_Reader]) -> None:
        seen: dict[uuid.UUID, int] = {}
        for reader in hungry:
            seen[reader.job_id] = min(reader.seen, seen.get(reader.job_id, reader.seen))
        try:
            found = events.new(self._engine, seen) if seen else {}
        except errors.Unavailable as error:
            for reader in hungry:
                reader.inbox.put(error)
            return
        for reader in hungry:
            mine = [event for event in found.get(reader.job_id, ()) if event.id > reader.seen]
            if mine:
                reader.seen = mine[-1].id
                reader.inbox.put(mine)
