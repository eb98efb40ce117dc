"""What every client is asked, in the process and with the libraries of that client alone."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FLOATS, HALVES, TEXTS = "clients-floats", "clients-halves", "sentiment"


class NotOffered(Exception):
    """The client has no way to ask this."""


class Refused(Exception):
    """The client told its user that the platform refused, in these words."""


@dataclass(frozen=True)
class Given:
    """One tensor; its elements in one list, the last axis first."""

    name: str
    datatype: str
    shape: list[int]
    values: Sequence[Any]


@dataclass(frozen=True)
class Answer:
    """Which version answered, and by its name the elements of each output; of BYTES as texts."""

    version: str
    outputs: Mapping[str, list[Any]]


class Questions:
    """What a real client is asked: what it has no call for it leaves as it is here, and it raises Refused where the
    platform refuses."""

    def live(self) -> bool:
        raise NotOffered

    def ready(self) -> bool:
        raise NotOffered

    def model_ready(self, model: str) -> bool:
        raise NotOffered

    def server(self) -> str:
        """The server's name."""
        raise NotOffered

    def takes(self, model: str) -> list[tuple[str, str, list[int]]]:
        """Name, datatype and shape of each input."""
        raise NotOffered

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        """In bytes, as JSON (by gRPC, as typed contents), or, where nothing is said, as it likes."""
        raise NotOffered

    def job(self, model: str, given: Given) -> Answer:
        """The result of a job, which is waited for."""
        raise NotOffered

    def fit(self) -> None:
        """Fails where an answer to what was asked so far is not of the type that the client has for it."""
        raise NotOffered


#: Makes a client that comes with this key, or with none.
Make = Callable[[str | None], Questions]
PAIR = Given("x", "FP32", [1, 2], [0.5, 2.0])
TEXT = Given("text", "BYTES", [2], ["Lovely", "Größter Mist, awful"])


def refused(ask: Callable[[], object], *words: str) -> None:
    """Fails unless the client tells its user some of these words of the platform."""
    try:
        found = ask()
    except Refused as error:
        said = str(error)
        assert any(item in said for item in words), f"said {said[:200]!r}, without {words[0]!r}"
    else:
        raise AssertionError(f"was answered {found}, where it should have been refused")


def same(found: object, wanted: object) -> None:
    assert found == wanted, f"got {found!r} in place of {wanted!r}"


def wrong_shape(make: Make, key: str) -> None:
    given = Given("x", "FP32", [2, 1, 1], [1.0, 2.0])
    refused(lambda: make(key).infer(FLOATS, given), "must have the shape [-1, -1]", "x[0] must be a number")


def versions(make: Make, key: str) -> None:
    same(make(key).infer(TEXTS, TEXT, version="1.0.0").version, "1.0.0")
    refused(lambda: make(key).infer(TEXTS, TEXT, version="9.9.9"), "9.9.9")


def texts(make: Make, key: str, *, binary: bool) -> None:
    same(make(key).infer(TEXTS, TEXT, binary=binary).outputs["prediction"], ["positive", "negative"])


def doubled(make: Make, key: str, *, binary: bool) -> None:
    same(make(key).infer(FLOATS, PAIR, binary=binary).outputs, {"y": [1.0, 4.0]})


def halves(make: Make, key: str) -> None:
    given = Given("x", "FP16", [1, 3], [0.5, 1.5, -2.0])
    same(make(key).infer(HALVES, given, binary=True).outputs, {"y": [1.0, 3.0, -4.0]})


CASES: Mapping[str, Callable[[Make, str], None]] = {
    "live": lambda make, key: same(make(None).live(), True),
    "ready": lambda make, key: same(make(None).ready(), True),
    "model ready": lambda make, key: same(make(key).model_ready(FLOATS), True),
    "server metadata": lambda make, key: same(make(None).server(), "coatcheck"),
    "model metadata": lambda make, key: same(make(key).takes(FLOATS), [("x", "FP32", [-1, -1])]),
    "infer, JSON": lambda make, key: doubled(make, key, binary=False),
    "infer, binary": lambda make, key: doubled(make, key, binary=True),
    "BYTES, JSON": lambda make, key: texts(make, key, binary=False),
    "BYTES, binary": lambda make, key: texts(make, key, binary=True),
    "FP16": halves,
    "wrong shape": wrong_shape,
    "unknown model": lambda make, key: refused(lambda: make(key).infer("nothing", PAIR), "is not published"),
    "versions": versions,
    "no key": lambda make, key: refused(lambda: make(None).infer(FLOATS, PAIR), "A valid API key is required"),
    "wrong key": lambda make, key: refused(lambda: make("cc_none").infer(FLOATS, PAIR), "A valid API key is required"),
    "job": lambda make, key: same(make(key).job(TEXTS, TEXT).outputs["prediction"], ["positive", "negative"]),
    "types of answers": lambda make, key: make(key).fit(),
}


def told(make: Make) -> None:
    """Prints one line of JSON for each case, as soon as it is known: its name and what came of it."""
    key = os.environ["COATCHECK_API_KEY"]
    for name, case in CASES.items():
        try:
            case(make, key)
        except NotOffered:
            came = "not offered"
        except AssertionError as error:
            came = f"FAILED: {error}"
        except Exception as error:  # noqa: BLE001 - whatever a client does with an answer is what is asked here
            came = f"FAILED: {''.join(traceback.format_exception_only(error)).strip()}"
        else:
            came = "ok"
        print(json.dumps([name, came]), flush=True)
