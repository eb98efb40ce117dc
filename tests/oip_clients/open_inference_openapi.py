"""open-inference-openapi: generated from the protocol's own OpenAPI document. It has no binary data."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import httpx
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.types.inference_request import InferenceRequest

from tests.oip_clients.cases import Answer, Given, NotOffered, Questions, Refused, told

URL = os.environ["COATCHECK_URL"]


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = OpenInferenceClient(base_url=URL, httpx_client=httpx.Client(headers=headers, timeout=60))

    def live(self) -> bool:
        self.client.check_server_liveness()
        return True

    def ready(self) -> bool:
        self.client.check_server_readiness()
        return True

    def model_ready(self, model: str) -> bool:
        self.client.check_model_readiness(model)
        return True

    def server(self) -> str:
        return str(self.client.read_server_metadata().name)

    def takes(self, model: str) -> list[tuple[str, str, list[int]]]:
        found = self.client.read_model_metadata(model)
        return [(item.name, item.datatype, item.shape) for item in found.inputs]

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        if binary:
            raise NotOffered
        item = {"name": given.name, "datatype": given.datatype, "shape": given.shape, "data": list(given.values)}
        request = InferenceRequest.parse_obj({"inputs": [item]})
        if version:
            found = asked(lambda: self.client.model_version_infer(model, version, request=request))
        else:
            found = asked(lambda: self.client.model_infer(model, request=request))
        return Answer(found.model_version, {item.name: plain(item.data) for item in found.outputs})


def plain(data: Any) -> list[Any]:
    return list(getattr(data, "__root__", data))


def asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except ApiError as error:
        raise Refused(error.body["error"]) from error


told(Client)
