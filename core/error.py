"""What every error is: a sentence, a code that never changes, and facts of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: So much is told of the name of a field that is at fault, of any other text about it, and of what went wrong at all:
#: each may quote what a client wrote, megabytes of it.
MAX_NAME = 200
MAX_FACT = 500
MAX_MESSAGE = 2000
#: So many faults of one input are told apart.
MAX_FAULTS = 20


class CoatcheckError(Exception):
    """Something went wrong."""

    code = "INTERNAL"
    retryable = False
    #: Where there is more to read of it, if that is among the models: () for all of them, (model,) for one, and
    #: (model, version) for what a version takes.
    see: tuple[str, ...] | None = None
    #: The version of a model that it was asked of, and why it was that one.
    served: tuple[str, str] | None = None
    #: When to try again what is retryable.
    retry_after_s: float = 2.0

    def __init_subclass__(cls, *, code: str | None = None, retryable: bool | None = None) -> None:
        cls.code = cls.code if code is None else code
        cls.retryable = cls.retryable if retryable is None else retryable

    def __init__(
        self, message: str = "", *, retry_after_s: float | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(_cut(message or (type(self).__doc__ or "").strip(), MAX_MESSAGE))
        self.details = _bounded(details or {})
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s

    @property
    def message(self) -> str:
        return str(self.args[0])


def tree() -> Iterator[type[CoatcheckError]]:
    """Every kind of error, each before what is derived from it."""
    waiting: list[type[CoatcheckError]] = [CoatcheckError]
    while waiting:
        yield (kind := waiting.pop(0))
        waiting += kind.__subclasses__()


class InvalidInput(CoatcheckError, code="INVALID_INPUT"):
    """Input validation failed"""

    def __init__(
        self, message: str = "", *, errors: Sequence[Mapping[str, Any]] = (), details: Mapping[str, Any] | None = None
    ) -> None:
        self.errors = [_bounded(error) for error in errors[:MAX_FAULTS]]
        self.more = len(errors) - len(self.errors)  #: faults that there are besides
        super().__init__(message, details=details or (self.errors[0] if self.errors else None))

    @classmethod
    def field(cls, name: str, issue: str, **facts: Any) -> InvalidInput:
        """One fault in one field."""
        return cls(errors=[{"field": name, "issue": issue, **facts}])


def body(error: CoatcheckError, *, most: int = MAX_FAULTS) -> dict[str, Any]:
    """The error as answers and files carry it, with so many of its faults at most; `more` says how many there are
    besides."""
    found: dict[str, Any] = {"code": error.code, "message": error.message, "details": error.details}
    if isinstance(error, InvalidInput):
        listed = error.errors[:most]
        if len(listed) > 1:
            found["errors"] = listed
        if more := len(error.errors) - len(listed) + error.more:
            found["more"] = more
    return found


def _bounded(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cut(fact, MAX_NAME if name == "field" else MAX_FACT) for name, fact in facts.items()}


def _cut(fact: Any, most: int) -> Any:
    if not isinstance(fact, str):
        return fact
    # A lone surrogate, as of a file's name, has no form in JSON.
    told = fact[:most].encode(errors="replace").decode()
    return f"{told}…" if len(fact) > most else told
