"""Bundles of whoever has a key, and means harm: a worker refuses each with a sentence, and goes on as before."""

from __future__ import annotations

import gzip
import os
import signal
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import onnx.parser
import pytest
import yaml

from local.child import Child
from tests import graphs, publisher
from tests.conftest import Platform, until
from tests.inference.test_hostile_bundles import bomb, special, tar
from tests.publisher import Publisher

Spawn = Callable[..., Child]
Make = Callable[[str], bytes]
WORKER = ("celery", "-A", "workers.app", "worker", "-Q", "cpu", "-n", "a@%h", "--concurrency", "1")
OPEN = "SELECT count(*) FROM jobs WHERE finished_at IS NULL"


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    """Where the worker has its temporary files."""
    (tmp_path / "temp").mkdir()
    return tmp_path / "temp"


@pytest.fixture
def hostile(
    platform: Platform, app: flask.Flask, spawn: Spawn, quiet: None, tmp_path: Path, temp: Path
) -> Iterator[Publisher]:
    spawn("worker", *WORKER, TMPDIR=str(temp))
    with publisher.made(platform, app, tmp_path, lambda: until(lambda: platform.one(OPEN) == (0,))) as found:
        yield found


def left(temp: Path) -> list[str]:
    """What no longer belongs to anybody: the folder of a child that lives has nothing in it."""
    return [
        str(path)
        for path in temp.rglob("*")
        if "coatcheck" in path.name and not path.name.startswith("coatcheck-child-")
    ]


def files(name: str, **more: bytes) -> list[tuple[str, bytes]]:
    """Those of a good bundle, and others in their places; two underscores are a point."""
    good = {"model.yaml": yaml.safe_dump(graphs.manifest(name=name)).encode(), "model.onnx": graphs.graph(graphs.GOOD)}
    return list({**good, **{key.replace("__", "."): data for key, data in more.items()}}.items())


def beside(*members: Any) -> Make:
    """A good bundle, and something that must not be there."""
    return lambda name: tar(*files(name), *members)


def graph(made: bytes, **says: Any) -> Make:
    return lambda name: tar(*files(name, model__onnx=made, model__yaml=manifest(name, **says)))


def manifest(name: str, **says: Any) -> bytes:
    return yaml.safe_dump(graphs.manifest(name=name, **says)).encode()


def announced(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The head of a file, or of what is said of one, of so many bytes, and none of them."""
    info = tarfile.TarInfo("model.onnx")
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


def chain() -> bytes:
    """A file about which so much is said, one after the other."""
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x"}
    return info.tobuf(tarfile.PAX_FORMAT)[:-512] * 3000


FOREIGN = '<ir_version: 10, opset_import: ["" : 17, "evil.ops" : 1]> g (float[N, 2] features) => (float[N, 2] y) '
HUGE = (
    "shape = Constant <value = int64[2] {1000000000000, 2}> () big = ConstantOfShape (shape) "
    "all = ReduceSum <keepdims = 0> (big) nothing = Mul (all, zero) sum = Add (features, nothing) "
    "probabilities = Softmax <axis = 1> (sum)"
)
TRAP = (
    f"low = Constant <value = int64[1] {{{-(2**63)}}}> () whole = Cast <to = 7> (features) minus = Neg (whole) "
    "quotient = Div (low, minus) back = Cast <to = 1> (quotient) probabilities = Softmax (back)"
)
ENDLESS = [{"inputs": {"x": graphs.ENDLESS, "y": 1}, "prediction": "a", "confidence": 1}]

HOSTILE: dict[str, tuple[Make, str]] = {
    "no tar": (lambda _: b"x" * 10_000, "The bundle cannot be unpacked"),
    "one byte": (lambda _: b"x", "The bundle cannot be unpacked"),
    "an empty tar": (lambda _: tar(), "{name} has no model.yaml"),
    "gzip": (lambda name: gzip.compress(tar(*files(name))), "The bundle cannot be unpacked"),
    "half of one": (lambda name: tar(*files(name), ("big", bytes(9000)))[:-12_000], "The bundle cannot be unpacked"),
    "an absolute name": (beside(("/etc/evil", b"x")), "not inside it: '/etc/evil'"),
    "a name above": (beside(("../evil", b"x")), "not inside it: '../evil'"),
    "a name above, later": (beside(("a/../../evil", b"x")), "not inside it"),
    "a link": (beside(special(tarfile.SYMTYPE, linkname="/etc/passwd")), "not a plain file: 'special'"),
    "a hard link": (beside(special(tarfile.LNKTYPE, linkname="/etc/passwd")), "not a plain file"),
    "a device": (beside(special(tarfile.CHRTYPE)), "not a plain file"),
    "a pipe": (beside(special(tarfile.FIFOTYPE)), "not a plain file"),
    "a sparse file": (beside(special(tarfile.GNUTYPE_SPARSE)), "not a plain file"),
    "a file twice": (beside(("model.onnx", b"x")), "holds 'model.onnx' twice"),
    "a file as a folder": (beside(("model.onnx/a", b"x")), "as a file and as a folder"),
    "a name to steer terminals": (beside(("a\x1b[2J", b"x")), "printable text"),
    "3 GiB by its head": (lambda _: announced(3 * 2**30), "larger than"),
    "less than nothing": (lambda _: announced(-5), "not a plain file"),
    "a gigabyte to say of a file": (lambda _: announced(2**30, tarfile.XHDTYPE), "not a plain file: 'model.onnx'"),
    "a gigabyte for a name": (lambda _: announced(2**30, tarfile.GNUTYPE_LONGNAME), "not a plain file"),
    "a chain of heads": (lambda _: chain(), "cannot be unpacked"),
    "many files": (beside(*((f"f{number}", b"") for number in range(2000))), "more than 1000 files"),
    "a bomb of yaml": (lambda name: tar(*files(name, model__yaml=bomb().encode())), "model.yaml cannot be read, line"),
    "2 MiB of yaml": (lambda name: tar(*files(name, model__yaml=b"#" * 2**21)), "model.yaml is larger than 1048576"),
    "a name that leads out": (lambda name: tar(*files(name, model__yaml=manifest("../../x"))), "name must be 1 to 63"),
    "a kind that is a module": (lambda name: tar(*files(name, model__yaml=manifest(name, kind="os"))), "kind must be"),
    "no graph": (graph(b"hello"), "model.onnx is no ONNX file, or damaged"),
    "a file outside": (graph(graphs.external("../../../../etc/passwd")), "External data path escapes model directory"),
    "the environment": (graph(graphs.external("/proc/self/environ")), "Absolute path not allowed"),
    "a foreign operator": (
        graph(bytes(onnx.parser.parse_model(f"{FOREIGN}{{ y = evil.ops.Shell (features) }}").SerializeToString())),
        "evil.ops:Shell(-1) is not a registered function/op",
    ),
    "8 TB": (graph(graphs.graph(HUGE)), "Failed to allocate memory for requested buffer of size 8000000000000"),
    "a trap of the processor": (graph(graphs.graph(TRAP), inline=False), "golden example 1 ended the process: SIGFPE"),
}  # fmt: skip


def test_each_is_refused_and_nothing_is_read_left_or_killed(hostile: Publisher, temp: Path, tmp_path: Path) -> None:
    names = {what: f"m{uuid.uuid4().hex}" for what in HOSTILE}
    before = hostile.stored()
    asked = {what: hostile.ask(make(names[what]), names[what]) for what, (make, _) in HOSTILE.items()}
    for what, (_, says) in HOSTILE.items():
        job = hostile.job(asked[what])
        error = job["error"]
        assert (job["status"], error["code"], job["attempt"]) == ("failed", "BUNDLE_INVALID", 1), (what, error)
        assert says.format(name=names[what]) in error["message"], (what, error)
        assert str(temp) not in str(error), (what, error)
        assert len(error["message"]) <= 2001
    assert hostile.stored() == before
    assert {str(row[0]) for row in hostile.platform.rows("SELECT name FROM models")}.isdisjoint(names.values())
    assert left(temp) == []
    assert not list(tmp_path.rglob("evil*"))
    good = f"m{uuid.uuid4().hex}"
    assert hostile.publish(tar(*files(good)), good)["status"] == "completed"
    # One process did it all.
    assert len(hostile.platform.rows("SELECT DISTINCT worker FROM jobs")) == 1


def test_code_in_a_bundle_is_not_run(hostile: Publisher, tmp_path: Path) -> None:
    name, mark = f"m{uuid.uuid4().hex}", tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w')".encode()
    members = [(f"{module}.py", code) for module in ("sitecustomize", "numpy", "onnxruntime", "inference/check")]
    job = hostile.publish(tar(*files(name), *members, ("model.pkl", b"cos\nsystem\n(S'id'\ntR.")), name)
    assert job["status"] == "completed", job
    assert not mark.exists()


def trials() -> list[int]:
    """Those that have come of this process, and of no other tests beside."""
    parents, found = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            found += [int(path.name)] if b"inference.trial_process" in (path / "cmdline").read_bytes() else []
        except OSError:
            continue

    def is_ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and is_ours(parents[pid]))

    return [pid for pid in found if is_ours(pid)]


def runs(pid: int) -> bool:
    """Whoever it has come to belong to."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_one_that_never_ends_ends_when_it_is_taken_back(hostile: Publisher, temp: Path) -> None:
    name = f"m{uuid.uuid4().hex}"
    ticket = hostile.ask(graph(graphs.graph(graphs.TURNS), golden=ENDLESS)(name), name)
    until(trials)
    assert hostile.client.post(ticket.json["links"]["cancel"]).status_code == 200
    assert hostile.job(ticket)["status"] == "canceled"
    until(lambda: not trials())
    assert hostile.client.get(f"/api/v1/models/{name}").status_code == 404
    until(lambda: left(temp) == [])


def test_a_worker_that_is_killed_in_the_middle_leaves_it_to_the_next_attempt(hostile: Publisher) -> None:
    name = f"m{uuid.uuid4().hex}"
    some = [{"inputs": {"x": TURNS, "y": 1}, "prediction": "a", "confidence": 1}]
    ticket = hostile.ask(graph(graphs.graph(graphs.TURNS), golden=some, inline=False, max_batch=1)(name), name)
    (trial,) = until(trials)
    [(holder,)] = until(lambda: hostile.platform.rows("SELECT worker FROM jobs WHERE status = 'processing'"))
    os.kill(int(str(holder).rpartition("/")[2]), signal.SIGKILL)
    until(lambda: not runs(trial))
    job = hostile.job(ticket)
    assert (job["status"], job["attempt"], job["lost_count"], job["result"]["new"]) == ("completed", 2, 1, True)
    assert hostile.client.get(f"/api/v1/models/{name}/versions/1.0.0").json["digest"] == job["result"]["digest"]


#: Some seconds on any machine.
TURNS = 2_000_000
