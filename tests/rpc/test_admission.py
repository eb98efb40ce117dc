"""Who may ask by gRPC, and how much: judged as over HTTP, and told at the end of each call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import pytest

from access import keys
from core import errors
from rpc import errors as codes
from rpc import inference_pb2 as messages
from tests import callers
from tests.callers import Key
from tests.conftest import Platform, until
from tests.rpc.conftest import Client, Served, texts

pytestmark = pytest.mark.usefixtures("quiet")
Code = grpc.StatusCode
Serve = Callable[..., Served]
NO_MORE: Mapping[str, Any] = {"allowance_percent": 0, "past_allowance": "refuse"}


def test_a_key_is_shown_in_either_way_and_not_in_both(rpc: Served, key: Key) -> None:
    bearer, plain = {"authorization": f"bearer {key.token}"}, {"x-api-key": key.token}
    assert [Client(rpc.channel, said).infer().code for said in (bearer, plain)] == [Code.OK, Code.OK]
    both = Client(rpc.channel, bearer | plain).infer()
    assert (both.code, "once" in both.details) == (Code.UNAUTHENTICATED, True)


@pytest.mark.parametrize("method", ["ModelInfer", "ModelMetadata", "ModelReady"])
def test_without_a_good_key_nothing_is_told_of_a_model(rpc: Served, method: str) -> None:
    request = getattr(messages, f"{method}Request")()
    wrong = {"authorization": f"Bearer {callers.written('0' * 12, '0' * 48)}"}
    for said in ({}, wrong, {"authorization": "Basic eA=="}):
        found = Client(rpc.channel, said).ask(method, request)
        assert (found.code, found.trailing["x-error-code"]) == (Code.UNAUTHENTICATED, "UNAUTHORIZED")
        assert not [name for name in found.trailing if "ratelimit" in name]


def test_a_key_needs_the_scope(platform: Platform, rpc: Served) -> None:
    shut = rpc.client(callers.key(platform, scopes={"jobs"})).infer()
    assert (shut.code, "'predict'" in shut.details) == (Code.PERMISSION_DENIED, True)
    reads = rpc.client(callers.key(platform, scopes={"models:read"}))
    assert reads.infer().code is Code.PERMISSION_DENIED
    assert reads.ask("ModelMetadata", messages.ModelMetadataRequest(name="sentiment")).code is Code.OK


def test_a_key_that_is_for_another_model_or_another_network_is_refused(platform: Platform, rpc: Served) -> None:
    other = callers.key(platform)
    platform.execute("UPDATE api_keys SET models = '{another}' WHERE id = :id", id=other.id)
    found = rpc.client(other).infer()
    assert (found.code, "model" in found.details) == (Code.PERMISSION_DENIED, True)
    away = callers.key(platform)
    platform.execute("UPDATE api_keys SET networks = '{10.0.0.0/8}' WHERE id = :id", id=away.id)
    assert rpc.client(away).infer().code is Code.PERMISSION_DENIED


def test_a_proxy_that_is_trusted_says_whom_it_speaks_for_and_others_do_not(
    platform: Platform, rpc: Served, serve: Serve
) -> None:
    away = callers.key(platform)
    platform.execute("UPDATE api_keys SET networks = '{10.0.0.0/8}' WHERE id = :id", id=away.id)
    said = {"x-forwarded-for": "10.1.2.3"}
    assert rpc.client(away).infer(said=said).code is Code.PERMISSION_DENIED
    assert serve(trusted_proxies=("127.0.0.1",)).client(away).infer(said=said).code is Code.OK


def test_every_answer_tells_its_request_and_how_the_caller_stands_to_its_limits(client: Client) -> None:
    good, bad = client.infer(said={"x-request-id": "mine-7"}), client.infer("nothing")
    assert good.trailing["x-request-id"] == "mine-7"
    assert re.fullmatch("req_[0-9a-f]{16}", bad.trailing["x-request-id"])
    for found in (good, bad):
        assert {"ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining"} <= found.trailing.keys()
    assert re.fullmatch("req_[0-9a-f]{16}", client.infer(said={"x-request-id": "no id"}).trailing["x-request-id"])


def test_who_asks_too_much_is_told_when_to_come_back(platform: Platform, rpc: Served) -> None:
    slow = rpc.client(callers.key(platform, tier=callers.tier(platform, requests_per_minute=1, requests_burst=1)))
    first, second = slow.infer(), slow.infer()
    assert (first.code, second.code) == (Code.OK, Code.RESOURCE_EXHAUSTED)
    assert second.trailing["x-error-code"] == "RATE_LIMITED"
    assert 50 <= int(second.trailing["retry-after"]) <= 60


def test_units_and_the_months_units_hold_here_too(platform: Platform, rpc: Served) -> None:
    few = rpc.client(callers.key(platform, tier=callers.tier(platform, units_per_minute=2, units_burst=2)))
    costly = few.infer(inputs=[texts("a", "b", "c")])
    assert (costly.code, costly.trailing["x-error-code"]) == (Code.RESOURCE_EXHAUSTED, "REQUEST_TOO_COSTLY")
    assert "retry-after" not in costly.trailing
    month = rpc.client(callers.key(platform, tier=callers.tier(platform, monthly_units=2, **NO_MORE)))
    assert month.infer(inputs=[texts("a", "b")]).code is Code.OK
    over = month.infer()
    assert (over.code, over.trailing["x-error-code"]) == (Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert "units-month" in over.trailing["ratelimit-policy"]


def test_who_makes_errors_again_and_again_is_held_back(platform: Platform, serve: Serve) -> None:
    client = serve(max_errors=2).client(callers.key(platform))
    until(lambda: "x-conduct" in client.infer("nothing").trailing)
    assert client.infer("nothing").trailing["x-conduct"].startswith("warned; until=")
    until(lambda: client.infer("nothing").trailing["x-error-code"] == "BLOCKED")
    found = client.infer()
    assert (found.code, found.trailing["x-error-code"]) == (Code.RESOURCE_EXHAUSTED, "BLOCKED")
    assert int(found.trailing["retry-after"]) > 1


def test_a_tenant_has_only_its_part_of_the_turns(platform: Platform, serve: Serve, key: Key) -> None:
    here = serve(max_predictions=1, request_threads=1)
    caller = keys.Keyring(platform.engine).verify(key.token)
    leave = here.door.requests.take(caller.tenant_id)
    full = here.client(key).ask("ModelMetadata", messages.ModelMetadataRequest(name="sentiment"))
    assert (full.code, full.trailing["x-error-code"]) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS")
    leave()
    assert here.client(key).ask("ModelMetadata", messages.ModelMetadataRequest(name="sentiment")).code is Code.OK


def test_a_turn_is_given_back_however_the_call_ends(rpc: Served, client: Client) -> None:
    for model in ("sentiment", "nothing"):
        client.infer(model)
    assert (rpc.door.predictions.taken, rpc.door.requests.taken) == (0, 0)


def test_strangers_are_let_in_where_that_is_allowed(serve: Serve) -> None:
    stranger = serve(anonymous=True).client()
    assert stranger.infer().code is Code.OK
    keyed = stranger.infer(said={"idempotency-key": "k"})
    assert (keyed.code, "needs an API key" in keyed.details) == (Code.UNAUTHENTICATED, True)


def test_every_error_has_a_status_and_what_is_ours_is_internal() -> None:
    assert {codes.status(kind()) for kind in errors.tree()} <= set(Code)
    assert codes.status(errors.SecretLost()) is codes.status(errors.CoatcheckError()) is Code.INTERNAL
    assert codes.status(errors.OutOfMemory()) is Code.INVALID_ARGUMENT
    assert codes.status(errors.VersionRetired()) is Code.NOT_FOUND
    assert codes.status(errors.TooManyRequests()) is Code.RESOURCE_EXHAUSTED
    assert codes.status(errors.Busy()) is Code.UNAVAILABLE


def test_what_is_told_of_an_error_has_an_end(client: Client) -> None:
    long = client.infer(said={"x-model-version": "ü" * 10})
    assert len(codes.details(errors.InvalidInput.field("ü" * 5000, "ü" * 5000)).encode()) <= codes.MOST
    assert long.code is not Code.OK
