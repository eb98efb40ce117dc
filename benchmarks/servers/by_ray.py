"""Ray Serve, with one replica: `by_ray PORT`. It is quickest with RAY_SERVE_THROUGHPUT_OPTIMIZED and HAProxy."""

from __future__ import annotations

import signal
import sys

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.servers.model import Sentiment


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 1})
class Deployment:
    def __init__(self) -> None:
        self.sentiment = Sentiment()

    async def __call__(self, request: Request) -> dict[str, object]:
        return self.sentiment.predict((await request.json())["inputs"]["text"])


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Deployment.bind(), route_prefix="/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
