"""What else the protocol asks, gRPC's own health, and what is not offered."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from rpc import inference_pb2 as messages
from rpc.methods import HEALTH, SERVICE
from tests.conftest import ROOT, until
from tests.rpc.conftest import Client, Served

OK, MISSING = grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND


@pytest.fixture
def stranger(rpc: Served) -> Client:
    return rpc.client()


def test_health_and_the_servers_own_words_need_no_key(stranger: Client) -> None:
    assert stranger.ask("ServerLive", messages.ServerLiveRequest()).message.live is True
    assert stranger.ask("ServerReady", messages.ServerReadyRequest()).message.ready is True
    told = stranger.ask("ServerMetadata", messages.ServerMetadataRequest()).message
    assert (told.name, bool(told.version), list(told.extensions)) == ("coatcheck", True, [])


@pytest.mark.parametrize("service", ["", SERVICE])
def test_grpcs_own_health_is_answered_for_all_and_for_the_service(stranger: Client, service: str) -> None:
    found = stranger.call(f"/{HEALTH}/Check", HealthCheckRequest(service=service), HealthCheckResponse.FromString)
    assert (found.code, found.message.status) == (OK, HealthCheckResponse.SERVING)


def test_another_services_health_is_not_known(stranger: Client) -> None:
    assert stranger.call(f"/{HEALTH}/Check", HealthCheckRequest(service="other")).code is MISSING


def test_without_its_database_it_lives_and_is_not_ready(serve: Callable[..., Served]) -> None:
    client = serve(database_url="postgresql+psycopg://a:b@127.0.0.1:1/d").client()
    assert client.ask("ServerLive", messages.ServerLiveRequest()).message.live is True
    assert client.ask("ServerReady", messages.ServerReadyRequest()).message.ready is False
    found = client.call(f"/{HEALTH}/Check", HealthCheckRequest(), HealthCheckResponse.FromString)
    assert found.message.status == HealthCheckResponse.NOT_SERVING
    asked = Client(client.channel, {"x-api-key": f"cck_{'a' * 12}_{'b' * 56}"})
    assert asked.infer().code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)


def test_a_model_says_what_it_takes_and_gives(client: Client, models: dict[str, str]) -> None:
    told = client.ask("ModelMetadata", messages.ModelMetadataRequest(name="sentiment", version="1.0.0")).message
    assert (told.name, told.platform) == ("sentiment", "coatcheck_text")
    assert {"1.0.0", "2.1.0"} <= set(told.versions)
    inputs = {item.name: (item.datatype, list(item.shape)) for item in told.inputs}
    outputs = {item.name: (item.datatype, list(item.shape)) for item in told.outputs}
    assert (inputs["text"], outputs["scores"]) == (("BYTES", [-1]), ("FP64", [-1, 2]))
    [x] = client.ask("ModelMetadata", messages.ModelMetadataRequest(name=models["FP16"])).message.inputs
    assert (x.name, x.datatype, list(x.shape)) == ("x", "FP16", [-1, 3])
    unknown = client.ask("ModelMetadata", messages.ModelMetadataRequest(name="nothing"))
    assert (unknown.code, unknown.trailing["x-error-code"]) == (MISSING, "MODEL_NOT_FOUND")


@pytest.mark.usefixtures("quiet")
def test_a_model_is_ready_when_it_opens_or_somebody_runs_it(client: Client) -> None:
    def ready(version: str) -> bool:
        found = client.ask("ModelReady", messages.ModelReadyRequest(name="sentiment", version=version))
        assert found.code is OK
        return bool(found.message.ready)

    assert ready("1.0.0")
    until(lambda: not ready("2.1.0"))
    assert client.ask("ModelReady", messages.ModelReadyRequest(name="sentiment", version="9")).code is MISSING


@pytest.mark.parametrize(
    "path", [*(f"/{SERVICE}/{name}" for name in ("ModelStreamInfer", "ModelConfig", "RepositoryIndex")),
             f"/{HEALTH}/Watch", "/other.Service/Method"],
)  # fmt: skip
def test_what_is_not_offered_is_unimplemented(client: Client, path: str) -> None:
    assert client.call(path, b"").code is grpc.StatusCode.UNIMPLEMENTED


def test_the_messages_are_what_the_proto_says(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, "rpc/inference.proto"], cwd=ROOT, check=True)
    for name in ("inference_pb2.py", "inference_pb2.pyi"):
        assert (ROOT / "rpc" / name).read_text() == (tmp_path / "rpc" / name).read_text(), name


def test_every_method_of_the_proto_is_answered(client: Client) -> None:
    service = re.search(
        r"service GRPCInferenceService \{(.*?)\n\}", (ROOT / "rpc" / "inference.proto").read_text(), re.S
    )
    names = re.findall(r"rpc (\w+)\(", service[1])
    assert len(names) == 6
    for name in names:
        assert client.call(f"/{SERVICE}/{name}", b"").code is not grpc.StatusCode.UNIMPLEMENTED, name


def test_this_door_needs_no_line_of_the_other_one() -> None:
    script = "import sys, rpc.server; print({'api', 'flask', 'werkzeug'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
