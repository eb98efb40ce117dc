"""Predictions by gRPC against the same by HTTP: the Open Inference Protocol on both sides, the same model, one process
each without a proxy, in turns; the clients are as much Python on either side, and share the machine."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from benchmarks import bed
from local import platform_processes
from local.child import Program
from local.state import held_port
from rpc import inference_pb2 as messages
from rpc.methods import SERVICE

ROUNDS, SECONDS, THREADS = 4, 5.0, 8
TEXT = "I love this product, it works perfectly!"
BODY = json.dumps({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [TEXT]}]})

#: Makes what one thread asks with.
Asker = Callable[[], Callable[[], object]]


@dataclass
class Side:
    """What was seen of one of the two, round by round."""

    pid: int
    ask: Asker
    per_second: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    spent_s: float = 0.0  #: by its processor


def run() -> None:
    with bed.made() as found:
        key, ports = found.key(), [held_port(), held_port()]
        env = {**found.env, "COATCHECK_ONNX_THREADS": "1", "COATCHECK_GRPC_PORT": str(ports[1])}
        api = found.start(Program("api", platform_processes.command("serve", "--port", str(ports[0])), env))
        rpc = found.start(Program("grpc", platform_processes.command("serve-grpc"), env))
        sides = {"HTTP": Side(api.pid, by_http(ports[0], key)), "gRPC": Side(rpc.pid, by_grpc(ports[1], key))}
        bed.until(lambda: platform_processes.answers(f"http://127.0.0.1:{ports[0]}/ready"))
        for side in sides.values():
            bed.until(lambda side=side: answers(side.ask))
            measure(side, 1.0)
            side.per_second, side.took_ms, side.spent_s = [], [], 0.0
        for _, side in itertools.product(range(ROUNDS), sides.values()):
            measure(side, SECONDS)
    print(f"one input a request, {THREADS} threads of one client, {ROUNDS} rounds of {SECONDS:g} s in turns")
    for name, side in sides.items():
        cuts = statistics.quantiles(side.took_ms, n=100)
        rates = ", ".join(f"{rate:.0f}" for rate in side.per_second)
        median = statistics.median(side.per_second)
        print(f"  {name}  {median:6.0f} /s   p50 {cuts[49]:5.2f} ms   p99 {cuts[98]:6.2f} ms   ({rates})")
        print(f"        {side.spent_s / len(side.took_ms) * 1000:.2f} ms of the server's processor each")
    ratio = statistics.median(sides["gRPC"].per_second) / statistics.median(sides["HTTP"].per_second)
    print(f"  gRPC / HTTP  {ratio:.2f}")


def by_http(port: int, key: str) -> Asker:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def asker() -> Callable[[], object]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

        def ask() -> object:
            connection.request("POST", "/v2/models/sentiment/infer", BODY, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status != 200:
                raise RuntimeError(said)
            return said

        return ask

    return asker


def by_grpc(port: int, key: str) -> Asker:
    contents = messages.InferTensorContents(bytes_contents=[TEXT.encode()])
    tensor = messages.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[1], contents=contents)

    def asker() -> Callable[[], object]:
        # A connection for each thread, as there is over HTTP.
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
        call = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=messages.ModelInferRequest.SerializeToString,
            response_deserializer=messages.ModelInferResponse.FromString,
        )

        def ask() -> object:
            request = messages.ModelInferRequest(model_name="sentiment", inputs=[tensor])
            return call(request, metadata=[("authorization", f"Bearer {key}")], timeout=30)

        return ask

    return asker


def answers(asker: Asker) -> bool:
    try:
        asker()()
    except (grpc.RpcError, OSError):
        return False
    return True


def processor_s(pid: int) -> float:
    """What a process and its children have had of it."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    ticks = (Path(f"/proc/{item}/stat").read_text().rpartition(")")[2].split()[11:13] for item in pids)
    return sum(int(tick) for pair in ticks for tick in pair) / os.sysconf("SC_CLK_TCK")


def measure(side: Side, seconds: float) -> None:
    """Ask by all threads for so long."""
    spent_s = processor_s(side.pid)
    ends_at, took = time.perf_counter() + seconds, [[] for _ in range(THREADS)]

    def ask_on(mine: list[float]) -> None:
        ask = side.ask()
        while (began := time.perf_counter()) < ends_at:
            ask()
            mine.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=ask_on, args=(mine,)) for mine in took]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    side.spent_s += processor_s(side.pid) - spent_s
    side.took_ms += [item for mine in took for item in mine]
    side.per_second.append(sum(map(len, took)) / seconds)
