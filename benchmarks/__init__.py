"""Measurements: always a ratio, both sides in one run, on the same machine."""

import inference  # noqa: F401 - before ONNX Runtime, which it keeps from telling others what runs here
