"""Which kinds of answers there are for rows, and which output of a graph is the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import errors
from inference import nodes
from inference.answers.answer import Answer
from inference.answers.embedding import Embedding
from inference.answers.labels import Labels
from inference.answers.numbers import Numbers
from inference.keys import Key
from inference.manifest import Manifest

#: By the key of model.yaml of which there is one.
ANSWERS: Mapping[str, type[Answer]] = {answer.key: answer for answer in (Labels, Numbers, Embedding)}
OWN_KEYS: Mapping[str, Key] = {name: key for answer in ANSWERS.values() for name, key in answer.own_keys.items()}
#: Which of several outputs is the answer, where more than one can be.
LIKELY = "probabilities"


def of(manifest: Manifest) -> type[Answer]:
    """What its answers are."""
    return ANSWERS[next((key for key in ANSWERS if getattr(manifest, key)), Labels.key)]


def by(found: object) -> type[Answer]:
    """The same of an answer."""
    return next(answer for answer in ANSWERS.values() if isinstance(found, answer.said_as))


def chosen(graph: Path, outputs: Sequence[Any], answer: Answer) -> str:
    """The name of the output that is the answer; raises BundleInvalid."""
    item = _chosen(graph, outputs, answer)
    if answer.fits(item):
        return str(item.name)
    others = " or ".join(key for key in ANSWERS if key != answer.key)
    issue = f"gives {nodes.one(item)}, but must give {answer.wanted}; where it is meant to, say {others} in place of"
    raise errors.BundleInvalid(f"{graph} {issue} {answer.key}")


def _chosen(graph: Path, outputs: Sequence[Any], answer: Answer) -> Any:
    by_name, said = {item.name: item for item in outputs}, answer.manifest.output
    if said is not None:
        if said not in by_name:
            has = nodes.every(outputs)
            raise errors.BundleInvalid(f"{graph} has no output '{said}', as output of model.yaml says, but {has}")
        return by_name[said]
    if len(outputs) == 1:
        return outputs[0]
    fitting = [item for item in outputs if answer.fits_exactly(item)] or [item for item in outputs if answer.fits(item)]
    likely = [item for item in fitting if item.name == LIKELY and answer.probabilities]
    if len(likely or fitting) == 1:
        return (likely or fitting)[0]
    which = (fitting or outputs)[0].name
    raise errors.BundleInvalid(
        f"{graph} gives {nodes.every(outputs)}, but must give {answer.wanted}: say in model.yaml which of them it is, "
        f"such as output: {which}"
    )
