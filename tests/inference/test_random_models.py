"""Sixty models at random: each is published and answers as ONNX Runtime does when it is called plainly, or is refused
with a sentence."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from core import errors
from inference import bundle, check, model, schema
from inference import threads as cpus
from inference.output import Embedding, Label, Numbers, Said, Tags, Tensors, Text
from tests.inference import random_estimators, random_models, random_tensors
from tests.inference.random_models import Made, Row

COUNTS: Mapping[Callable[[random.Random], Made], int] = {
    random_models.tabular: 28, random_tensors.of_tensors: 12,
    random_estimators.estimator: 18, random_estimators.words: 2,
}  # fmt: skip
MADE = [(generator, seed) for generator, count in COUNTS.items() for seed in range(count)]


def plainly(made: Made, rows: Sequence[Row], threads: int) -> list[Any]:
    """What ONNX Runtime gives, row by row, as `told` has it."""
    found, says = made.run(rows, threads), made.says
    if "labels" in says:
        if isinstance(found, list):
            found = np.array([list(row.values()) for row in found], np.float32)
        if found.shape[1:] in ((), (1,)):
            found = np.concatenate([1 - found.reshape(-1, 1), found.reshape(-1, 1)], axis=1)
    if "labels" in says or "tags" in says:
        return np.round(found.astype(float), 6).tolist()
    if "tensors" in says:
        return [np.asarray(one).tolist() for one in (found if made.shared else [found])]
    return [np.asarray(one).reshape(-1).tolist() for one in found]


def told(made: Made, said: Said) -> Any:
    match said:
        case Label():
            assert said.label == max(said.scores, key=said.scores.__getitem__)
            return [*said.scores.values()]
        case Tags():
            least = made.says["at_least"] or 0.5
            assert set(said.tags) == {tag for tag, score in said.scores.items() if score >= least}
            return [*said.scores.values()]
        case Numbers():
            return [*said.values.values()]
        case Embedding():
            return [*said.vector]
        case Text():
            return [said.text]
        case Tensors():
            [one] = said.tensors.values()
            return np.array(one["data"], object).reshape(one["shape"]).tolist()


def same(found: Any, wanted: Any, digits: float) -> None:
    """To the last of the digits that are told, or within so much in company."""
    ours, theirs = [*flat(found)], [*flat(wanted)]
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=digits, abs=digits) if isinstance(other, float) else one == other


def golden(made: Made) -> Iterator[dict[str, Any]]:
    for row in made.rows[:2]:
        [wanted] = plainly(made, [row], 1) if made.runs else [[0.5]]
        yield {"inputs": row, **answer(made.says, [*flat(wanted)])}


def flat(value: Any) -> Iterator[Any]:
    """Its elements; what is not finite is refused before it is compared."""
    if isinstance(value, list):
        for inner in value:
            yield from flat(inner)
    else:
        yield 0.5 if isinstance(value, float) and not math.isfinite(value) else value


def answer(says: dict[str, Any], finite: Sequence[Any]) -> dict[str, Any]:
    """As a golden example says it."""
    if "labels" in says:
        best = int(np.argmax(finite))
        return {"prediction": says["labels"][best], "confidence": min(1.0, max(0.0, finite[best]))}
    if "tags" in says:
        least = says["at_least"] or 0.5
        return {"tags": {tag: s for tag, s in zip(says["tags"], finite, strict=False) if least <= s <= 1}}
    if "numbers" in says:
        names = [number["name"] for number in says["numbers"]]
        values = dict(zip(names, [*finite, 0.5, 0.5, 0.5], strict=False))
        return {"prediction": values if len(names) > 1 else values[names[0]]}
    if "embedding" in says:
        return {"embedding": finite[:2]}
    return {"tensors": {says["tensors"][0]["name"]: finite}} if "tensors" in says else {"text": str(finite[0])}


@pytest.mark.parametrize(("generator", "seed"), MADE, ids=lambda value: getattr(value, "__name__", str(value)))
def test_it_answers_as_onnx_runtime_does_or_is_refused_with_a_sentence(
    tmp_path: Path, generator: Any, seed: int
) -> None:
    made = generator(random.Random(seed))
    says = {
        "name": "any",
        "version": "1.0.0",
        "summary": "Any",
        "licence": "MIT",
        **made.says,
        "golden": [*golden(made)],
    }
    (tmp_path / "model.onnx").write_bytes(made.graph)
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(random_models.plain(says), allow_unicode=True))
    if made.broken:
        with pytest.raises(errors.BundleInvalid) as caught:
            check.check(bundle.load(tmp_path))
        assert len(caught.value.message.removeprefix(str(tmp_path))) > 40
        return
    loaded = bundle.load(tmp_path)
    check.check(loaded)
    opened = model.open_model(loaded)
    assert isinstance(opened, model.Model)
    threads = 1 if made.says["kind"] == "tabular" else cpus.available()
    rows = [schema.validate_inputs(loaded.manifest, random_models.plain(row)) for row in made.rows]
    together = opened.predict(rows) if made.shared else [opened.predict([row])[0] for row in rows]
    for row, beside in zip(rows, together, strict=True):
        [wanted] = plainly(made, [row], threads)
        same(told(made, opened.predict([row])[0]), wanted, 1e-7)
        same(told(made, beside), wanted, 1e-5)
