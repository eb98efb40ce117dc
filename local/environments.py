"""Who gets to know which secret: each process only what it needs, people in two files."""

from __future__ import annotations

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
    "worker": _PLATFORM,
    "io": _PLATFORM,
    "beat": _QUEUE,
    "flower": _QUEUE | {"FLOWER_BASIC_AUTH"},
    "migrate": frozenset({"DATABASE_OWNER_URL"}),
    "models": _DATABASE | _S3,
    "keys": _DATABASE,
}
_CLIENT = ("COATCHECK_URL", "COATCHECK_API_KEY")
SECRETS = frozenset().union(*NEEDS.values()) | {
    "DATABASE_SUPERUSER_URL", "COATCHECK_API_KEY", "COATCHECK_ADMIN_KEY", "FLOWER_URL"
}  # fmt: skip


def only(name: str, env: Mapping[str, str]) -> dict[str, str]:
    """The environment without the secrets that are not this process's business."""
    hidden = SECRETS - NEEDS.get(name, frozenset())
    return {variable: value for variable, value in env.items() if variable not in hidden}


def write(folder: Path, variables: Mapping[str, str]) -> None:
    """Write `env`, what clients need, and `env.admin`, what operators need as well."""
    for name, wanted in (("env", True), ("env.admin", False)):
        lines = (f"export {key}='{value}'\n" for key, value in variables.items() if (key in _CLIENT) == wanted)
        write_private(folder / name, "".join(lines))
