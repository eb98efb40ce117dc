"""`mlserver infer`, the client that mlserver brings: it sends lines of a file, and writes the answers into another. It
names no version in the address: X-Model-Version does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.oip_clients.cases import Answer, Given, Questions, Refused, told

HOST = os.environ["COATCHECK_URL"].removeprefix("http://")


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        self.headers = [f"Authorization: Bearer {key}"] if key else []

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        item = {"name": given.name, "datatype": given.datatype, "shape": given.shape, "data": list(given.values)}
        # Left to itself it asks for every output in bytes.
        wanted = [{"name": "prediction" if given.datatype == "BYTES" else "y"}]
        headers = [*self.headers, *([f"X-Model-Version: {version}"] if version else [])]
        with tempfile.TemporaryDirectory() as name:
            lines, answers = Path(name) / "lines.jsonl", Path(name) / "answers.jsonl"
            lines.write_text(json.dumps({"inputs": [item], "outputs": wanted}) + "\n")
            words = ["-u", HOST, "-m", model, "-i", str(lines), "-o", str(answers), *(["-b"] if binary else [])]
            said = [word for header in headers for word in ("-H", header)]
            program = str(Path(sys.executable).with_name("mlserver"))
            done = subprocess.run(
                [program, "infer", *words, "-r", "1", *said], capture_output=True, text=True, check=False
            )
            [line] = answers.read_text().splitlines() or [json.dumps({"error": {"msg": done.stdout + done.stderr}})]
        found = json.loads(line)
        if "error" in found:
            raise Refused(found["error"]["msg"])
        return Answer(found["model_version"], {item["name"]: item["data"] for item in found["outputs"]})


told(Client)
