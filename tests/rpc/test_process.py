"""The process that answers gRPC: deadlines, waited jobs, bounds, and how it begins and ends."""

from __future__ import annotations

import gzip
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from access import keys
from api import exposition
from core import ids
from core.audit import Actor
from core.cached import Cached
from core.setting_groups import KEYLESS_THREADS, Api
from inference import bundle
from jobs import figures
from local import certificates
from local.child import Child
from local.state import held_port
from registry import routing
from registry.judging.witness import Sight
from rpc import inference_pb2 as messages
from rpc import server
from rpc.inference_pb2 import InferTensorContents
from rpc.methods import SERVICE
from tests import graphs
from tests.callers import Key
from tests.conftest import ROOT, Platform, until
from tests.hands import work
from tests.rpc.conftest import Client, Served, tensor, texts

pytestmark = pytest.mark.usefixtures("quiet")
Code = grpc.StatusCode
Serve = Callable[..., Served]
INFER = f"/{SERVICE}/ModelInfer"
#: A model that is not answered inline.
HEAVY: Mapping[str, Any] = {"model": "sentiment", "model_version": "2.1.0"}


def job(platform: Platform) -> str:
    """The id of the only one."""
    return ids.job_id(platform.one("SELECT id FROM jobs")[0])


def test_a_long_model_is_asked_through_a_job_and_waited_for(platform: Platform, client: Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: client.infer(**HEAVY))
        until(lambda: platform.rows("SELECT FROM jobs"))
        work(platform)
        found = asked.result()
    assert (found.code, found.trailing["x-model-route"]) == (Code.OK, "pinned")
    assert list(found.message.outputs[0].contents.bytes_contents) == [b"positive"]


def test_a_job_that_outlasts_the_deadline_is_named_and_answers_under_the_same_key(
    platform: Platform, client: Client
) -> None:
    said = {"idempotency-key": "k"}
    # On a busy machine the client itself may give up first, and says nothing of ours.
    tried = (client.infer(**HEAVY, timeout=timeout, said=said) for timeout in (1.5, 6.0, 24.0))
    late = next(found for found in tried if found.trailing)
    assert late.code is Code.DEADLINE_EXCEEDED
    assert f"GET /api/v1/jobs/{job(platform)} has its answer" in late.details
    assert late.trailing["x-error-code"] == "TIMED_OUT"
    work(platform)
    again = client.infer(**HEAVY, said=said)
    assert (again.code, len(platform.rows("SELECT FROM jobs"))) == (Code.OK, 1)


def test_without_a_deadline_a_job_is_waited_for_as_long_as_anybody_may_wait(
    platform: Platform, serve: Serve, key: Key
) -> None:
    late = serve(max_wait_s=0.5).client(key).infer(**HEAVY, timeout=60)
    assert (late.code, job(platform) in late.details) == (Code.DEADLINE_EXCEEDED, True)


def test_whoever_hangs_up_is_not_waited_for(client: Client, rpc: Served, platform: Platform) -> None:
    request = messages.ModelInferRequest(model_name="sentiment", model_version="2.1.0", inputs=[texts("Lovely")])
    call = client.channel.unary_unary(INFER).future(
        request.SerializeToString(), metadata=[*client.metadata.items()], timeout=60
    )
    until(lambda: rpc.door.waiters.taken)
    call.cancel()
    until(lambda: not rpc.door.waiters.taken)


def test_whose_key_is_revoked_meanwhile_is_not_told_what_it_waits_for(
    platform: Platform, client: Client, key: Key
) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: client.infer(**HEAVY, timeout=100))
        until(lambda: platform.rows("SELECT FROM jobs"))
        keys.revoke(platform.engine, key.id)
        assert asked.result().code is Code.UNAUTHENTICATED


@pytest.fixture
def endless(platform: Platform, rpc: Served, tmp_path: Path) -> Iterator[str]:
    """A model that goes on for as long as x says."""
    name = f"m{uuid.uuid4().hex}"
    platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / "own", graphs.graph(graphs.TURNS), name=name)))
    until(lambda: name in {item.model for item in rpc.door.catalog.versions()})
    yield name
    platform.execute("DELETE FROM model_versions WHERE model = :name", name=name)
    platform.execute("DELETE FROM models WHERE name = :name", name=name)


def columns() -> list[messages.ModelInferRequest.InferInputTensor]:
    """On which the model goes on for ever."""
    return [tensor(name, "FP64", [1], InferTensorContents(fp64_contents=[value]))
            for name, value in (("x", graphs.ENDLESS), ("y", 1.0))]  # fmt: skip


def test_the_deadline_ends_a_run_in_the_middle(client: Client, rpc: Served, endless: str) -> None:
    began = time.monotonic()
    assert client.infer(endless, inputs=columns(), timeout=1.0).code is Code.DEADLINE_EXCEEDED
    until(lambda: not rpc.door.predictions.taken)
    assert time.monotonic() - began < rpc.door.settings.api.inline_timeout_s


@pytest.mark.parametrize("inline_timeout_s", [60, 1])
def test_a_short_deadline_is_no_fault_of_a_version_on_trial_and_one_of_ours_is(
    platform: Platform, serve: Serve, key: Key, endless: str, tmp_path: Path, inline_timeout_s: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = graphs.bundle(tmp_path / "next", graphs.graph(graphs.TURNS), name=endless, version="2.0.0")
    platform.catalog.publish(bundle.load(folder))
    canary = {"name": "next", "version": "2.0.0", "percent": 100, "judge": {"acts": False}}
    with platform.engine.begin() as connection:
        routing.change(connection, endless, {"canaries": [canary]}, Actor("cli:test"))
    here = serve(inline_timeout_s=inline_timeout_s)
    until(lambda: here.door.catalog.routes(endless).canaries)
    client, seen = here.client(key), list[Sight]()
    monkeypatch.setattr(here.door.witness, "add", seen.append)
    offered: list[object] = []
    monkeypatch.setattr(here.door.serving.shadows, "offer", lambda *given, **_: offered.append(given))
    assert client.infer(endless, inputs=columns(), timeout=2.0 if inline_timeout_s > 2 else 30.0).code is (
        Code.DEADLINE_EXCEEDED
    )
    until(lambda: not here.door.predictions.taken)
    assert [(sight.model, sight.code) for sight in seen] == ([] if inline_timeout_s > 2 else [(endless, "TIMED_OUT")])
    # Nor is a shadow asked what nobody gave the stable one the time for.
    assert len(offered) == len(seen)


def test_a_message_is_as_large_as_a_body_may_be_also_once_it_is_unpacked(serve: Serve, key: Key) -> None:
    here = serve(max_body_bytes=8000)
    client = here.client(key)
    assert client.infer(inputs=[texts(*["a" * 100] * 40)]).code is Code.OK
    large = messages.ModelInferRequest(model_name="sentiment", inputs=[texts(*["a" * 100] * 120)]).SerializeToString()
    assert client.call(INFER, large).code is Code.RESOURCE_EXHAUSTED
    assert len(gzip.compress(large)) < 8000
    with grpc.insecure_channel(f"127.0.0.1:{here.port}", compression=grpc.Compression.Gzip) as packing:
        assert Client(packing, client.metadata).call(INFER, large).code is Code.RESOURCE_EXHAUSTED
        assert Client(packing, client.metadata).infer().code is Code.OK


def test_a_message_that_does_not_come_holds_nothing_for_long(
    rpc: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MESSAGE_S", 0.2)
    sent = threading.Event()

    def nothing() -> Iterator[bytes]:
        sent.wait()
        yield from ()

    call = client.channel.stream_unary(INFER).future(nothing(), metadata=[*client.metadata.items()], timeout=60)
    error = call.exception()
    sent.set()
    assert isinstance(error, grpc.RpcError)
    assert (call.code(), "none in time" in str(call.details())) == (Code.INVALID_ARGUMENT, True)


def test_a_connection_has_so_many_calls_at_a_time_and_is_told_so(rpc: Served) -> None:
    with socket.create_connection(("127.0.0.1", rpc.port), timeout=60) as asked, asked.makefile("rb") as said:
        # A client's preface with settings that say nothing, and the server's own (RFC 9113, 3.4 and 6.5).
        asked.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5))
        length, kind = struct.unpack(">IB5x", b"\0" + said.read(9))
        assert kind == 4
        assert dict(struct.iter_unpack(">HI", said.read(length)))[3] == 128


def test_calls_whose_messages_do_not_come_take_nobodys_place(
    serve: Serve, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "threads", 8)
    # However long all that takes.
    monkeypatch.setattr(server, "MESSAGE_S", 600.0)
    client, come = serve().client(key), threading.Event()

    def late() -> Iterator[bytes]:
        come.wait()
        yield messages.ModelInferRequest(model_name="sentiment", inputs=[texts("Lovely")]).SerializeToString()

    calls = [client.channel.stream_unary(INFER).future(late(), metadata=[*client.metadata.items()], timeout=600)
             for _ in range(24)]  # fmt: skip
    until(lambda: sum(call.done() for call in calls) == 16)
    # Some of those that came at once were one too many for gRPC itself. It was nobody's fault.
    assert {call.code() for call in calls if call.done()} <= {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED}
    for _ in range(3):
        assert client.infer().code is Code.OK
    come.set()
    # As many at once as there are threads for what has a key.
    assert sum(call.exception() is None for call in calls) >= 8 - KEYLESS_THREADS


def none_left(_: object) -> None:
    """As where a container may have no more threads."""
    raise RuntimeError("can't start new thread")


def test_a_call_for_which_there_is_no_thread_is_refused_and_costs_nothing(
    serve: Serve, key: Key, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "threads", KEYLESS_THREADS + 1)
    here = serve()
    client = here.client(key)
    with monkeypatch.context() as full:
        full.setattr(ThreadPoolExecutor, "_adjust_thread_count", none_left)
        assert [client.infer().code for _ in range(2)] == [Code.UNAVAILABLE] * 2
    assert client.infer().code is Code.OK
    here.door.ledger.flush()
    assert platform.one("SELECT sum(units) FROM usage") == (1,)


def test_a_call_without_a_message_is_refused_also_where_no_thread_can_book_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(ThreadPoolExecutor, "_adjust_thread_count", none_left)
        call = client.channel.stream_unary(INFER).future(iter(()), metadata=[*client.metadata.items()], timeout=60)
        assert isinstance(call.exception(), grpc.RpcError)
    assert (call.code(), dict(call.trailing_metadata())["x-error-code"]) == (Code.UNAVAILABLE, "BUSY")


def test_what_needs_no_key_is_answered_while_there_is_no_thread_for_the_rest(
    rpc: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "KEYLESS_THREADS", rpc.door.settings.api.threads)
    found = client.infer()
    assert (found.code, found.trailing["x-error-code"], found.trailing["retry-after"]) == (
        Code.UNAVAILABLE,
        "BUSY",
        "2",
    )
    assert rpc.client().ask("ServerReady", messages.ServerReadyRequest()).message.ready is True


@pytest.fixture
def process(spawn: Callable[..., Child], platform: Platform) -> Callable[..., tuple[Child, str]]:
    """`coatcheck serve-grpc` as it is run, and where it is."""

    def start(**env: str) -> tuple[Child, str]:
        port = held_port()
        child = spawn("grpc", "cli.main", "serve-grpc", COATCHECK_GRPC_PORT=str(port), **env)
        return child, f"127.0.0.1:{port}"

    return start


def answers(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        return Client(channel).ask("ServerLive", messages.ServerLiveRequest(), timeout=5).code is Code.OK


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_asked_to_stop_answers_what_it_was_asked_and_takes_nothing_new(
    platform: Platform, process: Callable[..., tuple[Child, str]], key: Key, tmp_path: Path, number: signal.Signals
) -> None:
    child, address = process(COATCHECK_ALIVE_FILE=str(tmp_path / "alive"))
    until(lambda: answers(address))
    assert (tmp_path / "alive").exists()
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(1) as pool:
        client = Client(channel, {"x-api-key": key.token})
        asked = pool.submit(lambda: client.infer(**HEAVY))
        until(lambda: platform.rows("SELECT FROM jobs"))
        os.kill(child.pid, number)
        until(lambda: not answers(address))
        work(platform)
        assert asked.result().code is Code.OK
    until(lambda: not child.alive)
    assert child.exit_code == 0


def test_what_it_counts_is_told_by_the_api_also_what_it_did_just_before_its_end(
    platform: Platform, process: Callable[..., tuple[Child, str]], key: Key
) -> None:
    def counted(name: str, **labels: str) -> float:
        """As a scrape of the API would find it."""
        text = exposition.text(Cached(lambda: figures.read(platform.engine), 0)).decode()
        said = ",".join(f'{of}="{value}"' for of, value in labels.items())
        found = re.search(rf"^{name}{{{re.escape(said)}}} (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0

    calls = {status: partial(counted, "grpc_requests_total", method="ModelInfer", status=status)
             for status in ("OK", "NOT_FOUND")}  # fmt: skip
    inputs = partial(counted, "infer_inline_total", model="sentiment", process="grpc", version="1.0.0")
    before = [calls["OK"](), calls["NOT_FOUND"](), inputs()]
    child, address = process()
    until(lambda: answers(address))
    with grpc.insecure_channel(address) as channel:
        client = Client(channel, {"x-api-key": key.token})
        assert [client.infer().code, client.infer().code] == [Code.OK, Code.OK]
        until(lambda: calls["OK"]() == before[0] + 2)
        assert client.infer("nothing-such").code is Code.NOT_FOUND
    child.ask_to_stop()
    until(lambda: not child.alive)
    assert [calls["OK"](), calls["NOT_FOUND"](), inputs()] == [before[0] + 2, before[1] + 1, before[2] + 2]
    seconds = counted("grpc_request_duration_seconds_count", method="ModelInfer")
    assert seconds >= calls["OK"]() + calls["NOT_FOUND"]()


def test_with_a_certificate_it_speaks_tls_and_nothing_else(serve: Serve, key: Key, tmp_path: Path) -> None:
    made = certificates.ensure(tmp_path)
    here = serve(tls_certificate=made.certificate, tls_key=made.key)
    trusted = grpc.ssl_channel_credentials(made.authority.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{here.port}", trusted) as channel:
        assert Client(channel, {"x-api-key": key.token}).infer().code is Code.OK
    assert here.client(key).infer(timeout=5).code is not Code.OK


def test_a_port_that_is_taken_is_one_sentence(platform: Platform) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "serve-grpc"], cwd=ROOT, capture_output=True, text=True,
            env={**os.environ, "COATCHECK_GRPC_PORT": port}, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "COATCHECK_GRPC_PORT: nobody can listen on 127.0.0.1" in line


def test_without_the_extra_one_sentence_says_what_to_install(platform: Platform) -> None:
    hidden = "import sys; sys.modules['grpc'] = None; from cli.main import main; main(['serve-grpc'])"
    done = subprocess.run([sys.executable, "-c", hidden], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2, "Error: gRPC is an extra, which is not installed here: pip install 'coatcheck[grpc]'\n",
    )  # fmt: skip
