"""A kind of models that nobody has thought of: all of it is in this file, and the platform serves it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import flask.testing
import numpy as np
import pytest
import yaml

from core import errors
from inference import bundle, check, keys, kinds, model
from inference.bundle import Bundle
from inference.faults import Fault
from inference.keys import Key
from inference.kinds.rows import RowKind
from inference.manifest import Golden, Manifest
from inference.output import Label
from tests import graphs
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import lines, output, show, submit
from tests.conftest import Platform, until

Client = flask.testing.FlaskClient


class Letters:
    """How many letters of a word are vowels and how many are not, float32 [N, 2]."""

    def __init__(self, bundle: Bundle) -> None:
        self._vowels = set((bundle.folder / "vowels.txt").read_text())
        self._most = bundle.manifest.options.get("most", 100)

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        found = [[letter in self._vowels for letter in row["word"][: self._most]] for row in rows]
        return {"counts": np.array([[sum(word), len(word) - sum(word)] for word in found], np.float32)}


class LettersKind(RowKind):
    """Its golden examples say what a word is, however sure the model is of it."""

    graphs = ("counter.onnx",)
    files = ("vowels.txt",)
    one_thread = True
    apart = True
    arena = False
    option_keys: ClassVar[Mapping[str, Key] | None] = {"most": keys.whole(1, 1000)}
    golden_keys: ClassVar[Mapping[str, Key]] = {
        "inputs": keys.mapping(required=True),
        "prediction": keys.text(required=True),
    }

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        if [(field.name, field.type) for field in manifest.fields if field.always] != [("word", "string")]:
            yield Fault(("fields",), "must hold a word, and nothing else")

    def missed(self, golden: Golden, found: Label) -> str | None:
        wanted = golden.answer["prediction"]
        return None if found.label == wanted else f"has more {wanted}, but was answered {found.label}"

    def hint(self, answered: Iterable[tuple[Golden, Label]]) -> str:
        return "; are all vowels in vowels.txt?"


KIND = LettersKind(Letters)


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the kind, which is installed, and of its model."""
    found = f"letters{uuid.uuid4().hex}"
    graphs.plug_in(tmp_path, found, f"from {__name__} import KIND as Kind")
    monkeypatch.syspath_prepend(tmp_path)
    return found


@pytest.fixture
def folder(tmp_path: Path, name: str) -> Path:
    """A bundle of the kind."""
    made = tmp_path / "bundle"
    made.mkdir()
    counter = graphs.graph("probabilities = Softmax <axis = 1> (counts)", takes="float[N, 2] counts")
    (made / "counter.onnx").write_bytes(counter)
    (made / "vowels.txt").write_text("aeiou")
    says = graphs.manifest(
        name=name, kind=name, fields=[{"name": "word", "type": "string"}], labels=["vowels", "consonants"],
        golden=[{"inputs": {"word": "ooze"}, "prediction": "vowels"}],
    )  # fmt: skip
    (made / "model.yaml").write_text(yaml.safe_dump(says))
    return made


def test_it_answers_inline_as_a_job_and_the_rows_of_a_file(
    platform: Platform, client: Client, upload: Send, work: Run, folder: Path, name: str
) -> None:
    assert platform.catalog.publish(bundle.load(folder))
    until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
    until(lambda: name in {item.model for item in platform.catalog.versions()})
    inline = client.post("/api/v1/predict", json={"model": name, "inputs": {"word": "ooze"}})
    assert (inline.status_code, inline.json["prediction"], inline.json["confidence"]) == (200, "vowels", 0.880797)
    ticket = client.post("/api/v1/jobs", json={"model": name, "inputs": [{"word": "ooze"}, {"word": "rhythm"}]})
    file = submit(client, upload(lines([{"word": "queue"}, {"word": 7}, {"word": "sky"}])), model=name)
    work()
    answers = show(client, ticket.json["job_id"])["result"]["predictions"]
    assert [answer["prediction"] for answer in answers] == ["vowels", "consonants"]
    rows = output(show(client, file))
    assert [row.get("prediction") for row in rows] == ["vowels", None, "consonants"]
    assert rows[1]["error"]["details"] == {"field": "word", "issue": "must be a string"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("name: word", "name: text", "fields must hold a word, and nothing else"),
        (
            "prediction: vowels",
            "prediction: tones",
            "prediction of golden example 1 must be one of: vowels, consonants",
        ),
        ("prediction: vowels", "confidence: 0.9", "confidence of golden example 1 is unknown"),
        ("inline: true", "options: {least: 7}", "least of options is unknown; there are: most"),
        ("word: ooze", "word: rhythm", "example 1 has more vowels, but was answered consonants; are all vowels in vow"),
    ],
)
def test_what_does_not_keep_its_rules_is_refused_in_its_words(folder: Path, old: str, new: str, says: str) -> None:
    text = (folder / "model.yaml").read_text()
    assert old in text
    (folder / "model.yaml").write_text(text.replace(old, new))
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(folder))
    assert says in caught.value.message


@pytest.mark.parametrize("file", ["counter.onnx", "vowels.txt"])
def test_a_bundle_without_one_of_its_files_is_refused(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(errors.BundleInvalid, match=f"has no file {file}"):
        bundle.load(folder)


def test_a_session_is_opened_as_it_says(folder: Path) -> None:
    opened = model.open_model(bundle.load(folder), threads=2)
    assert isinstance(opened, model.Model)
    [(_, session)] = opened.graphs
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.enable_cpu_mem_arena) == (1, False)


def test_where_it_is_not_installed_its_models_are_listed_and_not_opened(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = bundle.load(folder).manifest.to_dict()
    monkeypatch.undo()
    manifest = Manifest.from_dict(listed)
    assert (manifest.takes_file, manifest.file_types, manifest.to_dict()) == (False, (), listed)
    with pytest.raises(errors.BundleInvalid, match=f"kind '{name}' is not installed; there are: tabular, text"):
        kinds.find(name)
