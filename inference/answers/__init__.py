"""Which kinds of answers there are for rows."""

from __future__ import annotations

from collections.abc import Mapping

from inference.answers.answer import Answer
from inference.answers.boxes import Boxes
from inference.answers.embedding import Embedding
from inference.answers.labels import Labels
from inference.answers.numbers import Numbers
from inference.answers.records import Records
from inference.answers.tags import Tags
from inference.answers.tensors import Tensors
from inference.answers.text import Text
from inference.keys import Key
from inference.manifest import Manifest

#: By the key of model.yaml of which there is one.
ANSWERS: Mapping[str, type[Answer]] = {
    answer.key: answer for answer in (Labels, Tags, Numbers, Embedding, Tensors, Text, Boxes, Records)
}
OWN_KEYS: Mapping[str, Key] = {name: key for answer in ANSWERS.values() for name, key in answer.own_keys.items()}


def of(manifest: Manifest) -> type[Answer]:
    """What its answers are."""
    return ANSWERS[next((key for key in ANSWERS if getattr(manifest, key)), Labels.key)]


def by(found: object) -> type[Answer]:
    """The same of an answer."""
    return next(answer for answer in ANSWERS.values() if isinstance(found, answer.said_as))
