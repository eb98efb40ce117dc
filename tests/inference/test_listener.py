"""A network that listens and gives what makes no sense: which of its outputs that was is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import errors
from inference import bundle, model, waveform
from inference.audio import Listener
from inference.interrupt import Interrupt
from tests import graphs

PARAMETERS = {"threshold": 0.5, "min_speech_ms": 0, "min_silence_ms": 0, "speech_pad_ms": 0}
RIGHT = {"speech_probs": "Mul (most, zero)", "hn": "Identity (h)", "cn": "Identity (c)"}


def listener(folder: Path, **nodes: str) -> Listener:
    """One that hears silence, but for what these nodes make of it."""
    body = "most = ReduceMax <axes = [1], keepdims = 0> (input) " + " ".join(
        f"{name} = {node}" for name, node in {**RIGHT, **nodes}.items()
    )
    made = graphs.graph(
        body, "float[N, 576] input, float[1, 1, 128] h, float[1, 1, 128] c",
        "float[N] speech_probs, float[1, 1, 128] hn, float[1, 1, 128] cn",
    )  # fmt: skip
    types = {name: "number" if name == "threshold" else "integer" for name in PARAMETERS}
    fields = [{"name": name, "type": type_, "required": False, "default": 0} for name, type_ in types.items()]
    golden = [{"file": "golden.wav", "segments": []}]
    graphs.bundle(folder, made, kind="audio", labels=None, inline=None, max_batch=1, fields=fields, golden=golden)
    (folder / "golden.wav").write_bytes(b"")
    opened = model.open_model(bundle.load(folder))
    assert isinstance(opened, Listener)
    return opened


@pytest.fixture(autouse=True)
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of silence, whatever the file."""

    def silence(*_: object) -> Iterator[tuple[Any, float]]:
        yield np.zeros(16_000, np.float32), 1.0

    monkeypatch.setattr(waveform, "blocks", silence)


def heard(opened: Listener) -> dict[str, Any]:
    return opened.answer(Path("none"), PARAMETERS, progress=lambda _: None, interrupt=Interrupt())


def test_a_network_that_makes_sense_is_believed(tmp_path: Path) -> None:
    assert heard(listener(tmp_path / "b")) == {"segments": [], "duration_s": 1.0, "speech_s": 0.0}


@pytest.mark.parametrize(("name", "takes"), [("speech_probs", "most"), ("hn", "h"), ("cn", "c")])
def test_what_makes_no_sense_is_told_by_its_output(tmp_path: Path, name: str, takes: str) -> None:
    opened = listener(tmp_path / "b", **{name: f"Div ({takes}, {takes})"})
    with pytest.raises(errors.ModelError, match=rf"^small gave '{name}' with a number that is not finite$"):
        heard(opened)
