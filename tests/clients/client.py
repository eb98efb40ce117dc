"""A client in Python: made by openapi-python-client."""

from __future__ import annotations

import base64
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
from coatcheck_client import AuthenticatedClient
from coatcheck_client import models as the
from coatcheck_client.api.jobs import create_job, get_job
from coatcheck_client.api.predictions import predict
from coatcheck_client.api.uploads import create_upload
from coatcheck_client.api.webhooks import create_webhook, delete_webhook
from standardwebhooks import Webhook

api = AuthenticatedClient(os.environ["COATCHECK_URL"], os.environ["COATCHECK_API_KEY"], timeout=httpx.Timeout(30))
PORT = int(os.environ["PORT"])


def good(answer: Any) -> Any:
    if isinstance(answer, the.Envelope):
        raise SystemExit(f"{answer.error.code}: {answer.error.message}")
    return answer


def ended(job_id: str) -> the.Job:
    while True:
        job = good(get_job.sync(job_id, client=api, wait=20))
        if job.status not in (the.JobStatus.PENDING, the.JobStatus.PROCESSING):
            return job


def bulk() -> list[str]:
    rows = b'{"text": "great"}\n{"text": "awful"}\n'
    asked = the.NewUpload(the.NewUploadContentType.APPLICATIONX_NDJSON, size=len(rows), filename="rows.jsonl")
    place = good(create_upload.sync(client=api, body=asked))
    httpx.post(place.url, data=place.fields.to_dict(), files={"file": rows}).raise_for_status()
    made = good(create_job.sync(client=api, body=the.NewJob(model="sentiment", upload_id=place.upload_id)))
    return httpx.get(ended(made.job_id).result.output_url).text.splitlines()


def called() -> str:
    asked = the.NewEndpoint(f"http://127.0.0.1:{PORT}/hook", [the.NewEndpointEventsItem.JOB_COMPLETED])
    endpoint = good(create_webhook.sync(client=api, body=asked))
    events: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            events.append(Webhook(endpoint.secret).verify(body, dict(self.headers))["type"])
            self.send_response(204)
            self.end_headers()

    with HTTPServer(("127.0.0.1", PORT), Receiver) as server:
        once = threading.Thread(target=server.handle_request)
        once.start()
        good(
            create_job.sync(
                client=api,
                body=the.NewJob(model="sentiment", inputs=the.NewJobInputsType0.from_dict({"text": "great"})),
            )
        )
        once.join(60)
    delete_webhook.sync_detailed(endpoint.id, client=api)
    return events[0]


one = the.PredictInputs.from_dict({"text": "great"})
now = good(predict.sync(client=api, body=the.Predict(one, model="sentiment")))
print("predict", now.prediction, now.confidence)


def asked(model: str, **inputs: Any) -> Any:
    return good(predict.sync(client=api, body=the.Predict(the.PredictInputs.from_dict(inputs), model=model)))


orange = base64.b64encode(Path("orange.png").read_bytes()).decode()
print("a number", asked("clients-price", x=2, y=1).prediction)
print("a vector", asked("clients-vector", x=2, y=1).embedding)
print("a picture", asked("clients-picture", image=orange).prediction.to_dict())

two = [the.NewJobInputsType1Item.from_dict({"text": text}) for text in ("great", "awful")]
job = ended(good(create_job.sync(client=api, body=the.NewJob(model="sentiment", inputs=two))).job_id)
print("job", job.model, job.priority, job.result)

print("bulk", len(bulk()), "rows")
print("webhook", called())
print("error", get_job.sync("job_none", client=api).error.code)
