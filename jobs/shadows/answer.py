"""As much of an answer as can be compared: a label with its confidence, or one number, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import errors
from inference.output import Label, Numbers
from jobs.result import Fault


@dataclass(frozen=True, slots=True)
class Brief:
    """One of label, number and error is there; `error` is the code of one, `ms` is how long it took, if that is
    known."""

    label: str | None = None
    confidence: float | None = None
    number: float | None = None
    error: str | None = None
    ms: float | None = None

    @classmethod
    def of(cls, said: object, ms: float | None = None) -> Brief | None:
        """None for what cannot be compared."""
        match said:
            case Label(label, confidence):
                return cls(label=label, confidence=float(confidence), ms=ms)
            case Numbers(values) if len(values) == 1:
                return cls(number=float(next(iter(values.values()))), ms=ms)
            case Fault(error):
                return cls(error=str(error["code"]), ms=ms)
            case errors.CoatcheckError():
                return cls(error=said.code, ms=ms)
        return None

    @classmethod
    def from_row(cls, row: Mapping[Any, Any], whose: str) -> Brief:
        return cls(**{name: row[f"{whose}_{name}"] for name in cls.__slots__})

    def columns(self, whose: str) -> dict[str, Any]:
        return {f"{whose}_{name}": getattr(self, name) for name in self.__slots__}
