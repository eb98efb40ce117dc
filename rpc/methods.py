"""The protocol's methods. Those of a model take a version in the message or in `x-model-version`."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from core import errors
from jobs.idempotency import Key
from registry.versions import Resolved
from rpc import inference_pb2 as messages
from rpc import present, reading
from rpc.visit import Visit
from serving import asking, once
from serving.oip import infer as serve
from serving.oip import ready, signature
from serving.values import Ask, Preference
from wiring.door import Door

SERVICE, HEALTH = "inference.GRPCInferenceService", "grpc.health.v1.Health"


def server_live(_: Door, __: Visit, ___: messages.ServerLiveRequest) -> Message:
    """The process answers."""
    return messages.ServerLiveResponse(live=True)


def server_ready(door: Door, _: Visit, __: messages.ServerReadyRequest) -> Message:
    """Whether requests can be answered."""
    return messages.ServerReadyResponse(ready=_is_ready(door))


def server_metadata(_: Door, __: Visit, ___: messages.ServerMetadataRequest) -> Message:
    """What this is; it has no extensions."""
    return messages.ServerMetadataResponse(name="coatcheck", version=importlib.metadata.version("coatcheck"))


def model_ready(door: Door, visit: Visit, message: messages.ModelReadyRequest) -> Message:
    """Whether it opens here, or somebody works who runs it."""
    try:
        ready.check(door.shelf, door.readiness.get, _resolved(door, visit, message))
    except errors.ModelUnavailable:
        return messages.ModelReadyResponse(ready=False)
    return messages.ModelReadyResponse(ready=True)


def model_metadata(door: Door, visit: Visit, message: messages.ModelMetadataRequest) -> Message:
    """What a model takes and gives."""
    found = _resolved(door, visit, message)
    versions = [item.version for item in door.catalog.model(found.model)]
    manifest = found.manifest
    takes, gives = signature.takes(manifest), signature.gives(manifest)
    return present.model(found.model, versions, f"coatcheck_{manifest.kind}", takes, gives)


def model_infer(door: Door, visit: Visit, message: messages.ModelInferRequest) -> Message:
    """Predict as many inputs as the tensors have rows, now; a model that is not inline is asked through a job."""
    call = visit.call
    body = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    meant = {"body": body, "version": call.said.get("x-model-version")}
    key = once.key(visit.caller, f"{SERVICE}/ModelInfer", call.said.get("idempotency-key"), meant)
    found = serve.infer(
        door.serving,
        _ask(visit, message.model_name, message.model_version, key),
        reading.asked(message),
        wants=Preference(wait_s=call.patience_s(door.settings.http.max_wait_s)),
        patience=visit,
    )
    present.by(call, door.catalog, found)
    return present.inferred(found)


def check(door: Door, _: Visit, message: HealthCheckRequest) -> Message:
    """As gRPC's own health protocol asks it, of all or of the service; raises NotFound for another one."""
    if message.service not in ("", SERVICE):
        raise errors.NotFound(f"There is no service '{message.service[:100]}' here")
    serving = HealthCheckResponse.SERVING if _is_ready(door) else HealthCheckResponse.NOT_SERVING
    found: Message = HealthCheckResponse(status=serving)
    return found


def _is_ready(door: Door) -> bool:
    return bool(door.readiness.get()["status"] != "unavailable")


def _ask(visit: Visit, model: str, version: str, key: Key | None = None) -> Ask:
    """Raises InvalidInput."""
    call = visit.call
    pinned = asking.version(call.said.get("x-model-version"), version or None)
    route_key = asking.route_key(call.said.get("x-route-key"))
    return Ask(
        visit.caller, call.request_id, model or None, pinned, key, route_key, began=call.began, ends_at=call.ends_at
    )


def _resolved(
    door: Door, visit: Visit, message: messages.ModelReadyRequest | messages.ModelMetadataRequest
) -> Resolved:
    """Raises ModelNotFound, VersionNotFound, VersionRetired, InvalidInput."""
    ask = _ask(visit, message.name, message.version)
    return door.catalog.resolve(ask.model, ask.version)


@dataclass(frozen=True)
class Method:
    """What is taken, what is done, and with which scopes, of which a key needs one; without any it is for everybody."""

    name: str
    request: type[Message]
    run: Callable[[Door, Visit, Any], Message]
    scopes: tuple[str, ...] = ()
    predicts: bool = False


#: By their services.
METHODS: Mapping[str, Sequence[Method]] = {
    SERVICE: (
        Method("ServerLive", messages.ServerLiveRequest, server_live),
        Method("ServerReady", messages.ServerReadyRequest, server_ready),
        Method("ServerMetadata", messages.ServerMetadataRequest, server_metadata),
        Method("ModelReady", messages.ModelReadyRequest, model_ready, ("predict", "models:read")),
        Method("ModelMetadata", messages.ModelMetadataRequest, model_metadata, ("predict", "models:read")),
        Method("ModelInfer", messages.ModelInferRequest, model_infer, ("predict",), predicts=True),
    ),
    HEALTH: (Method("Check", HealthCheckRequest, check),),
}
