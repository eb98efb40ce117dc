"""Kinds whose models take rows; what they answer is said by `inference.answers`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from inference import answers, faults, keys, schema
from inference.answers.labels import Labels
from inference.faults import Fault
from inference.keys import Key
from inference.kinds.kind import Kind
from inference.manifest import Golden, Manifest

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

    from inference.bundle import Bundle
    from inference.model import Model


class Encoder(Protocol):
    """How rows become what the ONNX session takes: made once for each opened bundle, used by many threads."""

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Session inputs for a batch; the first axis is the row."""


class AnswersKind(Kind):
    """Kinds that give an answer for each row, whoever makes it."""

    #: Where there are none, those that go with what the model answers.
    golden_keys: ClassVar[Mapping[str, Key]] = {}

    def keys_of_golden(self, raw: Mapping[str, Any]) -> Mapping[str, Key]:
        said = next((answer for key, answer in answers.ANSWERS.items() if raw.get(key)), Labels)
        return self.golden_keys or {"inputs": keys.mapping(required=True), **said.golden_keys}

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        said = [key for key in answers.ANSWERS if getattr(manifest, key)]
        if not said:
            yield Fault(
                ("labels",),
                "is missing: one for each score that the graph gives, in its order; where it gives something else, "
                f"say {faults.either([*answers.ANSWERS][1:])} in its place",
            )
        for other in said[1:]:
            yield Fault((other,), f"is what comes out, and so is {said[0]}: say one of them")
        chosen = answers.of(manifest)
        for answer in answers.ANSWERS.values():
            for name in answer.own_keys if answer is not chosen else ():
                if name != answer.key and getattr(manifest, name) is not None:
                    yield Fault((name,), f"is for models that give {answer.key}")
        yield from chosen.broken(manifest)

    def broken_golden(self, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        yield from answers.of(manifest).broken_golden(manifest, golden)

    def output_schema(self, manifest: Manifest) -> dict[str, Any]:
        return {"$schema": schema.DIALECT, **answers.of(manifest).json_schema(manifest)}

    def missed(self, golden: Golden, found: Any) -> str | None:
        return answers.by(found).missed(golden, found)

    def hint(self, answered: Iterable[tuple[Golden, Any]]) -> str:
        rest = iter(answered)
        first = next(rest)
        return answers.by(first[1]).hint(itertools.chain([first], rest))


class RowKind(AnswersKind):
    """A kind by its encoder; as it stands, one of which no more is known."""

    #: Whether rows that came together have a run each, on a CPU.
    apart: bool = False
    own_keys: ClassVar[Mapping[str, Key]] = {**answers.OWN_KEYS, "output": keys.text(allow_none=True)}

    def __init__(self, encoder: Callable[[Bundle], Encoder]) -> None:
        self._encoder = encoder

    def encoder(self, bundle: Bundle, takes: Sequence[Any]) -> Encoder:
        """For a graph with these inputs; raises BundleInvalid where it can hand in nothing that they take."""
        return self._encoder(bundle)

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> Model:
        from inference.model import GraphModel

        return GraphModel(bundle, *sessions, kind=self)
