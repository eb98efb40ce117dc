from __future__ import annotations

import os
import shutil
import signal
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
import yaml

from local import platform_processes, seaweedfs, state
from local.child import Child, Program
from tests.conftest import ROOT, until
from tests.local import stranger

S3, S3_GRPC = 8333, 18333


@pytest.mark.skipif(Path(sys.prefix).is_relative_to("/tmp"), reason="would hide its own Python: it has another /tmp")
@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter"))), reason="needs network namespaces"
)
def test_of_seaweedfs_in_compose_only_s3_can_be_reached_from_other_containers() -> None:
    """The script of docker-compose.yml, in a network and a /tmp of its own."""
    script = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["seaweedfs"]["command"][0]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        for path in ("/security", "/data"):
            (folder / path[1:]).mkdir()
            script = script.replace(path, f"{folder}{path}")
        seaweedfs.secure(folder / "security")
        inside = f"ip link set lo up; mount -t tmpfs tmpfs /tmp; {script.replace('$$', '$')}"
        environ = {"PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}", "S3_SECRET_KEY": "s" * 32}
        program = Program("weed", ("unshare", "--net", "--mount", "sh", "-c", inside), environ, stop=signal.SIGKILL)
        weed = Child(program, folder / "log", folder)
        try:
            until(lambda: (S3, True) in listening(weed.pid))
            assert {port for port, everywhere in listening(weed.pid) if everywhere} == {S3, S3_GRPC}
            enter = ("nsenter", f"--target={weed.pid}", "--net")
            tries = [("tcp", {"port": S3_GRPC, "send": stranger.HTTP2, "tls": tls}) for tls in (False, True)]
            answers = stranger.calls(*tries, enter=enter)
            assert all(answer == "" or answer.startswith(stranger.REFUSED) for answer in answers), answers
            [given] = stranger.calls(("tcp", {"port": S3, "send": "GET / HTTP/1.1\r\nHost: s3\r\n\r\n"}), enter=enter)
            assert given.startswith("HTTP/1.1 403")
        finally:
            weed.stop()


def listening(pid: int) -> set[tuple[int, bool]]:
    """Each port of the network that `pid` lives in, and whether it is open beyond loopback; state 0A is LISTEN."""
    rows = [
        row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/{pid}/net", table).read_text().splitlines()[1:]
    ]
    ends = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {(int(port, 16), address != "0100007F") for address, port in ends}


def test_in_compose_nobody_who_is_asked_to_stop_is_killed_sooner_than_under_up(tmp_path: Path) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    made = state.load(tmp_path / ".coatcheck")
    env = platform_processes.environment(tmp_path, made, made.urls({}), {})
    early, late = platform_processes.programs(made, env)
    for program in (*early, *late):
        service = services["worker-explain" if program.name == "explain" else program.name]
        # Docker's own is ten seconds.
        said = service.get("stop_grace_period", "10s")
        assert int(said[:-1]) * {"s": 1, "m": 60}[said[-1]] >= program.grace_s, program.name


def test_in_compose_only_the_doors_are_published_and_every_service_is_closed() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    doors = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert doors.keys() == {"proxy", "grpc"}
    ports = [str(port) for listed in doors.values() for port in listed]
    assert all(port.startswith(("127.0.0.1:", "${COATCHECK_BIND:-127.0.0.1}:")) for port in ports)
    assert "--unix-socket" in str(services["flower"]["command"])
    assert "--address" not in str(services["flower"]["command"])
    for name, service in services.items():
        assert "build" in service or "@sha256:" in service["image"], name
        assert (service["read_only"], service["cap_drop"], service["init"]) == (True, ["ALL"], True), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"pids_limit", "mem_limit"} <= service.keys(), name
        assert {"max-size", "max-file"} <= service["logging"]["options"].keys(), name
