"""What one call says and is told, to the last word: who asks, how long it waits, which status an error has."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from core import audit, errors
from registry import lifecycle
from rpc import errors as codes
from rpc.call import SPARE_S, Call
from rpc.inference_pb2 import InferParameter, InferTensorContents, ModelInferRequest
from serving.oip import infer, tensors
from tests.conftest import Platform, until
from tests.rpc.conftest import Client, tensor, texts

pytestmark = pytest.mark.usefixtures("quiet")
Code = grpc.StatusCode
Wanted = ModelInferRequest.InferRequestedOutputTensor


@pytest.mark.parametrize(
    ("peer", "speaks_for", "address"),
    [
        ("ipv4:192.0.2.7:4000", "", "192.0.2.7"),
        ("ipv6:[2001:db8::7]:4000", "", "2001:db8::7"),
        ("ipv6:%5B2001:db8::7%5D:4000", "", "2001:db8::7"),
        ("unix:/run/proxy.sock", "192.0.2.9", "192.0.2.9"),
        ("ipv4:192.0.2.7:4000", "192.0.2.9", "192.0.2.7"),
        ("ipv4:10.0.0.2:4000", "192.0.2.9", "192.0.2.9"),
    ],
)
def test_a_client_is_known_by_where_it_is(peer: str, speaks_for: str, address: str) -> None:
    assert Call.of([("x-forwarded-for", speaks_for)], peer, None, ("10.0.0.2",)).address == address


def test_what_is_said_twice_is_one_list_and_bytes_are_not_read() -> None:
    call = Call.of([("a", "1"), ("b", b"2"), ("a", "3"), ("x-request-id", "mine")], "", None, ())
    assert (call.said, call.request_id) == ({"a": "1,3", "x-request-id": "mine"}, "mine")


def test_a_client_waits_as_long_as_anybody_may_or_until_just_before_its_deadline() -> None:
    without, long, short, over = (Call.of([], "", left_s, ()) for left_s in (None, 60.0, 5.0, 0.1))
    assert (without.ends_at, without.patience_s(30.0), long.patience_s(30.0)) == (math.inf, 30.0, 30.0)
    assert short.ends_at == pytest.approx(time.monotonic() + 5, abs=2)
    assert 2 < short.patience_s(30.0) <= 5 - SPARE_S
    assert over.patience_s(30.0) == 0.0


#: Written down anew, so that the product's own table is not its own judge.
STATUSES: Mapping[Code, tuple[type[errors.CoatcheckError], ...]] = {
    Code.INVALID_ARGUMENT: (
        errors.InvalidInput, errors.MalformedRequest, errors.BatchTooLarge, errors.IdempotencyMismatch,
        errors.ModelError, errors.ToleranceNotMet, errors.InputExpired, errors.InputNotFound, errors.InputForbidden,
        errors.InputChanged, errors.InputUnreadable, errors.InputTooLarge,
    ),
    Code.UNAUTHENTICATED: (errors.Unauthorized,),
    Code.PERMISSION_DENIED: (errors.Forbidden,),
    Code.NOT_FOUND: (errors.NotFound, errors.ModelNotFound, errors.VersionRetired),
    Code.FAILED_PRECONDITION: (
        errors.JobStateConflict, errors.TenantConflict, errors.VersionConflict, errors.WebhookConflict,
        errors.KeyConflict,
    ),
    Code.ABORTED: (errors.IdempotencyInProgress,),
    Code.DEADLINE_EXCEEDED: (errors.TimedOut,),
    Code.RESOURCE_EXHAUSTED: (
        errors.BacklogFull, errors.RateLimited, errors.QuotaExceeded, errors.RequestTooCostly, errors.TooManyRequests,
        errors.UploadQuota, errors.Blocked,
    ),
    Code.UNAVAILABLE: (
        errors.ModelUnavailable, errors.InputUnavailable, errors.OutputUnavailable, errors.Unavailable, errors.Busy,
    ),
    Code.INTERNAL: (errors.CoatcheckError, errors.JobFailed, errors.SecretLost),
}  # fmt: skip


@pytest.mark.parametrize("code", STATUSES)
def test_a_kind_of_error_has_its_status_and_says_when_to_come_back_where_that_may_help(code: Code) -> None:
    later = (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.ABORTED)
    for kind in STATUSES[code]:
        error = kind()
        error.retry_after_s = 2.1
        assert codes.status(error) is code, kind
        assert codes.retry_after_s(error) == (3 if code in later and kind.retryable else 0), kind


def test_what_is_told_of_an_error_is_cut_where_it_is_longer_than_a_client_takes() -> None:
    def told(letters: int) -> str:
        return codes.details(errors.NotFound("x" * letters))

    assert told(codes.MOST) == "x" * codes.MOST
    assert told(codes.MOST + 1) == "x" * (codes.MOST - 3) + "…"
    assert codes.MOST == 1000


#: Of each bound, what is still looked at and what is not, and what is said then.
BOUNDS: Mapping[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "id": ({"id": "i" * infer.MOST_ID}, {"id": "i" * (infer.MOST_ID + 1)}, "id must have at most 1000, not 1001"),
    "inputs": ({"inputs": [texts("a")] * infer.MOST_NAMED}, {"inputs": [texts("a")] * (infer.MOST_NAMED + 1)},
               "inputs must have at most 1000, not 1001"),
    "outputs": ({"outputs": [Wanted(name="p")] * infer.MOST_NAMED},
                {"outputs": [Wanted(name="p")] * (infer.MOST_NAMED + 1)}, "outputs must have at most 1000, not 1001"),
    "name": ({"inputs": [tensor("n" * infer.MOST_NAME, "BYTES", [1])]},
             {"inputs": [tensor("n" * (infer.MOST_NAME + 1), "BYTES", [1])]}, "must have at most 200, not 201"),
    "axes": ({"inputs": [tensor("text", "BYTES", [1] * infer.MOST_AXES)]},
             {"inputs": [tensor("text", "BYTES", [1] * (infer.MOST_AXES + 1))]}, "must have at most 32, not 33"),
    "size": ({"inputs": [tensor("text", "BYTES", [tensors.LARGEST])]},
             {"inputs": [tensor("text", "BYTES", [tensors.LARGEST + 1])]}, "must have sizes from 0 to 2147483648"),
    "no size": ({"inputs": [tensor("text", "BYTES", [0])]}, {"inputs": [tensor("text", "BYTES", [-1])]},
                "must have sizes from 0 to 2147483648"),
}  # fmt: skip


@pytest.mark.parametrize("bound", BOUNDS)
def test_at_a_bound_a_message_is_looked_at_and_beyond_it_it_is_refused(client: Client, bound: str) -> None:
    good, bad, says = BOUNDS[bound]
    assert says not in client.infer(**good).details
    found = client.infer(**bad)
    assert (found.code, says in found.details) == (Code.INVALID_ARGUMENT, True), found.details


def test_what_the_request_asks_for_in_vain_is_said(client: Client) -> None:
    asked = {"sequence_id": InferParameter(int64_param=1)}
    found = client.infer(parameters=asked)
    assert "request.parameters.sequence_id is not offered here" in found.details


def test_a_version_on_its_way_out_says_so(platform: Platform, client: Client, models: dict[str, str]) -> None:
    name, by = models["FP32"], audit.operator()
    contents = InferTensorContents(fp32_contents=[1, 2, 3])

    def told() -> tuple[str | None, str | None]:
        found = client.infer(name, inputs=[tensor("x", "FP32", [1, 3], contents)])
        assert found.code is Code.OK
        return found.trailing.get("deprecation"), found.trailing.get("sunset")

    assert told() == (None, None)
    lifecycle.deprecate(platform.engine, name, "1.0.0", by, message=None, sunset_at=None)
    since = platform.one("SELECT deprecated_at FROM model_versions WHERE model = :name", name=name)[0]
    until(lambda: told() == (f"@{int(since.timestamp())}", None))
    ends = dt.datetime(2027, 5, 1, tzinfo=dt.UTC)
    lifecycle.deprecate(platform.engine, name, "1.0.0", by, message=None, sunset_at=ends)
    until(lambda: told()[1] == "Sat, 01 May 2027 00:00:00 GMT")
    lifecycle.undo(platform.engine, name, "1.0.0", by)
