"""Pictures for models that take them, and bundles of such models."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests import graphs

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

#: Says of a picture how red, green and blue it is on average, from 0 to 1.
MEANS = "m = ReduceMean <axes = [2, 3], keepdims = 0> (img) mean = Add (m, zero)"
NUMBERS = [{"name": "red"}, {"name": "green"}, {"name": "blue"}]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(image: Image.Image | Pixels, form: str = "PNG", **how: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, form, **how)
    return stream.getvalue()


def plain(red: int, green: int, blue: int, size: tuple[int, int] = (5, 4)) -> bytes:
    return encoded(Image.new("RGB", size, (red, green, blue)))


def row(data: bytes, field: str = "image") -> dict[str, str]:
    return {field: base64.b64encode(data).decode()}


def means(takes: str = "float[N, 3, 4, 5] img") -> bytes:
    return graphs.graph(MEANS, takes, "float[N, 3] mean")


def bundle(folder: Path, made: bytes | None = None, picture: bytes | None = None, **says: Any) -> Path:
    """A folder with a model of pictures, by default one that gives the means of an orange one."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(means() if made is None else made)
    (folder / "golden.png").write_bytes(plain(255, 102, 0) if picture is None else picture)
    full = {
        "kind": "image", "inline": None, "labels": None, "numbers": NUMBERS,
        "fields": [{"name": "image", "type": "image"}],
        "golden": [{"file": "golden.png", "prediction": {"red": 1, "green": 0.4, "blue": 0}}],
    }  # fmt: skip
    (folder / "model.yaml").write_text(yaml.safe_dump(graphs.manifest(**{**full, **says})))
    return folder
