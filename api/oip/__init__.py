"""The Open Inference Protocol V2 over HTTP, for clients that speak it, such as tritonclient and kserve. What is served,
to whom and for how much is as in every other version of the API."""

from __future__ import annotations

PREFIX = "/v2"
