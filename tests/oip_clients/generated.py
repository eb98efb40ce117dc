"""A client that openapi-python-client generates from the contract of v2 of Coatcheck's own API. That is no client of
the protocol: it hands in the same rows by their names."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.oip_clients import own
from tests.oip_clients.cases import Answer, Given, NotOffered, Questions, Refused, told

URL = os.environ["COATCHECK_URL"]


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        import coatcheck_client

        plain, known = coatcheck_client.Client, coatcheck_client.AuthenticatedClient
        self.client = known(URL, key) if key else plain(URL)

    def takes(self, model: str) -> list[tuple[str, str, list[int]]]:
        from coatcheck_client.api.models import get_model_version

        return own.takes(get_model_version.sync(model, "1.0.0", client=self.client).input_schema.to_dict())

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        """One row as it is, several as a batch."""
        from coatcheck_client import models as the
        from coatcheck_client.api.predictions import predict, predict_batch

        if binary:
            raise NotOffered
        which = {"model": model, **({"model_version": version} if version else {})}
        rows = own.rows(given)
        if len(rows) == 1:
            found = good(predict.sync(client=self.client, body=the.Predict.from_dict({"inputs": rows[0], **which})))
            return answer(found, [found])
        found = good(predict_batch.sync(client=self.client, body=the.Batch.from_dict({"inputs": rows, **which})))
        return answer(found, found.predictions)

    def job(self, model: str, given: Given) -> Answer:
        from coatcheck_client import models as the
        from coatcheck_client.api.jobs import create_job, get_job, get_job_result

        asked = the.NewJob.from_dict({"inputs": own.rows(given), "model": model})
        job = good(create_job.sync(client=self.client, body=asked))
        while job.status in (the.JobStatus.PENDING, the.JobStatus.PROCESSING):
            job = good(get_job.sync(job.job_id, client=self.client, wait=20))
        return answer(job, good(get_job_result.sync(job.job_id, client=self.client)).predictions)


def good(found: Any) -> Any:
    from coatcheck_client import models as the

    if isinstance(found, the.Problem):
        told = [f"{item.field} {item.issue}" for item in found.errors or ()]
        raise Refused("; ".join([found.detail, *told]))
    return found


def answer(whole: Any, items: Sequence[Any]) -> Answer:
    if tensors := getattr(items[0], "tensors", None):
        names = tensors.additional_keys
        outputs = {name: [value for item in items for value in item.tensors[name].data] for name in names}
    else:
        outputs = {"prediction": [item.prediction for item in items]}
    return Answer(whole.model.version, outputs)


with tempfile.TemporaryDirectory() as folder:
    program = str(Path(sys.executable).with_name("openapi-python-client"))
    made = ["--output-path", f"{folder}/coatcheck_client", "--meta", "none", "--fail-on-warning"]
    # What it made is put in order by ruff, which is beside it.
    path = f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [program, "generate", "--url", f"{URL}/openapi/v2.json", *made],
        check=True, stdout=sys.stderr, env={**os.environ, "PATH": path},
    )  # fmt: skip
    sys.path.insert(0, folder)
    told(Client)
