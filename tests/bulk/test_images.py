"""A model of pictures through every door: in a request, as a file, and as rows of a file."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shlex
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask.testing
import jsonschema
import pytest
from PIL import Image

from inference import bundle
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import lines, output, show, submit
from tests.conftest import Platform, until
from tests.inference import drawn
from tests.inference.drawn import encoded, noise, plain, row

Client = flask.testing.FlaskClient
Publish = Callable[..., str]

RED, BLUE = row(plain(255, 0, 0)), row(plain(0, 0, 255))
SAID_RED, SAID_BLUE = ({"prediction": {"red": red, "green": 0.0, "blue": 1.0 - red}} for red in (1.0, 0.0))
NONE = row(b"no picture")
FAULT: dict[str, Any] = {
    "code": "INPUT_UNREADABLE",
    "message": "The picture cannot be read as PNG, JPEG or WebP",
    "details": {"field": "image", "issue": "cannot be read as PNG, JPEG or WebP"},
}


@pytest.fixture
def publish(platform: Platform, client: Client, tmp_path: Path) -> Publish:
    """The name under which a model is published, and known to whoever answers."""

    def go(**says: Any) -> str:
        name = f"pictures-{uuid.uuid4().hex}"
        assert platform.catalog.publish(bundle.load(drawn.bundle(tmp_path / name, name=name, **says)))
        until(lambda: client.get(f"/api/v1/models/{name}").status_code == 200)
        return name

    return go


def handed_in(client: Client, name: str, **asked: Any) -> str:
    answer = client.post("/api/v1/jobs", json={"model": name, **asked})
    assert answer.status_code == 202, answer.text
    return str(answer.json["job_id"])


def table(rows: list[dict[str, str]]) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def test_an_answer_is_the_same_in_a_job_in_a_list_in_files_of_rows_and_as_a_file(
    client: Client, upload: Send, work: Run, publish: Publish
) -> None:
    name, rows, wanted = publish(), [RED, BLUE], [SAID_RED, SAID_BLUE]
    one, several = (handed_in(client, name, inputs=inputs) for inputs in (RED, rows))
    waited = client.post("/api/v1/predict", json={"model": name, "inputs": RED}, headers={"Prefer": "respond-async"})
    jsonl, table_ = upload(lines(rows)), upload(table(rows), "text/csv")
    by_lines, by_table = submit(client, jsonl, model=name), submit(client, table_, model=name)
    red = Image.new("RGB", (50, 40), (255, 0, 0))
    files = [
        submit(client, upload(encoded(red, form, **how), f"image/{form.lower()}"), model=name)
        for form, how in (("PNG", {}), ("WEBP", {"lossless": True}))
    ]
    work()
    assert show(client, one)["result"] == SAID_RED
    assert show(client, waited.json["job_id"])["result"] == SAID_RED
    assert show(client, several)["result"] == {"predictions": wanted}
    for job_id in (by_lines, by_table):
        found = output(show(client, job_id))
        assert [{"prediction": line["prediction"]} for line in found] == wanted
    for job_id in files:
        assert show(client, job_id)["result"] == SAID_RED
        assert client.get(f"/api/v1/jobs/{job_id}/result").json == SAID_RED


def test_predict_waits_for_a_worker_to_look_at_the_picture(client: Client, work: Run, publish: Publish) -> None:
    name = publish()

    def said(inputs: object, batch: str = "") -> Any:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.post, f"/api/v1/predict{batch}", json={"model": name, "inputs": inputs})
            while not asked.done():
                work()
            return asked.result()

    blue, none, one_of_two = said(BLUE), said(NONE), said([BLUE, NONE], "/batch")
    assert blue.status_code == 200, blue.text
    assert SAID_BLUE.items() <= blue.json.items()
    for answer, field in ((none, "image"), (one_of_two, "inputs.1.image")):
        error = answer.json["error"]
        assert (answer.status_code, error["code"], error["details"]["field"]) == (422, "INPUT_UNREADABLE", field)


def test_a_photograph_is_answered_as_a_file(client: Client, upload: Send, work: Run, publish: Publish) -> None:
    jpeg = encoded(Image.new("RGB", (3000, 2000), (0, 0, 254)), "JPEG")
    job_id = submit(client, upload(jpeg, "image/jpg", filename="photo.jpg"), model=publish())
    work()
    assert show(client, job_id)["result"]["prediction"]["blue"] == pytest.approx(254 / 255, abs=0.01)


def test_a_picture_that_is_none_is_its_own_rows_error_alone(
    client: Client, upload: Send, work: Run, publish: Publish
) -> None:
    name, rows = publish(), [RED, NONE, BLUE]
    individual = handed_in(client, name, inputs=rows, options={"return_errors": "individual"})
    all_or_none, alone = handed_in(client, name, inputs=rows), handed_in(client, name, inputs=NONE)
    neighbour, by_lines = handed_in(client, name, inputs=RED), submit(client, upload(lines(rows)), model=name)
    work()
    assert show(client, individual)["result"] == {"predictions": [SAID_RED, {"error": FAULT}, SAID_BLUE]}
    for job_id, field in ((all_or_none, "inputs.1.image"), (alone, "image")):
        job = show(client, job_id)
        assert (job["status"], job["attempt"], job["error"]["code"]) == ("failed", 1, FAULT["code"])
        assert job["error"]["details"] == {**FAULT["details"], "field": field}
    assert show(client, neighbour)["result"] == SAID_RED
    found = show(client, by_lines)
    assert found["rows"] == {"total": 3, "done": 3, "failed": 1}
    assert [line.get("error") for line in output(found)] == [None, FAULT, None]
    assert [line["line"] for line in output(found, "errors")] == [2]


def test_what_is_no_base64_is_refused_at_once(client: Client, upload: Send, work: Run, publish: Publish) -> None:
    name, bad = publish(), {"image": "data:image/png;base64,AAAA"}
    refused = client.post("/api/v1/jobs", json={"model": name, "inputs": [RED, bad]})
    assert (refused.status_code, refused.json["error"]["details"]["field"]) == (422, "inputs.1.image")
    job_id = submit(client, upload(lines([RED, bad])), model=name)
    work()
    [fault] = output(show(client, job_id), "errors")
    assert fault["error"]["details"]["issue"].startswith("must be base64 of a picture")


def test_a_file_that_is_no_picture_fails_as_that(client: Client, upload: Send, work: Run, publish: Publish) -> None:
    job_id = submit(client, upload(b"no picture", "image/png"), model=publish())
    work()
    job = show(client, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "INPUT_UNREADABLE")


@pytest.mark.parametrize(
    ("file", "asked", "field"),
    [
        ("image/png", {"inputs": {}}, "inputs"),
        ("image/png", {"inputs": RED}, "inputs"),
        ("image/png", {"options": {"format": "csv"}}, "options.format"),
        ("image/png", {"options": {"return_errors": "individual"}}, "options.return_errors"),
        ("text/csv", {"inputs": RED}, "inputs"),
        ("image/tiff", {}, "upload_id"),
        ("audio/wav", {}, "upload_id"),
    ],
)
def test_what_does_not_go_with_a_file_is_refused(
    client: Client, upload: Send, publish: Publish, file: str, asked: dict[str, Any], field: str
) -> None:
    body = {"model": publish(), "upload_id": upload(plain(1, 2, 3), file), **asked}
    refused = client.post("/api/v1/jobs", json=body)
    assert (refused.status_code, refused.json["error"]["details"]["field"]) == (422, field)


def test_a_file_at_a_url_is_a_picture_unless_something_says_that_it_holds_rows(
    client: Client, platform: Platform, work: Run, publish: Publish
) -> None:
    name, s3 = publish(), platform.store.client
    picture, rows = plain(255, 0, 0), lines([RED])
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket="inbox")
    jobs = []
    for key, data, options in (
        ("red.png", picture, {}),
        ("without-an-ending", picture, {}),
        ("rows.jsonl", rows, {}),
        ("other", rows, {"format": "jsonl"}),
    ):
        s3.put_object(Bucket="inbox", Key=key, Body=data)
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "inbox", "Key": key}, ExpiresIn=600)
        jobs.append(handed_in(client, name, input_url=url, options=options))
    work()
    whole, unnamed, by_name, by_option = (show(client, job_id) for job_id in jobs)
    assert whole["result"] == unnamed["result"] == SAID_RED
    assert [len(output(job)) for job in (by_name, by_option)] == [1, 1]


def test_scores_can_be_asked_for_with_a_file(client: Client, upload: Send, work: Run, publish: Publish) -> None:
    golden = [{"file": "golden.png", "prediction": "red", "confidence": 1}]
    labels = ["red", "green", "blue"]
    name = publish(labels=labels, numbers=None, golden=golden, explanation=["simple"], picture=plain(255, 0, 0))
    job_id = submit(client, upload(plain(0, 0, 255), "image/png"), model=name, options={"explain": "simple"})
    work()
    said = show(client, job_id)["result"]
    assert (said["prediction"], said["explanation"]["scores"]["blue"]) == ("blue", 1.0)


def test_a_model_says_what_it_takes_and_has_an_example_that_works(client: Client, work: Run, publish: Publish) -> None:
    name = publish()
    model = client.get(f"/api/v1/models/{name}").json
    version = client.get(f"/api/v1/models/{name}/versions/1.0.0").json
    assert version["file_types"] == [
        "image/png", "image/jpeg", "image/webp", "application/x-ndjson", "text/csv", "application/gzip",
    ]  # fmt: skip
    assert model["example"] == {"model": name, "inputs": row(plain(255, 102, 0))}
    jsonschema.validate(version["example"], model["input_schema"])
    *_, address, data, body = shlex.split(model["curl"])
    assert (address, data, json.loads(body)) == ("$COATCHECK_URL/api/v1/predict", "-d", model["example"])
    job_id = handed_in(client, name, inputs=version["example"])
    work()
    said = show(client, job_id)["result"]
    jsonschema.validate(said, model["output_schema"])
    assert said["prediction"]["green"] == pytest.approx(0.4)


def test_an_example_that_is_too_large_to_be_shown_is_one_by_file(client: Client, publish: Publish) -> None:
    name = publish(picture=encoded(noise(100, 100)), golden=[
        {"file": "golden.png", "prediction": {"red": 0.5, "green": 0.5, "blue": 0.5}},
    ], numbers=drawn.NUMBERS, options={"scale": 1e-9, "mean": [-0.5] * 3})  # fmt: skip
    model = client.get(f"/api/v1/models/{name}").json
    assert model["example"] == {"model": name, "upload_id": "upl_…"}
    assert "curl" not in model
