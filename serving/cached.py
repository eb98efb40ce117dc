"""What of one request need not be computed, because the same was asked before."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import marshal
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from prometheus_client import Counter

from core import metrics
from inference.output import Said, elements, is_whole
from jobs.result import Fault
from registry.versions import Resolved
from serving.cache import Coming
from serving.serving import Serving
from serving.values import Ask, Found, Replied, Ticket

T = TypeVar("T")
Row = Mapping[str, Any]

#: Values of one form have one text in it; those of later ones depend on which of them are the same object.
_FORM = 2


class Cached:
    """The answers to one request that are kept, where the request or the model asks for that; `hits` counts them."""

    def __init__(self, serving: Serving, ask: Ask, resolved: Resolved, explain: str) -> None:
        allowed = resolved.manifest.cache
        wanted = bool(allowed) if ask.cache is None else ask.cache
        self._cache = serving.cache if wanted and allowed is not False else None
        self._asked = self._cache is not None or bool(ask.cache)
        self._model = resolved.model
        #: An answer is its tenant's own: how fast one comes would tell others what was asked.
        self._of = (ask.caller.party, resolved.digest, explain, ask.tolerance, ask.strict)
        self._rows = self.hits = 0

    @property
    def found(self) -> Found | None:
        """How it went, for who asked for it."""
        if not self._asked:
            return None
        if not self._rows:
            return Found.BYPASS
        return Found.HIT if self.hits == self._rows else Found.MISS

    def told(self, replied: Replied[T]) -> Replied[T]:
        """The reply, with how it went; a ticket is no answer."""
        found = Found.BYPASS if isinstance(replied.value, Ticket) else self.found
        return dataclasses.replace(replied, found=found) if self._asked else replied

    def one(self, row: Row, make: Callable[[], Said]) -> Said:
        """The answer to one input: kept, or made."""
        if self._cache is None:
            return make()
        said, hit = self._cache.once(self._key(row), make)
        self._count(1, int(hit))
        return said

    def get(self, row: Row) -> Said | None:
        """The same, if it is kept."""
        if self._cache is None:
            return None
        said = self._cache.get(self._key(row))
        if said is not None:
            self._count(1, 1)
        return said

    def job(self, row: Row, hand_in: Callable[[], uuid.UUID], answers: Callable[[uuid.UUID], bool]) -> uuid.UUID:
        """The job that an earlier request has handed in for the same input, if it still `answers`; else the one that
        this request hands in, or another at this moment."""
        if self._cache is None:
            return hand_in()
        key = self._key(row, "job")
        coming, earlier = self._cache.once(key, lambda: Coming(hand_in()))
        if earlier and not answers(coming.job_id):
            self._cache.forget(key, coming)
            coming, earlier = self._cache.once(key, lambda: Coming(hand_in()))
        self._count(1, int(earlier))
        return coming.job_id

    def keep(self, row: Row, said: Said) -> Said:
        """It, kept for those who ask later, unless more time would make it better; what an earlier request's job has
        made is good for no longer by being asked for."""
        if self._cache is not None and not self.hits and is_whole(said):
            self._cache.put(self._key(row), said)
        return said

    def several(self, rows: Sequence[Row], make: Callable[[Sequence[Row]], list[Said | Fault]]) -> list[Said | Fault]:
        """The answers to a list: those that are kept, and for the other inputs, each once, what `make` gives. Raises
        BatchTooLarge."""
        if self._cache is None:
            return make(rows)
        keys = [self._key(row) for row in rows]
        answers: dict[bytes, Said | Fault | None] = {key: self._cache.get(key) for key in keys}
        missing = {key: row for key, row in zip(keys, rows, strict=True) if answers[key] is None}
        for key, said in zip(missing, make(list(missing.values())), strict=True):
            answers[key] = said
            if not isinstance(said, Fault):
                self._cache.put(key, said)
        made = [said for said in map(answers.__getitem__, keys) if said is not None]
        # An input that is there twice has two answers.
        elements(made)
        computed = sum(not isinstance(answers[key], Fault) for key in missing)
        answered = sum(not isinstance(said, Fault) for said in made)
        self._count(len(rows), answered - computed)
        return made

    def _key(self, row: Row, *of: str) -> bytes:
        """Of checked inputs, which name every field in the manifest's order: what is left out has its default."""
        return hashlib.sha256(marshal.dumps((*self._of, *of, dict(row)), _FORM)).digest()

    def _count(self, rows: int, hits: int) -> None:
        self._rows += rows
        self.hits += hits
        hit, missed = _counters(self._model)
        if hits:
            hit.inc(hits)
        if rows > hits:
            missed.inc(rows - hits)


@functools.cache
def _counters(model: str) -> tuple[Counter, Counter]:
    """To look them up costs more than to count."""
    return metrics.CACHE.labels(model, "hit"), metrics.CACHE.labels(model, "miss")
