"""Every port of the engines, tried as a second local user: nothing is given, nothing is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local import certificates, engines, seaweedfs, state
from tests.conftest import Engines, Platform
from tests.local import stranger

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
#: What Go says to a plain request on a TLS port. It knows nothing of the request.
NOT_TLS = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


def request(method: str, path: str, body: str = "") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n{body}"


READS = (
    "/", "/dir/status", "/dir/assign?collection=inbox", "/vol/status", "/ui/index.html", "/metrics", "/stats/disk",
    "/1,01", "/buckets/", "/debug/pprof/",
)  # fmt: skip
ADMINISTRATION = [
    stranger.HTTP2,
    *(request("GET", path) for path in READS),
    request("POST", "/col/delete?collection=coatcheck"),
    request("POST", "/submit", "x"),
    request("PUT", "/buckets/coatcheck/planted", "x"),
    request("DELETE", "/buckets/coatcheck?recursive=true"),
]


def closed(port: int, certificate: Path) -> None:
    """Not a byte for who has no certificate, or one that somebody else signed."""
    ways: list[dict[str, object]] = [{}, {"tls": True}, {"tls": True, "certificate": str(certificate)}]
    answers = stranger.calls(*(("tcp", {"port": port, "send": s, **way}) for s in ADMINISTRATION for way in ways))
    given = [answer for answer in answers if answer not in ("", NOT_TLS) and not answer.startswith(stranger.REFUSED)]
    assert given == []


def signed_only(port: int, certificate: Path) -> None:
    """Nothing but 4xx."""
    paths = (
        "/",
        "/coatcheck",
        "/coatcheck/planted",
        "/?Action=ListUsers&Version=2010-05-08",
        "/?Action=GetCallerIdentity",
    )
    tries = [request(method, path, "x") for method in ("GET", "PUT", "POST", "DELETE") for path in paths]
    answers = stranger.calls(*(("tcp", {"port": port, "send": send}) for send in [*tries, *ADMINISTRATION]))
    assert [answer for answer in answers if not answer.startswith("HTTP/1.1 4")] == []


def valkey(port: int, certificate: Path) -> None:
    commands = ("PING", "INFO", "KEYS *", "SET planted 1", "CONFIG GET requirepass", "FLUSHALL", "AUTH x")
    answers = stranger.calls(*(("tcp", {"port": port, "send": f"{command}\r\n"}) for command in commands))
    assert {answer.split()[0] for answer in answers} == {"-NOAUTH", "-WRONGPASS"}


def postgres(port: int, certificate: Path) -> None:
    tries = [{"user": user, "password": word} for user in ("postgres", "coatcheck", "nobody") for word in ("", "x")]
    answers = stranger.calls(*(("postgres", {"port": port, **way}) for way in tries))
    assert all(answer.startswith(stranger.REFUSED) and "password" in answer for answer in answers), answers


#: Each port by its name in `.coatcheck/state.json`, and how it is tried.
PROBES: dict[str, Callable[[int, Path], None]] = {
    "postgres": postgres,
    "valkey": valkey,
    "s3": signed_only,
    **dict.fromkeys(("s3_grpc", "master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc"), closed),
}


@pytest.fixture(scope="module")
def made(throwaway: Engines) -> state.State:
    return state.load(throwaway.folder / ".coatcheck")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that anybody may enter, with security.toml and a certificate by an authority of one's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        seaweedfs.secure(folder)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def certificate(foreign: Path) -> Path:
    own = certificates.ensure(foreign / "certificates")
    both = foreign / "both.pem"
    both.write_text(own.certificate.read_text() + own.key.read_text())
    both.chmod(0o644)
    return both


def sessions(found: Engines) -> set[int]:
    return {child.pid for child in found.running.values()}


def sockets(sessions: set[int]) -> set[str]:
    """The sockets that the processes of these sessions hold, as /proc/net names them."""
    held = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) in sessions:
                held |= {str(link.readlink()) for link in (entry / "fd").iterdir()}
        except (FileNotFoundError, ProcessLookupError):
            continue
    return {name[len("socket:[") : -1] for name in held if name.startswith("socket:[")}


def listening(sessions: set[int]) -> set[tuple[str, int]]:
    """(address in hexadecimal, port) of every TCP port on which they listen; state 0A is LISTEN."""
    ours = sockets(sessions)
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path("/proc/net", table).read_text().splitlines()[1:]]
    ends = [row[1].split(":") for row in rows if row[3] == "0A" and row[9] in ours]
    return {(address, int(port, 16)) for address, port in ends}


def test_every_port_that_listens_is_known_here_and_on_loopback_alone(throwaway: Engines, made: state.State) -> None:
    found, names = listening(sessions(throwaway)), {port: name for name, port in made.ports.items()}
    assert {names.get(port, port) for _, port in found} == set(PROBES)
    assert {address for address, _ in found} == {"0100007F"}


@pytest.mark.parametrize("name", PROBES)
def test_a_port_gives_nothing_to_another_user(
    name: str, platform: Platform, made: state.State, certificate: Path
) -> None:
    kept = f"doors/{uuid.uuid4()}"
    platform.store.client.put_object(Bucket="coatcheck", Key=kept, Body=b"kept")
    PROBES[name](made.ports[name], certificate)
    assert platform.store.client.get_object(Bucket="coatcheck", Key=kept)["Body"].read() == b"kept"
    with pytest.raises(ClientError, match="404"):
        platform.store.client.head_object(Bucket="coatcheck", Key="planted")


@as_root
def test_no_socket_in_a_shared_folder_is_open_to_another_user(throwaway: Engines, made: state.State) -> None:
    ours, accepts = sockets(sessions(throwaway)), "00010000"
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
    paths = [made.run / row[7] for row in rows if row[6] in ours and row[3] == accepts and len(row) > 7]
    assert paths
    answers = stranger.calls(*(("unix", {"path": str(path)}) for path in paths))
    assert all(answer.startswith(stranger.REFUSED) for answer in answers), list(zip(paths, answers, strict=True))


def shell(binary: Path, made: state.State, folder: Path, user: int | None) -> str:
    """What `weed shell`, run in `folder`, says to somebody who asks it for the keys of S3 and for a listing."""
    ports = made.ports
    command = [
        str(binary), "-logtostderr=true", "shell", f"-master=127.0.0.1:{ports['master']}.{ports['master_grpc']}",
        f"-filer=127.0.0.1:{ports['filer']}.{ports['filer_grpc']}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=folder, user=user, env={"HOME": str(folder)}, timeout=10, check=False,
            input=b"s3.configure\nfs.ls /buckets\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:  # it tries for ever
        return (late.stdout or b"").decode()
    return done.stdout.decode()


def test_weed_shell_tells_another_user_nothing(throwaway: Engines, made: state.State, foreign: Path) -> None:
    binary = Path(shutil.copy(Path(sysconfig.get_path("scripts")) / "weed", foreign))
    assert made.secrets["s3"] in shell(binary, made, made.run, None)
    user = stranger.NOBODY if os.geteuid() == 0 else None
    with ThreadPoolExecutor(2) as pool:  # in the clear, and with a certificate of one's own
        told = list(pool.map(lambda folder: shell(binary, made, folder, user), (Path("/"), foreign)))
    assert [made.secrets["s3"] in said or "coatcheck" in said for said in told] == [False, False]


def test_the_secrets_of_the_engines_are_for_their_owner_alone(throwaway: Engines, made: state.State) -> None:
    assert made.folder.stat().st_mode & 0o777 == 0o700
    names = ("s3.json", "security.toml", "valkey.conf", "certificates/key.pem")
    assert {(made.run / name).stat().st_mode & 0o777 for name in names} == {0o600}


@as_root
def test_a_port_whose_socket_somebody_else_has_made_is_given_up(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    before = dict(made.ports)
    squatted = Path(f"/tmp/seaweedfs-filer-grpc-{before['filer_grpc']}.sock")
    squatted.touch()
    os.chown(squatted, stranger.NOBODY, stranger.NOBODY)
    try:
        known = {item.program.name: item for item in engines.embedded(made, made.urls({}), {})}
    finally:
        squatted.unlink()
    assert made.ports["filer_grpc"] != before["filer_grpc"]
    assert state.read_json(made.folder / "state.json")["ports"] == made.ports
    assert f"-filer.port.grpc={made.ports['filer_grpc']}" in known["seaweedfs"].program.command
    assert {**made.ports, "filer_grpc": 0} == {**before, "filer_grpc": 0}
