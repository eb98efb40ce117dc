"""Explanations of models that can only be asked: what do they answer when a part of the input is not known?"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import proxy

import numpy as np

from inference.explain import background, players, sampled
from inference.explain.link import NUMBER, PROBABILITY
from inference.explain.wanted import Known, Progress, Wanted
from inference.kinds import text
from inference.output import Explanation

if TYPE_CHECKING:
    from inference.interrupt import Interrupt
    from inference.manifest import Explain
    from inference.model import Model

Array = np.ndarray[Any, Any]
Row = Mapping[str, Any]

_WORD = re.compile(r"\s*\S+")
#: Of a text with more words, neighbours are one part together.
MOST_PARTS = 64


class Asked:
    """Made once for an opened model, used by many threads. Of a text, a word that is not known is left out; of named
    values, each usual input has a turn to say what it would be."""

    def __init__(self, model: Model, says: Explain, outputs: Sequence[str]) -> None:
        bundle = model.bundle
        # The model holds this: else it would be there until the garbage is collected, however long nobody asks it.
        self._model: Model = proxy(model)
        self._says, self._manifest, self._outputs = says, bundle.manifest, outputs
        self._usual = [] if says.background is None else background.rows(bundle, says.background)
        self._players = players.of(bundle.manifest, says.groups)

    def explain(
        self, rows: Sequence[Row], answers: Array, interrupt: Interrupt | None, wanted: Wanted
    ) -> list[Explanation]:
        """Of rows with the numbers that the model gave to them, [rows, numbers], why the largest of each is what it
        is, as well as is known when it is time to end; raises ModelInterrupted."""
        found: list[Explanation] = []
        for row, said, known in zip(rows, answers, wanted.known or [{} for _ in rows], strict=True):
            done = len(found)
            enough = sampled.Enough(wanted.tolerance, _late(interrupt, len(rows) - done))
            heard = lambda part, done=done: wanted.progress((done + part) / len(rows))  # noqa: E731
            found.append(self._one(row, said, interrupt, heard, enough, known))
        return found

    def _one(
        self,
        row: Row,
        said: Array,
        interrupt: Interrupt | None,
        progress: Progress,
        enough: sampled.Enough,
        known: Known,
    ) -> Explanation:
        answer = int(said.argmax())
        names, rows_of = self._of_text(row) if not self._usual else self._of_fields(row)
        each = len(rows_of(np.ones(len(names), bool)))
        budget, step = max(self._says.evaluations, sampled.least(len(names))), max(1, self._manifest.max_batch // each)

        def worth(masks: Array) -> Array:
            new = [*{mask.tobytes(): mask for mask in masks if mask.tobytes() not in known}.items()]
            for start in range(0, len(new), step):
                asked = new[start : start + step]
                rows = [made for _, mask in asked for made in rows_of(mask)]
                scores = self._model.scores(rows, interrupt)[:, answer].astype(float).reshape(-1, each).mean(axis=1)
                known.update(zip(dict(asked), scores.tolist(), strict=True))
                progress(min(1.0, len(known) / budget))
            return np.array([known[mask.tobytes()] for mask in masks])

        enough = dataclasses.replace(enough, at_once=max(2, step // 2 * 2))
        made = sampled.estimate(worth, len(names), budget, 0, enough)
        progress(1.0)
        off = abs(made.base + float(made.scores.sum()) - float(said[answer]))
        return Explanation(
            algorithm=made.algorithm,
            output=self._outputs[answer],
            scale=PROBABILITY if self._manifest.labels else NUMBER,
            features=names,
            scores=made.scores.tolist(),
            std_errors=None if made.algorithm == "enumeration" else made.errors.tolist(),
            base_value=made.base,
            value=made.whole,
            additivity_error=off,
            evaluations=len(known) * each,
            cut_short=made.cut_short,
        )

    def _of_fields(self, row: Row) -> tuple[Sequence[str], Callable[[Array], list[Row]]]:
        def rows_of(mask: Array) -> list[Row]:
            known = [name for there, fields in zip(mask, self._players.fields, strict=True) if there for name in fields]
            mine = {name: row[name] for name in known}
            return [{**usual, **mine} for usual in self._usual]

        return self._players.names, rows_of

    def _of_text(self, row: Row) -> tuple[Sequence[str], Callable[[Array], list[Row]]]:
        name = text.read(self._manifest)
        parts = parted(row[name])

        def rows_of(mask: Array) -> list[Row]:
            # All of it is the very text that was answered, also where a model sees between which blanks words stand.
            left = row[name] if mask.all() else "".join(itertools.compress(parts, mask)).strip()
            return [{**row, name: left}]

        return [part.strip() or part for part in parts], rows_of


def _late(interrupt: Interrupt | None, rows: int) -> Callable[[float], bool]:
    """Of the first of so many rows, which has its part of the time that is left: whether that is not enough for so many
    times as much as there was until now."""
    began = time.monotonic()
    soon_at = began + (interrupt.soon_at - began) / rows if interrupt else math.inf

    def late(more: float) -> bool:
        now = time.monotonic()
        return now + (now - began) * more > soon_at

    return late


def parted(said: str) -> list[str]:
    """A text as its words with the blanks before them, or as MOST_PARTS runs of such; a blank one is a single part."""
    # Without the blanks at its end, which belong to no word: to look for one behind them would take forever.
    words = _WORD.findall(said.rstrip()) or [said]
    if len(words) <= MOST_PARTS:
        return words
    ends = np.linspace(0, len(words), MOST_PARTS + 1).round().astype(int).tolist()
    return ["".join(words[start:end]) for start, end in itertools.pairwise(ends)]
