"""Who gets to know which secret: each process only what it needs, people in two files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local.state import write_private

_DATABASE = frozenset({"DATABASE_URL"})
_QUEUE = frozenset({"REDIS_URL"})
_S3 = frozenset({"S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY"})
_PLATFORM = _DATABASE | _QUEUE | _S3 | {"COATCHECK_SECRET_KEY", "COATCHECK_OLD_SECRET_KEYS"}
#: By the names of programs and of `coatcheck` commands; who is not here, as the engines, needs none.
NEEDS: Mapping[str, frozenset[str]] = {
    "api": _PLATFORM,
    "express": _PLATFORM,
    "grpc": _PLATFORM,
    "worker": _PLATFORM,
    "explain": _PLATFORM,
    "io": _PLATFORM,
    "beat": _QUEUE,
    "flower": _QUEUE | {"FLOWER_BASIC_AUTH"},
    "migrate": frozenset({"DATABASE_OWNER_URL"}),
    "models": _DATABASE | _S3,
    "keys": _DATABASE,
}
_CLIENT = ("COATCHECK_URL", "COATCHECK_GRPC_PORT", "COATCHECK_API_KEY")
#: First on the path, and not a second time where it is already.
_PATH = """_coatcheck={bin}
_path=:$PATH:
case $_path in *:"$_coatcheck":*) _path=${{_path%%:"$_coatcheck":*}}:${{_path#*:"$_coatcheck":}} ;; esac
_path=${{_path#:}}
export PATH="$_coatcheck:${{_path%:}}"
unset _coatcheck _path
"""
#: A Ctrl-C before any code of ours runs would be a stack trace of Python's own: it waits until `cli.early` hears it.
_BLOCKED = "--block-signal=INT"
SECRETS = frozenset().union(*NEEDS.values()) | {
    "DATABASE_SUPERUSER_URL", "COATCHECK_API_KEY", "COATCHECK_ADMIN_KEY", "FLOWER_URL"
}  # fmt: skip


def only(name: str, env: Mapping[str, str]) -> dict[str, str]:
    """The environment without the secrets that are not this process's business."""
    hidden = SECRETS - NEEDS.get(name, frozenset())
    return {variable: value for variable, value in env.items() if variable not in hidden}


def write(folder: Path, variables: Mapping[str, str]) -> None:
    """Write `env`, what clients need, and `env.admin`, what operators need as well."""
    path = _on_the_path(folder)
    for name, wanted in (("env", True), ("env.admin", False)):
        lines = [f"export {key}={_quoted(value)}\n" for key, value in variables.items() if (key in _CLIENT) == wanted]
        write_private(folder / name, "".join((*lines, path)))


def _on_the_path(folder: Path) -> str:
    """Make a folder that holds the command alone, and the lines that put it on the path: in sh, bash and zsh, and once
    however often they are read."""
    bin_ = folder.resolve() / "bin"
    bin_.mkdir(mode=0o700, exist_ok=True)
    scratch = bin_ / f".coatcheck.{os.getpid()}"
    scratch.unlink(missing_ok=True)
    command = Path(sys.executable).with_name("coatcheck")
    if env := _blocking(command):
        write_private(scratch, f'#!/bin/sh\nexec {_quoted(env)} {_BLOCKED} {_quoted(str(command))} "$@"\n')
        scratch.chmod(0o700)
    else:
        scratch.symlink_to(command)
    scratch.replace(bin_ / "coatcheck")
    if ":" in str(bin_):
        return "# `coatcheck` cannot be put on the path: there is a colon in the name of this folder.\n"
    return _PATH.format(bin=_quoted(str(bin_)))


def _blocking(command: Path) -> str | None:
    """The `env` that can run the command with a signal blocked (GNU's can, since 8.31), if there is one."""
    found = shutil.which("env")
    # It would take such a path for a variable.
    if found is None or "=" in str(command):
        return None
    return (
        found if subprocess.run([found, _BLOCKED, "true"], capture_output=True, check=False).returncode == 0 else None
    )


def _quoted(value: str) -> str:
    """As a shell takes it, whatever is in it."""
    inner = value.replace("'", "'\\''")
    return f"'{inner}'"
