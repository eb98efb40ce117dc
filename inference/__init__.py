"""Bundles, and what runs them. ONNX Runtime is imported by nobody else, and tells nobody what runs here: its wheels
send Microsoft names and hashes of models where this is not said before they are imported (its Privacy.md)."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - it is read by no setting, but by the library
