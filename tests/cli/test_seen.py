"""`coatcheck models show` and `try`: what a client learns of a model, and hears from it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

import pytest

from tests import graphs
from tests.cli.conftest import Here
from tests.hands import work

pytestmark = pytest.mark.usefixtures("quiet")
FIELDS = [
    {"name": "x", "type": "number", "minimum": 0, "maximum": 9.5, "description": "How far"},
    {"name": "y", "type": "number", "required": False, "default": 1},
]


def published(here: Here, **says: Any) -> str:
    name = f"m{uuid.uuid4().hex}"
    folder = graphs.bundle(here.folder / name, name=name, **says)
    done = here("models", "push", str(folder))
    assert done.code == 0, done.err
    return name


def test_show_tells_what_goes_in_what_comes_out_and_how_to_try_it(here: Here) -> None:
    name = published(here, fields=FIELDS)
    assert here("models", "push", here.model(name, "1.1.0")).code == 0
    done = here("models", "show", name)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:3] == [
        f"{name} 1.0.0  the stable version; there are also 1.1.0",
        "Which is larger?",
        "kind tabular, answers at once on cpu, licence Apache-2.0",
    ]
    assert [lines[lines.index(title) - 1] for title in ("takes:", "answers:")] == ["", ""]
    cells = [line.split() for line in lines]
    assert ["x", "number", "yes", "from", "0.0,", "to", "9.5", "How", "far"] in cells
    assert ["y", "number", "1"] in cells
    assert ["prediction", "string", "yes", "one", "of", "a,", "b"] in cells
    assert 'example: {"x": 2, "y": 1}' in lines
    assert lines[-1].startswith("curl ")
    other = here("models", "show", name, "--version", "1.1.0")
    assert other.out.splitlines()[0] == f"{name} 1.1.0  1.0.0 is the stable version; there are also 1.0.0"
    assert "curl" not in other.out


def test_several_numbers_are_shown_each_with_its_unit(here: Here) -> None:
    both = graphs.graph("both = Add (features, features)", gives="float[N, 2] both")
    name = f"m{uuid.uuid4().hex}"
    numbers = [{"name": "low", "unit": "CHF"}, {"name": "high"}]
    golden = [{"inputs": {"x": 2, "y": 1}, "prediction": {"low": 4, "high": 2}}]
    graphs.bundle(here.folder / name, both, name=name, labels=None, numbers=numbers, golden=golden)
    assert here("models", "push", str(here.folder / name)).code == 0
    cells = [line.split() for line in here("models", "show", name).out.splitlines()]
    assert ["prediction.low", "number", "yes", "in", "CHF"] in cells
    assert ["prediction.high", "number", "yes"] in cells


def test_try_asks_the_example_and_says_how_long_the_answer_took(here: Here) -> None:
    name = published(here)
    done = here("models", "try", name)
    assert (done.code, json.loads(done.out)) == (0, {"prediction": "a", "confidence": 0.731059})
    assert done.err.startswith(f"{name} 1.0.0 answered in ")
    found = json.loads(here("models", "try", name, "--json").out)
    assert found["took_ms"] >= 0
    assert (found["inputs"], found["job_id"]) == ({"x": 2, "y": 1}, None)


def test_a_field_is_changed_and_all_of_them_are_read_from_a_file(here: Here) -> None:
    name = published(here)
    done = here("models", "try", name, "--input", "x=0.5", "--json")
    assert json.loads(done.out)["inputs"] == {"x": 0.5, "y": 1}
    (here.folder / "row.json").write_text('{"x": 1, "y": 2}')
    done = here("models", "try", name, "--inputs", "row.json", "--json")
    assert json.loads(done.out)["answer"]["prediction"] == "b"
    text = here("models", "try", "sentiment", "--input", "text=1", "--json")
    assert json.loads(text.out)["inputs"]["text"] == "1"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--input", "z=1"), 2, "must be FIELD=VALUE; there are: x, y"),
        (("--input", "x"), 2, "must be FIELD=VALUE"),
        (("--input", "x=two"), 2, "x must be number, as JSON has it"),
        (("--input", "x=true"), 1, ": x must be a number (INVALID_INPUT)"),
        (("--inputs", "bad.json"), 1, "bad.json is no JSON"),
        (("--inputs", "list.json"), 1, "list.json must be a JSON object"),
        (
            ("--version", "9.9.9"),
            1,
            "There are 1: 1.0.0 (MODEL_VERSION_NOT_FOUND)",
        ),
        (("--version", ""), 2, "must not be empty"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(here: Here, words: tuple[str, ...], code: int, told: str) -> None:
    (here.folder / "bad.json").write_text("{")
    (here.folder / "list.json").write_text("[]")
    done = here("models", "try", published(here), *words)
    assert (done.code, done.out) == (code, "")
    assert told in done.err


@pytest.mark.parametrize("name", [".", "..", "a/../sentiment", "sentiment/versions/1.0.0"])
def test_what_would_lead_elsewhere_in_an_address_is_no_name(here: Here, name: str) -> None:
    for words in (
        ("models", "show", name),
        ("models", "show", "sentiment", "--version", name),
        ("load", "--model", name),
    ):
        done = here(*words, "--json")
        assert (done.code, json.loads(done.err)["error"]["code"]) == (2, "USAGE")
    assert json.loads(here("models", "show", "sentiment?", "--json").err)["error"]["code"] == "MODEL_NOT_FOUND"


def test_what_is_no_text_is_refused_by_the_platform(here: Here) -> None:
    (here.folder / "row.json").write_text('{"text": "\\ud800"}')
    done = here("models", "try", "sentiment", "--inputs", "row.json", "--json")
    assert (done.code, done.out) == (1, "")
    assert json.loads(done.err.splitlines()[-1])["error"]["code"] == "MALFORMED_REQUEST"


def test_a_model_that_takes_a_file_is_tried_with_submit(here: Here) -> None:
    done = here("models", "try", "speech")
    assert (done.code, "`coatcheck submit FILE --model speech`" in done.err) == (1, True)
    assert here("models", "show", "speech").code == 0


def test_what_is_answered_by_a_job_is_waited_for(here: Here) -> None:
    name = published(here, inline=False)

    def worker() -> None:
        ends_at = time.monotonic() + 30
        while time.monotonic() < ends_at and not here.platform.rows("SELECT FROM jobs WHERE status = 'pending'"):
            time.sleep(0.05)
        work(here.platform)

    thread = threading.Thread(target=worker)
    thread.start()
    done = here("models", "try", name, "--json")
    thread.join()
    assert done.code == 0, done.err
    found = json.loads(done.out)
    # What `work` says to everything.
    assert found["answer"]["prediction"] == "positive"
    assert found["job_id"].startswith("job_")
