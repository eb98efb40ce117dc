"""LitServe, with one worker and its quick queue: `by_litserve PORT`. It looks at annotations when it starts."""

import sys
from typing import Any

import litserve

from benchmarks.servers.model import Sentiment


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.sentiment = Sentiment()

    def decode_request(self, request: dict[str, Any], **_: Any) -> str:
        text: str = request["inputs"]["text"]
        return text

    def predict(self, text: str, **_: Any) -> dict[str, object]:
        return self.sentiment.predict(text)

    def encode_response(self, output: dict[str, object], **_: Any) -> dict[str, object]:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
