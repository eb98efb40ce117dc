from __future__ import annotations

import io
import shutil
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from core import errors
from inference import bundle, check, device, model, schema
from inference.manifest import Manifest
from tests import graphs

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
SHIPPED = sorted(path.parent.name for path in BUNDLES.glob("*/model.yaml"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the smallest bundle, to break."""
    return Path(shutil.copytree(BUNDLES / "tumor", tmp_path / "bundle"))


@pytest.fixture(scope="module")
def sentiment() -> model.Model:
    opened = model.open_model(bundle.load(BUNDLES / "sentiment-1"))
    assert isinstance(opened, model.Model)
    return opened


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_bundles_answer_their_golden_examples(name: str) -> None:
    check.check(bundle.load(BUNDLES / name))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_bundles_say_how_good_they_are_and_under_which_licence(name: str) -> None:
    assert "accuracy" in (BUNDLES / name / "CARD.md").read_text()
    assert (BUNDLES / name / "LICENSE").exists()


@pytest.mark.parametrize("said", [b"", "What it is \u2014 and is not".encode(), b"a" * bundle.MAX_CARD])
def test_a_card_is_text_of_its_own_length(copy: Path, said: bytes) -> None:
    (copy / "CARD.md").write_bytes(said)
    assert bundle.load(copy).card == said.decode()
    (copy / "CARD.md").unlink()
    assert bundle.load(copy).card is None


@pytest.mark.parametrize(
    "said", [b"a" * (bundle.MAX_CARD + 1), b"\xff\xfe", b"a\0b", b"a" * (bundle.MAX_CARD - 1) + b"\xc3\xa9"]
)
def test_a_card_that_is_no_text_or_too_long_is_refused(copy: Path, said: bytes) -> None:
    (copy / "CARD.md").write_bytes(said)
    with pytest.raises(errors.BundleInvalid, match=r"CARD\.md must be at most 65536 bytes of text in UTF-8"):
        bundle.load(copy)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_manifest_survives_its_round_trip(name: str) -> None:
    manifest = bundle.load(BUNDLES / name).manifest
    assert Manifest.from_dict(manifest.to_dict()).to_dict() == manifest.to_dict()


def test_a_bundle_that_breaks_its_promise_is_refused(copy: Path) -> None:
    text = (copy / "model.yaml").read_text()
    (copy / "model.yaml").write_text(text.replace("prediction: benign", "prediction: malignant"))
    with pytest.raises(errors.BundleInvalid, match="golden example"):
        check.check(bundle.load(copy))


def test_a_model_that_is_no_model_is_refused(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(errors.BundleInvalid, match="is no ONNX file, or damaged"):
        check.check(bundle.load(copy))


@pytest.mark.parametrize(
    ("change", "named"),
    [("name: tumor\n", "name"), ("version: 1.0.0\n", "version"), ("kind: tabular\n", "kind")],
)
def test_a_manifest_without_something_is_refused_by_its_name(copy: Path, change: str, named: str) -> None:
    (copy / "model.yaml").write_text((copy / "model.yaml").read_text().replace(change, ""))
    with pytest.raises(errors.BundleInvalid, match=named):
        bundle.load(copy)


def test_an_unknown_word_in_a_manifest_is_refused(copy: Path) -> None:
    (copy / "model.yaml").write_text((copy / "model.yaml").read_text() + "colour: blue\n")
    with pytest.raises(errors.BundleInvalid, match="colour"):
        bundle.load(copy)


def test_any_changed_byte_changes_the_digest(copy: Path) -> None:
    before = bundle.load(copy).digest
    (copy / "LICENSE").write_text("other")
    assert bundle.load(copy).digest != before


def test_packing_keeps_the_digest_and_gives_the_same_bytes(copy: Path, tmp_path: Path) -> None:
    loaded = bundle.load(copy)
    assert graphs.pack(loaded) == graphs.pack(loaded)
    bundle.unpack(io.BytesIO(graphs.pack(loaded)), tmp_path / "out")
    assert bundle.digest(tmp_path / "out") == loaded.digest


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil"])
def test_a_tar_that_leads_out_of_its_folder_is_refused_or_contained(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(errors.BundleInvalid):
        bundle.unpack(io.BytesIO(buffer.getvalue()), tmp_path / "out")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("inputs", "issue"),
    [
        ({}, "is required"),
        ({"text": None}, "must not be null"),
        ({"text": 1}, "must be a string"),
        ({"text": "x" * 1001}, "exceeds maximum length of 1000 characters"),
        ({"text": " "}, "must not be blank"),
        ({"text": "a", "confidence_threshold": "0.5"}, "must be a number"),
        ({"text": "a", "confidence_threshold": True}, "must be a number"),
        ({"text": "a", "confidence_threshold": float("nan")}, "must be a finite number"),
        ({"text": "a", "confidence_threshold": float("inf")}, "must be a finite number"),
        ({"text": "a", "confidence_threshold": 10**400}, "must be a finite number"),
        ({"text": "a", "confidence_threshold": -0.1}, "must be at least 0"),
        ({"text": "a", "language": "de"}, "must be one of: en"),
        ({"text": "a", "extra": 1}, "is not a field of this model"),
        ("text", "must be an object"),
    ],
)
def test_nothing_is_coerced(sentiment: model.Model, inputs: Any, issue: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        schema.validate_inputs(sentiment.bundle.manifest, inputs)
    assert issue in caught.value.errors[0]["issue"]


def test_defaults_are_filled_in(sentiment: model.Model) -> None:
    found = schema.validate_inputs(sentiment.bundle.manifest, {"text": "a"})
    assert found == {"text": "a", "language": "en", "confidence_threshold": 0.0}


def test_a_batch_answers_as_its_inputs_do_alone(sentiment: model.Model) -> None:
    rows = [{"text": text, "confidence_threshold": 0.0} for text in ("good", "bad, awful", "fine I guess", "")]
    assert sentiment.predict(rows) == [sentiment.predict([row])[0] for row in rows]


def test_threads_share_a_model(sentiment: model.Model) -> None:
    row = {"text": "a wonderful day", "confidence_threshold": 0.0}
    expected, found = sentiment.predict([row]), []
    threads = [threading.Thread(target=lambda: found.extend(sentiment.predict([row]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected * 8


def test_a_provider_that_is_not_there_is_not_silently_replaced(copy: Path) -> None:
    with pytest.raises((errors.BundleInvalid, ValueError), match="CUDA"):
        model.open_model(bundle.load(copy), device=device.named("cuda", 100))


@pytest.mark.parametrize(
    ("field", "given", "issue"),
    [
        ({"type": "integer"}, 1.5, "must be an integer"),
        ({"type": "boolean"}, 1, "must be a boolean"),
        ({"type": "string", "min_length": 1}, " \n", "must not be blank"),
        ({"type": "string", "min_length": 1}, "", "must not be blank"),
        (
            {"type": "string", "min_length": 3},
            " ab ",
            "must have at least 3 characters, without the white space around them",
        ),
    ],
)
def test_what_a_field_must_be_is_said_in_english(field: dict[str, Any], given: object, issue: str) -> None:
    manifest = Manifest.from_dict(graphs.manifest(fields=[{"name": "it", **field}]))
    with pytest.raises(errors.InvalidInput) as caught:
        schema.validate_inputs(manifest, {"it": given})
    assert caught.value.errors == [{"field": "it", "issue": issue}]


@pytest.mark.parametrize(
    "name", ["Adj. Close*", "a.b.c", ".", "Meta", "load", "fields", "_schema", "größe", "Unnamed: 0"]
)
def test_a_field_may_have_any_name_that_a_column_has(name: str) -> None:
    fields = [{"name": name, "type": "number"}, {"name": "a", "type": "number", "required": False, "default": 2.0}]
    manifest = Manifest.from_dict(graphs.manifest(fields=fields))
    assert schema.validate_inputs(manifest, {name: 1.5}) == {name: 1.5, "a": 2.0}
    with pytest.raises(errors.InvalidInput) as caught:
        schema.validate_inputs(manifest, {name: "x"}, name="inputs.0")
    assert caught.value.errors[0]["issue"] == "must be a number"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_numbers_are_a_matrix_however_few_there_are(tmp_path: Path, count: int) -> None:
    """One of them made a vector once, which no graph takes."""
    names = ["x", "y", "z"][:count]
    body = (
        "most = ReduceMax <axes = [1]> (features) none = Mul(most, zero) probabilities = Concat <axis = 1> (most, none)"
    )
    made = graphs.graph(body, takes=f"float[N, {count}] features")
    golden = [{"inputs": dict.fromkeys(names, 1), "prediction": "a", "confidence": 1}]
    fields = [{"name": name, "type": "number"} for name in names]
    check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made, fields=fields, golden=golden)))
