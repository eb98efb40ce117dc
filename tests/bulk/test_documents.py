"""A job whose input is a document, with the optional bundle that reads them."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import flask.testing
import pytest
from PIL import Image

from inference import bundle
from tests.bulk.conftest import Run, Send
from tests.bulk.test_audio import pieces
from tests.bulk.test_life import show
from tests.conftest import ROOT, Platform, until
from tests.inference.hostile import jpeg, pdf_of

Client = flask.testing.FlaskClient
DOCUMENTS = ROOT / "bundles" / "extra" / "documents"
GOLDEN = DOCUMENTS / "golden.png"


@pytest.fixture(autouse=True)
def documents(platform: Platform, client: Client) -> Iterator[None]:
    platform.catalog.publish(bundle.load(DOCUMENTS))
    until(lambda: "documents" in client.get("/api/v1/models").text)
    yield
    for table, column in (("model_versions", "model"), ("models", "name")):
        platform.execute(f"DELETE FROM {table} WHERE {column} = 'documents'")
    until(lambda: "documents" not in client.get("/api/v1/models").text)


def submit(client: Client, upload_id: str, **asked: Any) -> str:
    answer = client.post("/api/v1/jobs", json={"model": "documents", "upload_id": upload_id, **asked})
    assert answer.status_code == 202, answer.text
    return str(answer.json["job_id"])


def golden_pages(count: int) -> bytes:
    page, stream = Image.open(GOLDEN).convert("RGB"), io.BytesIO()
    page.save(stream, "PDF", save_all=True, append_images=[page] * (count - 1))
    return stream.getvalue()


def test_every_page_of_a_document_is_read(client: Client, upload: Send, work: Run) -> None:
    golden = bundle.load(DOCUMENTS).manifest.golden[0]
    expected = golden.answer["lines"]
    pdf, png = upload(golden_pages(2), "application/pdf"), upload(GOLDEN.read_bytes(), "image/png")
    jobs = [submit(client, pdf, inputs={"dpi": 150}), submit(client, png)]
    work()
    for job_id, pages in zip(jobs, (2, 1), strict=True):
        job = show(client, job_id)
        assert job["status"] == "completed", job
        read = [[line["text"] for line in page["lines"]] for page in job["result"]["pages"]]
        assert read == [expected] * pages


def test_each_line_is_told_with_its_page_when_it_is_read(client: Client, upload: Send, work: Run) -> None:
    job_id = submit(client, upload(golden_pages(2), "application/pdf"), inputs={"dpi": 150})
    work()
    told = [piece for event in pieces(client, job_id) for piece in event]
    found = [
        {"page": page["page"], **line} for page in show(client, job_id)["result"]["pages"] for line in page["lines"]
    ]
    assert sorted(map(str, told)) == sorted(map(str, found)) != []
    assert [piece["page"] for piece in told] == sorted(piece["page"] for piece in told)


def test_a_document_of_many_pages_shows_its_progress_and_can_be_canceled_in_the_middle(
    client: Client, upload: Send, drainer: Any
) -> None:
    job_id = submit(client, upload(golden_pages(60), "application/pdf"))
    running = drainer.settler.__class__(1).submit(drainer.drain, "cpu", "wake")
    until(lambda: 0 < show(client, job_id)["progress"] < 99)
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    running.result(30)
    job = show(client, job_id)
    assert (job["status"], job["progress"] < 99) == ("canceled", True)


@pytest.mark.parametrize(
    ("data", "code"),
    [(GOLDEN.read_bytes()[:2000], "INPUT_UNREADABLE"), (golden_pages(201), "INPUT_TOO_LARGE")],
    ids=["cut", "pages"],
)
def test_a_document_that_cannot_be_read_ends_as_that(
    client: Client, upload: Send, work: Run, data: bytes, code: str
) -> None:
    job_id = submit(client, upload(data, "application/pdf" if code == "INPUT_TOO_LARGE" else "image/png"))
    work()
    assert show(client, job_id)["error"]["code"] == code


def ends(client: Client, *jobs: str) -> list[Any]:
    """What the jobs came to: their status, and the code of their error."""
    shown = [show(client, job_id) for job_id in jobs]
    return [(job["status"], job.get("error", {}).get("code")) for job in shown]


def test_a_jpeg_of_thousands_of_scans_is_refused_and_holds_up_nobody(client: Client, upload: Send, work: Run) -> None:
    hostile = submit(client, upload(jpeg(12_000), "image/jpeg"))
    other = submit(client, upload(GOLDEN.read_bytes(), "image/png"))
    started = time.monotonic()
    work()
    # It took 96 s.
    assert time.monotonic() - started < 60
    assert ends(client, hostile, other) == [("failed", "INPUT_TOO_LARGE"), ("completed", None)]


def test_a_page_that_takes_long_ends_by_its_time_and_the_next_job_is_answered(
    client: Client, upload: Send, work: Run
) -> None:
    hostile = submit(client, upload(pdf_of(jpeg(12_000)), "application/pdf"), timeout_s=1)
    other = submit(client, upload(GOLDEN.read_bytes(), "image/png"))
    work()
    assert ends(client, hostile, other) == [("failed", "TIMED_OUT"), ("completed", None)]


def test_a_page_that_takes_long_ends_by_a_cancel(client: Client, upload: Send, drainer: Any) -> None:
    job_id = submit(client, upload(pdf_of(jpeg(12_000)), "application/pdf"))
    running = drainer.settler.__class__(1).submit(drainer.drain, "cpu", "wake")
    until(lambda: show(client, job_id)["status"] == "processing")
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    running.result(30)
    assert ends(client, job_id) == [("canceled", None)]


def test_a_document_is_no_audio_and_no_rows(client: Client, upload: Send) -> None:
    given = {kind: upload(b"x", kind) for kind in ("image/png", "audio/wav", "text/csv")}

    def field(model: str, kind: str) -> Any:
        answer = client.post("/api/v1/jobs", json={"model": model, "upload_id": given[kind]})
        assert answer.status_code == 422, answer.text
        return answer.json["error"]["details"]["field"]

    assert field("documents", "audio/wav") == field("documents", "text/csv") == "upload_id"
    assert field("speech", "image/png") == field("sentiment", "image/png") == "upload_id"
