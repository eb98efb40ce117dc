"""MLServer, in one process, with a path of its own for plain JSON: `by_mlserver PORT`."""

import asyncio
import sys
from typing import Any

from fastapi import Request
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.handlers import custom_handler

from benchmarks.servers.model import Sentiment


class Runtime(MLModel):
    async def load(self) -> bool:
        self.sentiment = Sentiment()
        return True

    @custom_handler(rest_path="/predict")
    async def answer(self, request: Request) -> dict[str, Any]:
        said = await request.json()
        return self.sentiment.predict(said["inputs"]["text"])


if __name__ == "__main__":
    settings = Settings(
        host="127.0.0.1", http_port=int(sys.argv[1]), grpc_port=0, metrics_endpoint=None, parallel_workers=0,
        debug=False,
    )  # fmt: skip
    model = ModelSettings(name="sentiment", implementation="benchmarks.servers.by_mlserver.Runtime")
    asyncio.run(MLServer(settings).start([model]))
