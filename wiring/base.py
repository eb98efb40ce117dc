"""What every process has: the database, Redis, and a way to wake a pool; and how its parts are made."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import sqlalchemy

from core import broker, database
from core.settings import Settings

T = TypeVar("T")


class part(Generic[T]):  # noqa: N801 - it is used as a decorator, like `property`
    """An attribute that is made when somebody first asks for it, and once, whichever thread that is."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, parts: None, kind: type) -> part[T]: ...
    @overload
    def __get__(self, parts: Lazy, kind: type) -> T: ...
    def __get__(self, parts: Lazy | None, kind: type) -> part[T] | T:
        if parts is None:
            return self
        with parts.making:
            # The next time Python finds it in the instance, and does not ask here.
            if self._name not in vars(parts):
                vars(parts)[self._name] = self._make(parts)
            found: T = vars(parts)[self._name]
            return found


class Lazy:
    """One process's objects, as its parts; all may be shared by threads."""

    def __init__(self) -> None:
        self.making = threading.RLock()

    def close(self) -> None:
        """End the connections to the database; what is used again afterwards connects anew."""
        for made in list(vars(self).values()):
            if isinstance(made, sqlalchemy.Engine):
                made.dispose()


@dataclass(frozen=True)
class Limits:
    """What one process may have of the engines, and how long it waits for them."""

    connections: int = 2  #: to the database at a time; as many again where many ask at once
    statement_s: float = 30.0
    store_s: float = 20.0  #: for one answer of the object store
    store_attempts: int = 4


class Base(Lazy):
    """Those of a process that reads all settings, and reads them before it begins."""

    def __init__(self, settings: Settings, *, application: str, limits: Limits | None = None) -> None:
        """`application` is the name by which Postgres knows the process."""
        super().__init__()
        self.settings = settings
        self.limits = limits or Limits()
        self.application = application

    @part
    def engine(self) -> sqlalchemy.Engine:
        return self.connections(self.limits.connections, self.application)

    @part
    def line(self) -> broker.Line:
        return broker.Line(self.settings.queue.redis_url)

    @part
    def hints(self) -> broker.Hints:
        return broker.Hints(self.settings.queue.redis_url, self.line)

    def connections(self, count: int, application: str) -> sqlalchemy.Engine:
        """To the database, apart from everybody else's."""
        return database.create_engine(
            self.settings.database_url,
            pool_size=count,
            application=f"{application} {os.getpid()}",
            statement_s=self.limits.statement_s,
        )
