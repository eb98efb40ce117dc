"""Settings that are not their defaults, and how to see that they are obeyed."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gzip
import os
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

import api
from access.usage import fold
from core import errors, ids, settings
from core.seal import Context, Purpose, Seal
from core.settings import Settings
from inference import bundle, device
from inference.device import Device
from jobs.drain import Drainer
from jobs.presence import Presence
from local import proxy
from serving import retrieve
from storage.fetch import Fetcher
from storage.objects import Store
from tests import callers, graphs, hands
from tests.api.world import GOOD
from tests.bulk.conftest import post_file
from tests.callers import Key
from tests.changed import changed
from tests.conftest import ROOT, Platform, until
from tests.hands import took, with_tools, work
from webhooks.courier import Courier
from webhooks.receivers import Receivers
from wiring import runner as parts
from wiring.worker import Worker
from workers.upkeep import Upkeep

JOBS, PREDICT, UPLOADS = "/api/v1/jobs", "/api/v1/predict", "/api/v1/uploads"
DEAD = "127.0.0.1:1"
SIGNATURE = "AWSAccessKeyId=k&Signature=s&Expires=4000000000"
NewJob = Callable[..., UUID]


@dataclasses.dataclass(frozen=True)
class Here:
    """What a case needs of a platform."""

    platform: Platform
    key: Key
    drainer: Drainer
    new_job: NewJob
    patch: pytest.MonkeyPatch
    folder: Path
    stack: contextlib.ExitStack

    def settings(self, **given: Any) -> Settings:
        return changed(self.platform.settings, **given)

    def client(self, **given: Any) -> FlaskClient:
        """Of an API with these settings."""
        app = api.create_app(self.settings(**given))
        self.stack.callback(app.extensions["coatcheck"].close)
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.key.token}"
        return client

    def job(self, column: str, **given: Any) -> object:
        """What is in the row of a job that such an API accepts."""
        answer = self.client(**given).post(JOBS, json={"inputs": GOOD})
        return self.platform.one(
            f"SELECT {column} FROM jobs WHERE id = :id",
            id=ids.parse_job_id(answer.get_json()["job_id"]),
        )[0]

    def nginx(self, **given: Any) -> set[str]:
        """The lines of the proxy that such settings change."""
        doors = proxy.Doors("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", api="unix:a", flower="unix:f")
        usual, other = (
            {line.strip() for line in proxy.configuration(doors, item.http).splitlines()}
            for item in (self.settings(), self.settings(**given))
        )
        return other - usual

    def worker(self, **env: str) -> tuple[Drainer, dict[str, Any]]:
        """What a worker with this environment is made of, and what its leases are."""
        leases: dict[str, Any] = {}

        def told(*_: object, **how: object) -> SimpleNamespace:
            leases.update(how)
            return SimpleNamespace(start=int, renewed_since=lambda: None)

        self.patch.setattr(parts, "Leases", told)
        made = self._begun(env).drainer
        self.stack.callback(made.engine.dispose)
        return made, leases

    def upkeep(self, **env: str) -> Upkeep:
        """What does the chores in a worker with this environment."""
        made = self._begun(env)
        self.stack.callback(made.close)
        upkeep = Upkeep(made.engine, made.chores, asked_to_stop=lambda: False)
        self.stack.callback(upkeep.close)
        return upkeep

    def device(self, **env: str) -> Device:
        """What models run on in a worker with this environment."""
        return self._begun(env).device

    def _begun(self, env: Mapping[str, str]) -> Worker:
        from workers import resources

        self.patch.setattr(parts, "Board", lambda _: SimpleNamespace(start=int, show=id))
        self.patch.setattr(resources, "signs", SimpleNamespace(mine=lambda: Presence("n/i/1")))
        for name, value in env.items():
            self.patch.setenv(f"COATCHECK_{name}", value)
        return resources.Process().worker


def code(answer: Any) -> object:
    return answer.get_json().get("error", {}).get("code", answer.status_code)


def refuses(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except errors.InvalidInput:
        return True
    return False


def log_level(here: Here) -> None:
    script = "import api, structlog; api.create_app(); structlog.get_logger().info('heard')"
    said = {
        level: subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "COATCHECK_LOG_LEVEL": level}, cwd=ROOT,
            capture_output=True, text=True, check=True,
        ).stdout
        for level in ("INFO", "WARNING")
    }  # fmt: skip
    assert ("heard" in said["INFO"], "heard" in said["WARNING"]) == (True, False)


def slice_s(here: Here) -> None:
    for version in ("1.0.0", "2.1.0"):
        here.new_job(version=version)
    short = dataclasses.replace(here.drainer, slice_s=1e-9)
    assert short.drain("cpu", "wake") == 1
    assert here.platform.one("SELECT count(*) FROM jobs WHERE status = 'pending'") == (1,)
    assert here.drainer.drain("cpu", "wake") == 1


def address(here: Here, **given: Any) -> urllib.parse.SplitResult:
    made = Store(here.settings(**given).storage).presign_get("a/key", filename="f", expires_s=60)
    return urllib.parse.urlsplit(made)


def model_cache(here: Here) -> None:
    assert here.client(model_cache=here.folder / "models").post(PREDICT, json={"inputs": GOOD}).status_code == 200
    assert len(list((here.folder / "models").iterdir())) == 1


def environment(here: Here) -> None:
    here.patch.delenv("COATCHECK_WEBHOOK_LOOPBACK")
    settings.load()
    here.patch.setenv("COATCHECK_ENVIRONMENT", "production")
    with pytest.raises(errors.SettingsInvalid, match="COATCHECK_SECRET_KEY"):
        settings.load()


def secret_key(here: Here) -> None:
    context = Context(Purpose.INPUT_URL, UUID(int=1), UUID(int=2))
    sealed = Seal(here.settings().sealing).seal("hush", context)
    with pytest.raises(errors.SecretLost):
        Seal(here.settings(secret_key="n" * 32).sealing).open(sealed, context)
    both = here.settings(secret_key="n" * 32, old_secret_keys=(here.platform.settings.sealing.secret_key,))
    assert Seal(both.sealing).open(sealed, context) == "hush"


def provider(here: Here) -> None:
    made, _ = here.worker(PROVIDER="cuda")
    with pytest.raises(errors.BundleInvalid):
        made.attempts.tools.shelf.open(made.attempts.tools.catalog.resolve("sentiment", "1.0.0"))


def gpu_memory_mb(here: Here) -> None:
    """What runs models in a worker, which tests/inference/test_device.py shows with a processor's memory."""
    assert here.device(PROVIDER="cuda", GPU_MEMORY_MB="77") == device.named("cuda", 77)


def default_model(here: Here) -> None:
    answer = here.client(default_model="tumor").post(PREDICT, json={"inputs": GOOD})
    assert answer.get_json()["error"]["links"] == {"schema": "/api/v1/models/tumor/versions/1.0.0"}


def onnx_threads(here: Here) -> None:
    made, _ = here.worker(ONNX_THREADS="3")
    api = here.client(onnx_threads=3).application.extensions["coatcheck"]
    for shelf in (made.attempts.tools.shelf, api.shelf):
        opened = shelf.open(api.catalog.resolve("sentiment", "1.0.0"))
        assert opened._session.get_session_options().intra_op_num_threads == 3


def model_memory_mb(here: Here) -> None:
    """Room for one small model, and not for two."""
    made, _ = here.worker(MODEL_MEMORY_MB="7")
    api = here.client(model_memory_mb=7).application.extensions["coatcheck"]
    for shelf in (made.attempts.tools.shelf, api.shelf):
        for name in ("sentiment", "tumor"):
            shelf.open(api.catalog.resolve(name, "1.0.0"))
        assert shelf.loaded() == ["tumor@1.0.0"]


def cache(here: Here) -> None:
    """How much is kept, and for how long, which tests/serving/test_cache.py shows at a clock of its own."""
    kept = here.client(cache_mb=2, cache_s=7).application.extensions["coatcheck"].serving.cache
    assert (kept.most, kept.for_s) == (2 << 20, 7)
    assert here.client(cache_mb=0).application.extensions["coatcheck"].serving.cache is None


def max_unpacked_bytes(here: Here) -> None:
    data, client = gzip.compress(b'{"text": "Lovely"}\n' * 100), here.client()
    body = {"content_type": "application/gzip", "filename": "a.jsonl.gz", "size": len(data)}
    made = client.post(UPLOADS, json=body).get_json()
    post_file(made["url"], made["fields"], data, "application/gzip")
    job = client.post(JOBS, json={"upload_id": made["upload_id"]}).get_json()
    attempts = with_tools(here.drainer.attempts, max_unpacked_bytes=1000)
    dataclasses.replace(here.drainer, attempts=attempts).drain("cpu", "wake")
    assert client.get(f"{JOBS}/{job['job_id']}").get_json()["error"]["code"] == "INPUT_TOO_LARGE"


def bucket(here: Here, setting: str, url: str) -> None:
    def ask(**given: Any) -> bool:
        fetcher, now = Fetcher(here.settings(**given)), dt.datetime.now(dt.UTC)
        return refuses(lambda: fetcher.check_target(f"{url}/x?{SIGNATURE}", now))

    assert (ask(), ask(**{setting: (url,)})) == (True, False)


def upload_s(here: Here) -> None:
    made = here.client(upload_s=77).post(UPLOADS, json={"content_type": "text/csv", "size": 1}).get_json()
    row = "SELECT extract(epoch FROM expires_at - created_at)::int, expires_at FROM uploads WHERE id = :id"
    good_for_s, expires_at = here.platform.one(row, id=ids.parse_upload_id(made["upload_id"]))
    assert (good_for_s, dt.datetime.fromisoformat(made["expires_at"])) == (77, expires_at)


def download_s(here: Here) -> None:
    """Of a large result, which lies in the store; the address says itself for how long it is signed."""
    client = here.client(download_s=77)
    job = client.post(JOBS, json={"inputs": [GOOD]}).get_json()["job_id"]
    work(here.platform)
    stored = '{"form": "stored", "stored_key": "results/x.json", "bytes": 9}'
    here.platform.execute("UPDATE job_results SET body = CAST(:body AS json)", body=stored)
    there = client.get(f"{JOBS}/{job}/result")
    assert there.status_code == 303
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(there.headers["Location"]).query)["X-Amz-Expires"] == ["77"]
    told = client.get(f"{JOBS}/{job}").get_json()["result"]
    left = dt.datetime.fromisoformat(told["expires_at"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta() < left <= dt.timedelta(seconds=77)


def v1_deprecated_at(here: Here) -> None:
    headers = here.client(v1_deprecated_at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC)).get(JOBS).headers
    assert (headers["Deprecation"], headers.get("Sunset")) == ("@1798761600", None)


def v1_sunset_at(here: Here) -> None:
    headers = here.client(v1_sunset_at=dt.datetime(2027, 7, 1, tzinfo=dt.UTC)).get(JOBS).headers
    assert (headers["Sunset"], headers.get("Deprecation")) == ("Thu, 01 Jul 2027 00:00:00 GMT", None)


def inline_timeout_s(here: Here) -> None:
    name = f"m{uuid.uuid4().hex}"
    folder = graphs.bundle(here.folder / "turns", graphs.graph(graphs.TURNS), name=name)
    here.platform.catalog.publish(bundle.load(folder))
    body = {"model": name, "inputs": {"x": graphs.ENDLESS, "y": 1}}
    error = here.client(inline_timeout_s=0.3).post(PREDICT, json=body).get_json()["error"]
    assert (error["code"], error["details"]) == ("TIMED_OUT", {"limit_s": 0.3})


def default_wait_s(here: Here) -> None:
    waited: list[float] = []
    kept = retrieve.wait

    def wait(serving: Any, tenant: Any, job: Any, wait_s: float, patience: Any) -> Any:
        waited.append(wait_s)
        return kept(serving, tenant, job, 0, patience)

    here.patch.setattr(retrieve, "wait", wait)
    body = {"inputs": GOOD, "model_version": "2.1.0"}
    client = here.client(default_wait_s=7.5)
    for headers in ({}, {"Prefer": "wait=1"}):
        assert client.post(PREDICT, json=body, headers=headers).status_code == 202
    assert waited == [7.5, 1.0]


def limits(here: Here) -> None:
    small = callers.key(here.platform, tier=callers.tier(here.platform, requests_per_minute=1, requests_burst=1))
    for said, second in ((True, 429), (False, 200)):
        client = here.client(limits=said)
        assert [client.get(JOBS, headers=small.headers).status_code for _ in range(2)][1] == second


def max_predictions(here: Here) -> None:
    turns = here.client(max_predictions=40).application.extensions["coatcheck"].predictions
    tenants = [UUID(int=number) for number in range(41)]
    leave = [turns.take(tenant) for tenant in tenants[:40]]
    with pytest.raises(errors.Busy, match="40 predictions"):
        turns.take(tenants[4])
    leave[0]()
    turns.take(tenants[4])


def places(here: Here, setting: str, name: str) -> None:
    made = getattr(here.client(**{setting: 1}).application.extensions["coatcheck"], name)
    made.take(UUID(int=1))
    with pytest.raises(errors.Busy, match="There are 1 "):
        made.take(UUID(int=2))


def max_errors(here: Here) -> None:
    strict, kind = here.client(max_errors=1), here.client(max_errors=0)
    for client in (strict, kind):
        assert [client.get(f"{JOBS}?x=1").status_code for _ in range(2)] == [422, 422]
    until(lambda: strict.get(JOBS).headers.get("X-Conduct"))
    strict.application.extensions["coatcheck"].conduct.close()
    assert "X-Conduct" not in kind.get(JOBS).headers


def usage_keep_days(here: Here) -> None:
    here.platform.execute(
        "INSERT INTO usage (job_id, tenant_id, model, units, created_at)"
        " SELECT gen_random_uuid(), id, 'sentiment', days, now() - make_interval(days => days)"
        " FROM (SELECT id FROM tenants LIMIT 1) AS tenant, unnest(ARRAY[1, 3]) AS days"
    )
    rows = "SELECT array_agg(units) FROM usage WHERE kind <> 'inline'"
    fold(here.platform.engine)
    here.upkeep(USAGE_KEEP_DAYS="2").tick()
    until(lambda: here.platform.one(rows) == ([1],))


def max_losses(here: Here) -> None:
    here.new_job()
    took(here.platform)
    here.platform.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s'")
    here.upkeep(MAX_LOSSES="1").tick()
    until(lambda: here.platform.one("SELECT status, error->>'code' FROM jobs") == ("failed", "WORKER_LOST"))


def receiver(here: Here, url: str, **given: Any) -> None:
    for allowed, more in ((False, {"webhook_loopback": ()}), (True, given)):
        assert refuses(lambda more=more: Receivers(here.settings(**more)).parse(url)) != allowed  # type: ignore[misc]


def courier(here: Here, **given: Any) -> Courier:
    return hands.courier(here.platform, here.settings(**given))
