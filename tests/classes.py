"""Classes that answer, as a package of somebody else's would bring them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
import yaml

from inference.author import InputRefused, Run
from tests import graphs

Install = Callable[..., Path]


def install(folder: Path, name: str, of: str, files: dict[str, bytes] | None = None, **says: Any) -> Path:
    """A package that brings the class `of` of this module under a name, and a bundle for it with these files."""
    graphs.plug_in(folder, name, f"from {__name__} import {of} as Kind", "coatcheck.models")
    made = folder / f"bundle-{name}"
    made.mkdir()
    for file, data in (files or {}).items():
        (made / file).write_bytes(data)
    options = {"class": name, **says.pop("options", {})}
    full = {"name": name, "kind": "python", "inline": None, "options": options, **says}
    (made / "model.yaml").write_text(yaml.safe_dump(graphs.manifest(**full)))
    return made


class Forest:
    """scikit-learn as it is, with what joblib kept of it."""

    def load(self, folder: Path) -> None:
        self.model = joblib.load(folder / "forest.joblib")

    def predict(self, rows: list[dict[str, Any]]) -> Any:
        return self.model.predict_proba([[row["x"], row["y"]] for row in rows])


class Line:
    """NumPy alone."""

    def load(self, folder: Path) -> None:
        self.weights = np.array(json.loads((folder / "weights.json").read_text()))

    def predict(self, rows: list[dict[str, Any]]) -> Any:
        return np.array([[row["x"], row["y"]] for row in rows]) @ self.weights


class Net:
    """PyTorch, of which the bundle holds the weights alone."""

    def load(self, folder: Path) -> None:
        import torch

        self.torch = torch
        self.net = torch.nn.Linear(2, 2)
        self.net.load_state_dict(torch.load(folder / "net.pt", weights_only=True))

    def predict(self, rows: list[dict[str, Any]]) -> Any:
        with self.torch.inference_mode():
            return self.net(self.torch.tensor([[row["x"], row["y"]] for row in rows])).softmax(1)


class Words:
    """Values of its own: which words there are in a text, and how often."""

    def load(self, folder: Path) -> None:
        """It needs nothing."""

    def predict(self, rows: list[dict[str, Any]]) -> Any:
        return [self._one(row["text"]) for row in rows]

    def _one(self, text: str) -> dict[str, Any]:
        words = text.split()
        if not words:
            raise InputRefused("the text has no words")
        if "secret" in words:
            raise ValueError("secret")
        return {"words": len(words), "most": max(words, key=words.count), "each": dict.fromkeys(words, 1)}


class Does:
    """Does what its first row says, and counts its calls."""

    calls: ClassVar[list[str]] = []

    def load(self, folder: Path) -> None:
        """It needs nothing."""

    def predict(self, rows: list[dict[str, Any]]) -> Any:
        self.calls.append(rows[0]["does"])
        what, _, how = rows[0]["does"].partition(" ")
        if what == "exit":
            os._exit(int(how))
        if what == "wait":
            time.sleep(float(how))
        if what == "refuse":
            # As what os.fsdecode and surrogateescape make of odd bytes.
            raise InputRefused("nobody knows \udcff")
        return [1.0 for row in rows]


class Draws:
    """Gives the files that each line of its own says as JSON: a name, a content type, its text and how often that
    stands in it; then waits, and has a record of so many bytes."""

    calls = 0

    def load(self, folder: Path) -> None:
        """It needs nothing."""

    def predict(self, path: Path, parameters: dict[str, Any], run: Run) -> dict[str, Any]:
        Draws.calls += 1
        for line in filter(None, path.read_text().splitlines()):
            name, content_type, text, often = json.loads(line)
            data = (text.replace("CALL", str(self.calls)) * often).encode()
            if parameters["by_path"]:
                path.write_bytes(data)
            run.file(name, path if parameters["by_path"] else data, content_type)
        for _ in range(round(parameters["pause_s"] / 0.05)):
            time.sleep(0.05)
            run.progress(0.5)
        return {"says": "x" * parameters["size"]}


class Lines:
    """A file, line by line."""

    def load(self, folder: Path) -> None:
        """It needs nothing."""

    def predict(self, path: Path, parameters: dict[str, Any], run: Run) -> dict[str, Any]:
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, start=1):
            time.sleep(parameters["pause_s"])
            run.emit({"line": number, "letters": len(line)})
            run.progress(number / len(lines))
        return {"lines": len(lines)}
