from __future__ import annotations

import configparser
import fnmatch
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from local import environments, state
from tests.conftest import ROOT

DATABASE, QUEUE = {"DATABASE_URL"}, {"REDIS_URL"}
STORE = {"S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY"}
PLATFORM = DATABASE | QUEUE | STORE | {"COATCHECK_SECRET_KEY", "COATCHECK_OLD_SECRET_KEYS"}
#: Of a platform in containers; `worker-gpu` and `worker-explain` are workers.
SERVICES = {
    "postgres": {"POSTGRES_PASSWORD"},
    "valkey": {"REDIS_PASSWORD"},
    "seaweedfs": {"S3_SECRET_KEY"},
    "migrate": DATABASE | STORE | {"DATABASE_OWNER_URL", "DATABASE_SUPERUSER_URL"},
    "api": PLATFORM,
    "grpc": PLATFORM,
    "worker": PLATFORM,
    "worker-gpu": PLATFORM,
    "worker-explain": PLATFORM,
    "io": PLATFORM,
    "beat": QUEUE,
    "flower": QUEUE | {"FLOWER_BASIC_AUTH"},
}


#: Of what `up` starts, and of the commands by which it does.
PROCESSES: dict[str, set[str]] = {
    **dict.fromkeys(("api", "express", "grpc", "worker", "explain", "io"), PLATFORM),
    "beat": QUEUE,
    "flower": QUEUE | {"FLOWER_BASIC_AUTH"},
    "migrate": {"DATABASE_OWNER_URL"},
    "models": DATABASE | STORE,
    "keys": DATABASE,
    "proxy": set(),
    "engines": set(),
}
SECRETS = PLATFORM | {
    "DATABASE_OWNER_URL", "DATABASE_SUPERUSER_URL", "FLOWER_BASIC_AUTH", "FLOWER_URL", "COATCHECK_API_KEY",
    "COATCHECK_ADMIN_KEY",
}  # fmt: skip


def test_each_process_and_command_gets_the_secrets_it_needs() -> None:
    known = dict.fromkeys(SECRETS, "secret")
    found = {name: environments.only(name, {**known, "MORE": "more"}).keys() - {"MORE"} for name in PROCESSES}
    assert found == PROCESSES
    assert environments.SECRETS == SECRETS


#: An address that clients see, a name that they ask for, who is let in, and how long v1 answers.
OPEN = {
    "S3_PUBLIC_URL", "COATCHECK_DEFAULT_MODEL", "COATCHECK_ANONYMOUS", "COATCHECK_OIDC_ISSUER",
    "COATCHECK_OIDC_AUDIENCE", "COATCHECK_OIDC_TENANT_CLAIM", "COATCHECK_OIDC_TIER_CLAIM",
    "COATCHECK_OIDC_SCOPE_CLAIM", "COATCHECK_V1_DEPRECATED_AT", "COATCHECK_V1_SUNSET_AT",
}  # fmt: skip


def test_each_container_gets_the_secrets_it_needs() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    known = environments.SECRETS | {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    for name, needed in SERVICES.items():
        environment = services[name].get("environment", {})
        assert environment.keys() & known == needed, name
        # Whatever it is called: what comes from .env is secret, but for these.
        secret = {key for key, value in environment.items() if "${" in str(value) and key not in OPEN}
        assert secret <= known, name
    assert "env_file" not in (ROOT / "docker-compose.yml").read_text()


def taken(path: str) -> bool:
    """Whether `COPY . .` takes it: the last pattern that fits it, or a folder above it, decides."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    parts = path.split("/")
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    ignored = False
    for line in lines:
        pattern = line.removeprefix("!")
        names = parts if pattern.startswith("**/") else above[:1]
        if any(fnmatch.fnmatchcase(name, pattern.removeprefix("**/")) for name in names):
            ignored = not line.startswith("!")
    return not ignored


@pytest.mark.parametrize(
    "path",
    [".env", ".env.production", ".envrc", "api/.env", "bundles/sentiment-1/.env.local", ".coatcheck/env", ".git/config",
     ".coatcheck/env.admin", ".coatcheck/data/postgres/PG_VERSION", ".venv/bin/python", "tests/conftest.py", "env",
     "secrets.txt", "backup.sql", "docker-compose.yml", "core/__pycache__/seal.pyc", "models/.aws/credentials"],
)  # fmt: skip
def test_the_image_takes_no_secrets_and_no_data(path: str) -> None:
    assert not taken(path)


def test_the_image_takes_what_it_runs() -> None:
    configuration = configparser.ConfigParser()
    configuration.read(ROOT / "setup.cfg")
    packages = [name.rstrip("*") for name in configuration["options.packages.find"]["include"].split()]
    folders = (*packages, "migrations", "requirements")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if "__pycache__" not in str(file)]
    wanted = [str(file.relative_to(ROOT)) for file in files if file.is_file()]
    assert len(wanted) > 100
    assert [
        path for path in (*wanted, "setup.cfg", "pyproject.toml", "alembic.ini", "README.md") if not taken(path)
    ] == []


def test_what_is_remembered_is_replaced_as_a_whole_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("of before")
    path.chmod(0o644)
    with path.open() as reading:
        state.write_private(path, "of now")
        # Who reads at that moment, or dies while it is written, finds what was there.
        assert reading.read() == "of before"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("of now", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_git_takes_no_secrets() -> None:
    lines = (ROOT / ".gitignore").read_text().splitlines()
    assert {".env*", ".coatcheck/"} <= set(lines)


def test_what_a_sourced_file_says_reaches_nobody_by_itself(tmp_path: Path) -> None:
    everything = dict.fromkeys(environments.SECRETS, "secret")
    for name in ("postgres", "valkey", "seaweedfs", "anything new"):
        assert environments.only(name, {**everything, "PATH": "/bin"}) == {"PATH": "/bin"}
    made = state.load(tmp_path / ".coatcheck")
    environments.write(made.folder, {**everything, **made.urls({})})
    for name in ("env", "env.admin"):
        assert (made.folder / name).stat().st_mode & 0o777 == 0o600
    # No URL there: a shell that has sourced `env` knows nothing but the client's two.
    told = subprocess.run(
        ["sh", "-c", '. "$0"; env', str(made.folder / "env")], env={"PATH": os.environ["PATH"]}, capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip
    assert environments.SECRETS & {line.partition("=")[0] for line in told.splitlines()} == {"COATCHECK_API_KEY"}
