"""kserve's InferenceRESTClient. It names no version in the address and reads none in the answer: the header
X-Model-Version is where both are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

from tests.oip_clients.cases import Answer, Given, Questions, Refused, told

URL = os.environ["COATCHECK_URL"]
KINDS = {"FP32": np.float32, "FP16": np.float16, "BYTES": np.object_}


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def live(self) -> bool:
        return bool(asked(lambda client: client.is_server_live(URL)))

    def ready(self) -> bool:
        return bool(asked(lambda client: client.is_server_ready(URL)))

    def model_ready(self, model: str) -> bool:
        return bool(asked(lambda client: client.is_model_ready(URL, model, headers=self.headers)))

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        values = [item.encode() for item in given.values] if given.datatype == "BYTES" else given.values
        sent = InferInput(given.name, given.shape, given.datatype)
        sent.set_data_from_numpy(np.array(values, KINDS[given.datatype]).reshape(given.shape), binary_data=bool(binary))
        wants = {"binary_data_output": True} if binary else None
        request = InferRequest(model, [sent], parameters=wants)
        headers = {**self.headers, **({"X-Model-Version": version} if version else {})}
        told_by: dict[str, str] = {}
        found = asked(lambda client: client.infer(URL, request, model, headers, response_headers=told_by))
        outputs = {item.name: item.as_numpy().ravel().tolist() for item in found.outputs}
        version = told_by["x-model-version"]
        return Answer(version, {name: [text(item) for item in items] for name, items in outputs.items()})


def asked(ask: Callable[[InferenceRESTClient], Awaitable[Any]]) -> Any:
    async def once() -> Any:
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            return await ask(client)

    try:
        return asyncio.run(once())
    except httpx.HTTPStatusError as error:
        raise Refused(str(error)) from error


def text(item: object) -> object:
    return item.decode() if isinstance(item, bytes) else item


told(Client)
