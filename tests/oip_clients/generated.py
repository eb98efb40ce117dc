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

from tests.oip_clients.cases import Answer, Given, NotOffered, Questions, Refused, told

URL = os.environ["COATCHECK_URL"]
DTYPES = {"float32": "FP32", "float16": "FP16"}


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        import coatcheck_client

        plain, known = coatcheck_client.Client, coatcheck_client.AuthenticatedClient
        self.client = known(URL, key) if key else plain(URL)

    def takes(self, model: str) -> list[tuple[str, str, list[int]]]:
        from coatcheck_client.api.models import get_model_version

        schema = get_model_version.sync(model, "1.0.0", client=self.client).input_schema["properties"]
        return [(name, DTYPES[field["items"]["format"]], [-1, -1]) for name, field in schema.items()]

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        if binary:
            raise NotOffered
        found = [self._one(model, {given.name: row}, version) for row in nested(given.values, given.shape)]
        if hasattr(found[0], "tensors"):
            outputs = {"y": [value for item in found for value in item.tensors["y"].data]}
        else:
            outputs = {"prediction": [item.prediction for item in found]}
        return Answer(found[0].model.version, outputs)

    def _one(self, model: str, row: dict[str, Any], version: str | None) -> Any:
        from coatcheck_client import models as the
        from coatcheck_client.api.predictions import predict

        which = {"model_version": version} if version else {}
        asked = the.Predict(the.PredictInputs.from_dict(row), model=model, **which)
        found = predict.sync(client=self.client, body=asked)
        if isinstance(found, the.Problem):
            told = [f"{item.field} {item.issue}" for item in found.errors or ()]
            raise Refused("; ".join([found.detail, *told]))
        return found


def nested(values: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    if len(shape) < 2:
        return list(values)
    size = len(values) // shape[0]
    return [nested(values[at : at + size], shape[1:]) for at in range(0, len(values), size)]


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
