"""kserve's InferenceGRPCClient. It names no server's or model's metadata."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest

from tests.oip_clients.cases import Answer, Given, Questions, Refused, told

HOST = f"127.0.0.1:{os.environ['COATCHECK_GRPC_PORT']}"
KINDS = {"FP32": np.float32, "FP16": np.float16, "BYTES": np.object_}


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        self.headers = (("authorization", f"Bearer {key}"),) if key else ()

    def live(self) -> bool:
        return bool(asked(lambda client: client.is_server_live()))

    def ready(self) -> bool:
        return bool(asked(lambda client: client.is_server_ready()))

    def model_ready(self, model: str) -> bool:
        return bool(asked(lambda client: client.is_model_ready(model, headers=self.headers)))

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        values = [item.encode() for item in given.values] if given.datatype == "BYTES" else given.values
        sent = InferInput(given.name, given.shape, given.datatype)
        sent.set_data_from_numpy(np.array(values, KINDS[given.datatype]).reshape(given.shape), binary_data=bool(binary))
        request = InferRequest(model, [sent], model_version=version)
        found = asked(lambda client: client.infer(request, headers=self.headers))
        outputs = {item.name: item.as_numpy().ravel().tolist() for item in found.outputs}
        return Answer(found.model_version, {name: [text(item) for item in items] for name, items in outputs.items()})


def asked(ask: Callable[[InferenceGRPCClient], Awaitable[Any]]) -> Any:
    async def once() -> Any:
        async with InferenceGRPCClient(HOST) as client:
            return await ask(client)

    try:
        return asyncio.run(once())
    except grpc.RpcError as error:
        raise Refused(error.details()) from error


def text(item: object) -> object:
    return item.decode() if isinstance(item, bytes) else item


told(Client)
