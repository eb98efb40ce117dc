"""A request of a client for each kind of error that a request may be answered with."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import socket
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
from werkzeug.test import TestResponse

import api
from api import EDITIONS
from core import errors, ids
from jobs import settle
from tests import callers
from tests.api.world import GOOD, HOOK, World
from tests.changed import changed
from tests.conftest import Platform, until
from tests.hands import took

NOBODY = "0" * 32
#: Signed until long after the test.
SIGNATURE = "AWSAccessKeyId=k&Signature=s&Expires=4000000000"


@dataclasses.dataclass(frozen=True)
class At:
    """A tenant that has one of everything, and what a request may need besides."""

    platform: Platform
    app: flask.Flask
    owner: World
    model: str  #: takes x and y, and fails where x is negative
    store: str  #: a bucket that answers what its object's name says
    stack: contextlib.ExitStack  #: ended with the test
    api: str = EDITIONS[0].prefix  #: where the version of the API is that is asked

    def with_settings(self, **settings: Any) -> At:
        app = api.create_app(changed(self.app.extensions["coatcheck"].settings, **settings))
        self.stack.callback(app.extensions["coatcheck"].close)
        return dataclasses.replace(self, app=app)

    def of(self, **limits: Any) -> At:
        """Asked by a tenant of a tier with these limits."""
        key = callers.key(self.platform, tier=callers.tier(self.platform, **limits))
        return dataclasses.replace(self, owner=dataclasses.replace(self.owner, key=key))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        given = {**self.owner.key.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        more = {} if body is None else {"json": body}
        return self.app.test_client().open(f"{self.api}/{path}", method=method, headers=given, **more)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.ask("POST", path, body, **headers)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.ask("GET", path, **headers)

    def file(self, name: str) -> TestResponse:
        """A job of the file of this name in the store."""
        return self.post("jobs", {"input_url": f"{self.store}/{name}?{SIGNATURE}", "options": {"format": "csv"}})

    def failing(self, error: errors.CoatcheckError, wait_s: int = 300) -> TestResponse:
        """A prediction through a job whose attempt ends so."""
        self.platform.truncate("jobs CASCADE")

        def fail() -> None:
            until(lambda: self.platform.rows("SELECT FROM jobs"))
            assert settle.fail(self.platform.engine, took(self.platform)[0], error)

        with ThreadPoolExecutor(1) as pool:
            failed = pool.submit(fail)
            answer = self.post("predict", {"inputs": GOOD, "model_version": "2.1.0"}, Prefer=f"wait={wait_s}")
            failed.result()
        return answer


Reach = Callable[[At], TestResponse]


def in_progress(at: At) -> TestResponse:
    """The first request holds its key, and has not answered."""
    first = at.post("predict", {"inputs": GOOD}, Idempotency_Key="busy")
    assert first.status_code == 200
    at.platform.execute("UPDATE idempotency_keys SET reply = NULL WHERE key = 'busy'")
    return at.post("predict", {"inputs": GOOD}, Idempotency_Key="busy")


def mismatch(at: At) -> TestResponse:
    assert at.post("predict", {"inputs": GOOD}, Idempotency_Key="other").status_code == 200
    return at.post("predict", {"inputs": {"text": "Awful"}}, Idempotency_Key="other")


def backlog(at: At) -> TestResponse:
    small = at.of(max_pending=1)
    assert small.post("jobs", {"inputs": GOOD}).status_code == 202
    return small.post("jobs", {"inputs": GOOD})


def hurried(at: At) -> TestResponse:
    slow = at.of(requests_per_minute=1, requests_burst=1)
    assert slow.get("jobs").status_code == 200
    return slow.get("jobs")


def used_up(at: At) -> TestResponse:
    all_of_it = at.of(monthly_units=2, allowance_percent=0, past_allowance="refuse")
    assert all_of_it.post("predict", {"inputs": GOOD}).status_code == 200
    return all_of_it.post("predict/batch", {"inputs": [GOOD] * 2})


def costly(at: At) -> TestResponse:
    return at.of(units_burst=2).post("predict/batch", {"inputs": [GOOD] * 3})


def quota(at: At) -> TestResponse:
    small = at.of(max_uploads=1)
    file = {"content_type": "text/csv", "size": 1}
    assert small.post("uploads", file).status_code == 201
    return small.post("uploads", file)


def off(at: At) -> TestResponse:
    path = f"webhooks/{at.owner.ids['endpoint_id']}"
    assert at.ask("PATCH", path, {"enabled": False}).status_code == 200
    return at.post(f"{path}/test")


def lost(at: At) -> TestResponse:
    """A row of somebody who can write to the database, but has no key."""
    endpoint = at.owner.ids["endpoint_id"]
    other = at.post("webhooks", {"url": HOOK, "events": ["job.completed"], "signing": "v1a"}).get_json()["id"]
    at.platform.execute(
        "UPDATE webhook_secrets SET sealed = (SELECT sealed FROM webhook_secrets WHERE endpoint_id = :other) "
        "WHERE endpoint_id = :id",
        id=ids.parse_endpoint_id(endpoint),
        other=ids.parse_endpoint_id(other),
    )
    return at.get(f"webhooks/{endpoint}/secret")


def stored_bundle(at: At, data: bytes | None) -> TestResponse:
    """The first prediction of a model whose bundle in the store is another one, or gone."""
    digest = at.platform.one("SELECT digest FROM model_versions WHERE model = :name", name=at.model)[0]
    key = f"bundles/{digest}.tar"
    kept = at.platform.store.get(key)
    at.stack.callback(at.platform.store.put, key, kept)
    at.platform.store.delete_all(key)
    if data is not None:
        at.platform.store.put(key, data)
    cache = Path(at.stack.enter_context(tempfile.TemporaryDirectory()))
    return at.with_settings(model_cache=cache).post("predict", {"model": at.model, "inputs": {"x": 2, "y": 1}})


def stream(at: At) -> TestResponse:
    small = at.with_settings(max_streams=1)
    path = f"jobs/{at.owner.ids['waiting']}/events"
    held = small.app.test_client().get(f"{at.api}/{path}", headers=at.owner.key.headers, buffered=False)
    at.stack.callback(held.close)
    return small.get(path)


def crowd(at: At) -> TestResponse:
    small = at.with_settings(request_threads=1)
    here = small.app.extensions["coatcheck"]
    here.requests.take(here.keyring.verify(at.owner.key.token).tenant_id)
    return small.get("jobs")


def nowhere(at: At) -> TestResponse:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return at.with_settings(database_url=f"postgresql://a:b@127.0.0.1:{port}/d").get("jobs")


def soon(at: At) -> TestResponse:
    ends = int(dt.datetime.now(dt.UTC).timestamp()) + 30
    url = f"{at.store}/200?AWSAccessKeyId=k&Signature=s&Expires={ends}"
    return at.post("jobs", {"input_url": url, "options": {"format": "csv"}})


def rotated(at: At) -> TestResponse:
    address = f"keys/{at.owner.ids['key_id']}/rotate"
    assert at.post(address, {}).status_code == 201
    return at.post(address, {})


def retired(at: At) -> TestResponse:
    at.platform.execute(
        "INSERT INTO model_versions (model, version, digest, manifest, max_batch, removed_at)"
        " SELECT model, '0.9.0', digest, manifest, max_batch, now() FROM model_versions WHERE model = :model",
        model=at.model,
    )
    answer = at.post("predict", {"inputs": {"x": 1, "y": 2}, "model": at.model, "model_version": "0.9.0"})
    at.platform.execute("DELETE FROM model_versions WHERE model = :model AND version = '0.9.0'", model=at.model)
    return answer


REACHED: dict[type[errors.CoatcheckError], Reach] = {
    errors.InvalidInput: lambda at: at.post("predict", {}),
    errors.MalformedRequest: lambda at: at.app.test_client().post(
        f"{at.api}/predict", data=b"{", content_type="application/json", headers=at.owner.key.headers
    ),
    errors.BatchTooLarge: lambda at: at.with_settings(max_batch_items=1).post("jobs", {"inputs": [GOOD, GOOD]}),
    errors.Unauthorized: lambda at: at.app.test_client().get(f"{at.api}/jobs"),
    errors.Forbidden: lambda at: at.app.test_client().get(
        f"{at.api}/jobs", headers=callers.key(at.platform, scopes=["metrics"]).headers
    ),
    errors.NotFound: lambda at: at.get("nothing"),
    errors.JobNotFound: lambda at: at.get(f"jobs/job_{NOBODY}"),
    errors.UploadNotFound: lambda at: at.post("jobs", {"upload_id": f"upl_{NOBODY}"}),
    errors.WebhookNotFound: lambda at: at.get(f"webhooks/ep_{NOBODY}"),
    errors.DeliveryNotFound: lambda at: at.get(f"webhooks/deliveries/msg_{NOBODY}"),
    errors.KeyNotFound: lambda at: at.post(f"keys/{'0' * 12}/rotate", {}),
    errors.TenantNotFound: lambda at: at.get("admin/tenants/nobody"),
    errors.TierNotFound: lambda at: at.get("admin/tiers/gold"),
    errors.TenantConflict: lambda at: at.post("admin/tenants", {"name": at.owner.key.tenant}),
    errors.ModelNotFound: lambda at: at.post("predict", {"inputs": GOOD, "model": "nope"}),
    errors.VersionNotFound: lambda at: at.post("predict", {"inputs": GOOD, "model_version": "9.9.9"}),
    errors.VersionRetired: retired,
    errors.WebhookConflict: off,
    errors.KeyConflict: rotated,
    errors.JobStateConflict: lambda at: at.post(f"jobs/{at.owner.ids['waiting']}/retry"),
    errors.BundleInvalid: lambda at: stored_bundle(at, b"something else"),
    errors.ModelUnavailable: lambda at: stored_bundle(at, None),
    errors.ModelError: lambda at: at.post("predict", {"model": at.model, "inputs": {"x": -9, "y": 1}}),
    errors.OutOfMemory: lambda at: at.failing(errors.OutOfMemory("No memory"), wait_s=1),
    errors.TimedOut: lambda at: at.failing(errors.TimedOut()),
    errors.ToleranceNotMet: lambda at: at.failing(errors.ToleranceNotMet()),
    errors.JobFailed: lambda at: at.failing(errors.BundleInvalid("Broken")),
    errors.SecretLost: lost,
    errors.InputExpired: soon,
    errors.InputNotFound: lambda at: at.file("404"),
    errors.InputForbidden: lambda at: at.file("403"),
    errors.InputUnavailable: lambda at: at.file("503"),
    errors.InputUnreadable: lambda at: at.file("416"),
    errors.InputTooLarge: lambda at: at.with_settings(max_upload_bytes=10).file("200"),
    errors.IdempotencyMismatch: mismatch,
    errors.IdempotencyInProgress: in_progress,
    errors.BacklogFull: backlog,
    errors.RateLimited: hurried,
    errors.RequestTooCostly: costly,
    errors.QuotaExceeded: used_up,
    errors.UploadQuota: quota,
    errors.Unavailable: nowhere,
    errors.Busy: stream,
    errors.TooManyRequests: crowd,
}
