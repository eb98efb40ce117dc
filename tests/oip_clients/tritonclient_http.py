"""tritonclient over HTTP."""

from __future__ import annotations

import os

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from tests.oip_clients.cases import Answer, Given, Questions, Refused, told

HOST = os.environ["COATCHECK_URL"].removeprefix("http://")


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = triton.InferenceServerClient(HOST)

    def live(self) -> bool:
        return bool(self.client.is_server_live())

    def ready(self) -> bool:
        return bool(self.client.is_server_ready())

    def model_ready(self, model: str) -> bool:
        return bool(self.client.is_model_ready(model, headers=self.headers))

    def server(self) -> str:
        return str(self.client.get_server_metadata()["name"])

    def takes(self, model: str) -> list[tuple[str, str, list[int]]]:
        found = self.client.get_model_metadata(model, headers=self.headers)
        return [(item["name"], item["datatype"], item["shape"]) for item in found["inputs"]]

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        values = [item.encode() for item in given.values] if given.datatype == "BYTES" else given.values
        array = np.array(values, triton_to_np_dtype(given.datatype)).reshape(given.shape)
        sent = triton.InferInput(given.name, given.shape, given.datatype)
        sent.set_data_from_numpy(array, binary_data=bool(binary))
        # Left to itself it asks for every output in bytes.
        name = "prediction" if given.datatype == "BYTES" else "y"
        wanted = None if binary else [triton.InferRequestedOutput(name, binary_data=False)]
        try:
            found = self.client.infer(model, [sent], version or "", outputs=wanted, headers=self.headers)
        except InferenceServerException as error:
            raise Refused(error.message()) from error
        said = found.get_response()
        outputs = {item["name"]: found.as_numpy(item["name"]).ravel().tolist() for item in said["outputs"]}
        return Answer(said["model_version"], {name: [text(item) for item in items] for name, items in outputs.items()})


def text(item: object) -> object:
    return item.decode() if isinstance(item, bytes) else item


told(Client)
