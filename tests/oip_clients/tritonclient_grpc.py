"""tritonclient by gRPC, which sends and asks for bytes alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from tests.oip_clients.cases import Answer, Given, NotOffered, Questions, Refused, told

HOST = f"127.0.0.1:{os.environ['COATCHECK_GRPC_PORT']}"


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        self.headers = {"authorization": f"Bearer {key}"} if key else {}
        self.client = triton.InferenceServerClient(HOST)

    def live(self) -> bool:
        return bool(self.client.is_server_live())

    def ready(self) -> bool:
        return bool(self.client.is_server_ready())

    def model_ready(self, model: str) -> bool:
        return bool(self.client.is_model_ready(model, headers=self.headers))

    def server(self) -> str:
        return str(self.client.get_server_metadata().name)

    def takes(self, model: str) -> list[tuple[str, str, list[int]]]:
        found = self.client.get_model_metadata(model, headers=self.headers)
        return [(item.name, item.datatype, list(item.shape)) for item in found.inputs]

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        if binary is False:
            raise NotOffered
        values = [item.encode() for item in given.values] if given.datatype == "BYTES" else given.values
        array = np.array(values, triton_to_np_dtype(given.datatype)).reshape(given.shape)
        sent = triton.InferInput(given.name, given.shape, given.datatype)
        sent.set_data_from_numpy(array)
        found = asked(lambda: self.client.infer(model, [sent], version or "", headers=self.headers))
        said = found.get_response()
        outputs = {item.name: found.as_numpy(item.name).ravel().tolist() for item in said.outputs}
        return Answer(said.model_version, {name: [text(item) for item in items] for name, items in outputs.items()})


def asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except InferenceServerException as error:
        raise Refused(error.message()) from error


def text(item: object) -> object:
    return item.decode() if isinstance(item, bytes) else item


told(Client)
