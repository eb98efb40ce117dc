"""The door for gRPC as it is run, in a thread of the tests, and clients of it that know no more than its .proto."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from core.settings import Settings
from inference import bundle
from rpc import inference_pb2 as messages
from rpc import server
from rpc.methods import SERVICE
from tests import callers, graphs
from tests.callers import Key
from tests.changed import changed
from tests.conftest import Platform, until
from wiring.door import QUICK, Door

NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Said:
    """An answer or an error, with what was said at its end."""

    code: grpc.StatusCode
    details: str
    trailing: Mapping[str, str]
    message: Any = None


@dataclass(frozen=True)
class Client:
    """Who asks one server, with these metadata each time."""

    channel: Any  # grpc-stubs wants what may be left out
    metadata: Mapping[str, str] = field(default_factory=dict)

    def ask(self, method: str, message: Any, *, timeout: float = 30.0, said: Mapping[str, str] = NONE) -> Said:
        """One of the protocol's own methods."""
        kind = getattr(messages, f"{method}Response")
        return self.call(f"/{SERVICE}/{method}", message, kind.FromString, timeout=timeout, said=said)

    def call(
        self, path: str, message: Any, read: Any = None, *, timeout: float = 30.0, said: Mapping[str, str] = NONE
    ) -> Said:
        """Any method; without `read` its answer is bytes."""
        given = message if isinstance(message, bytes) else message.SerializeToString()
        call = self.channel.unary_unary(path, response_deserializer=read)
        try:
            found, how = call.with_call(given, timeout=timeout, metadata=[*{**self.metadata, **said}.items()])
        except grpc.RpcError as error:
            return _said(error)
        return _said(how, found)

    def infer(
        self, model: str = "sentiment", *, timeout: float = 30.0, said: Mapping[str, str] = NONE, **given: Any
    ) -> Said:
        given.setdefault("inputs", [texts("Lovely")])
        request = messages.ModelInferRequest(model_name=model, **given)
        return self.ask("ModelInfer", request, timeout=timeout, said=said)


def _said(how: Any, message: Any = None) -> Said:
    return Said(how.code(), how.details(), dict(how.trailing_metadata() or ()), message)


@dataclass(frozen=True)
class Served:
    """One process's door, and where it is."""

    port: int
    door: Door
    channel: grpc.Channel

    def client(self, key: Key | None = None) -> Client:
        return Client(self.channel, {"authorization": f"Bearer {key.token}"} if key else {})


@contextlib.contextmanager
def served(settings: Settings) -> Iterator[Served]:
    """A server with these settings, until the block ends."""
    door = Door(settings, application="coatcheck-grpc", limits=QUICK)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    handlers = server.Handlers(door)

    async def begin() -> tuple[Any, int]:
        made = server.made(settings, handlers)
        port = server.listen(made, "127.0.0.1:0", settings.http.tls_certificate, settings.http.tls_key)
        await made.start()
        return made, port

    made, port = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(port, door, channel)
    finally:
        asyncio.run_coroutine_threadsafe(made.stop(5), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        handlers.close()
        door.close()


@pytest.fixture(scope="session")
def rpc(platform: Platform) -> Iterator[Served]:
    with served(platform.settings) as found:
        platform.doors.append(found.door)
        yield found
        platform.doors.remove(found.door)


@pytest.fixture
def serve(platform: Platform) -> Iterator[Callable[..., Served]]:
    """One with other settings."""
    with contextlib.ExitStack() as stack:
        yield lambda **given: stack.enter_context(served(changed(platform.settings, **given)))


@pytest.fixture
def key(platform: Platform) -> Key:
    return callers.key(platform)


@pytest.fixture
def client(rpc: Served, key: Key) -> Client:
    """A caller of a tenant of its own."""
    return rpc.client(key)


def texts(*given: str) -> messages.ModelInferRequest.InferInputTensor:
    contents = messages.InferTensorContents(bytes_contents=[text.encode() for text in given])
    return tensor("text", "BYTES", [len(given)], contents)


def tensor(
    name: str,
    datatype: str,
    shape: list[int],
    contents: messages.InferTensorContents | None = None,
    **parameters: messages.InferParameter,
) -> messages.ModelInferRequest.InferInputTensor:
    return messages.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=contents, parameters=parameters
    )


def doubles(folder: Path, name: str, dtype: str, onnx: str) -> Path:
    """A model that adds `x` of three elements to itself."""
    field = {"name": "x", "type": "tensor", "dtype": dtype, "shape": [3]}
    made = graphs.graph("y = Add (x, x)", f"{onnx}[N, 3] x", f"{onnx}[N, 3] y")
    golden = [{"inputs": {"x": [1, 2, 3]}, "tensors": {"y": [2, 4, 6]}}]
    gives = [{"name": "y", "dtype": dtype, "shape": [3]}]
    says = {"kind": "tensor", "name": name, "fields": [field], "labels": None, "tensors": gives, "golden": golden}
    return graphs.bundle(folder, made, **says)


@pytest.fixture(scope="module")
def models(platform: Platform, rpc: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """By its datatype, the name of a model that answers at once with twice what it was given."""
    folder, unique = tmp_path_factory.mktemp("models"), uuid.uuid4().hex[:8]
    kinds = {"FP16": ("float16", "float16"), "FP32": ("float32", "float"), "INT32": ("int32", "int32"),
             "INT64": ("int64", "int64"), "UINT64": ("uint64", "uint64"), "FP64": ("float64", "double")}  # fmt: skip
    names = {kind: f"rpc-{kind.lower()}-{unique}" for kind in kinds}
    for kind, (dtype, onnx) in kinds.items():
        platform.catalog.publish(bundle.load(doubles(folder / kind, names[kind], dtype, onnx)))
    until(lambda: set(names.values()) <= {item.model for item in rpc.door.catalog.versions()})
    yield names
    for table, column in (("model_versions", "model"), ("models", "name")):
        platform.execute(f"DELETE FROM {table} WHERE {column} = ANY (:names)", names=[*names.values()])
