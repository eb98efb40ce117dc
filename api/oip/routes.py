"""The protocol's routes. Those of a model take a version in the address or in `X-Model-Version`."""

from __future__ import annotations

import hashlib
import importlib.metadata

import flask

from api import negotiation, resources
from api.oip import PREFIX, present, reading
from core import errors
from registry.versions import Resolved
from serving.oip import infer as serve
from serving.oip import ready as opens
from serving.oip import signature
from serving.values import Preference

blueprint = flask.Blueprint("oip", __name__, url_prefix=PREFIX)

#: A model, and one of its versions.
MODEL, VERSION = "/models/<name>", "/models/<name>/versions/<version>"


@blueprint.get("/health/live")
def live() -> flask.Response:
    """The process answers."""
    return flask.jsonify({"live": True})


@blueprint.get("/health/ready")
def ready() -> flask.Response:
    """Whether requests can be answered; 503 if not."""
    there = resources.here().readiness.get()["status"] != "unavailable"
    response = flask.jsonify({"ready": there})
    response.status_code = 200 if there else 503
    return response


@blueprint.get("")
def server() -> flask.Response:
    """What this is, and which extensions of the protocol it has."""
    version = importlib.metadata.version("coatcheck")
    return flask.jsonify({"name": "coatcheck", "version": version, "extensions": ["binary_tensor_data"]})


@blueprint.get(MODEL)
@blueprint.get(VERSION)
def model(name: str, version: str | None = None) -> flask.Response:
    """What a model takes and gives."""
    found = _resolved(name, version)
    versions = [item.version for item in resources.here().catalog.model(name)]
    manifest = found.manifest
    takes, gives = signature.takes(manifest), signature.gives(manifest)
    return flask.jsonify(present.model(name, versions, f"coatcheck_{manifest.kind}", takes, gives))


@blueprint.get(f"{MODEL}/ready")
@blueprint.get(f"{VERSION}/ready")
def model_ready(name: str, version: str | None = None) -> flask.Response:
    """Whether it opens here, or somebody works who runs it; raises ModelUnavailable."""
    here, found = resources.here(), _resolved(name, version)
    opens.check(here.shelf, here.readiness.get, found)
    return flask.jsonify({"name": name, "ready": True})


@blueprint.post(f"{MODEL}/infer")
@blueprint.post(f"{VERSION}/infer")
def infer(name: str, version: str | None = None) -> flask.Response:
    """Predict as many inputs as the tensors have rows, now; a model that is not inline is asked through a job."""
    here, request = resources.here(), flask.request
    body, length = reading.body(request), request.headers.get(reading.LENGTH)
    meant = {"model": name, "length": length, "body": hashlib.sha256(body).hexdigest()}
    if version is not None:
        meant["version"] = version
    ask = negotiation.ask("v2/infer", {"model": name, "model_version": version}, meant)
    found = serve.infer(
        here.serving,
        ask,
        reading.asked(body, length),
        wants=Preference(wait_s=_wait_s(here)),
        patience=negotiation.Waiting(here),
    )
    return present.inferred(found)


@blueprint.post("/repository/index")
def index() -> flask.Response:
    """List all versions of all models, in the words of Triton."""
    return flask.jsonify(
        [
            {"name": item.model, "version": item.version, "state": "READY", "reason": ""}
            for item in resources.here().catalog.versions()
        ]
    )


def _resolved(name: str, version: str | None) -> Resolved:
    """Raises ModelNotFound, VersionNotFound, VersionRetired, InvalidInput."""
    ask = negotiation.ask("v2/models", {"model": name, "model_version": version})
    return resources.here().catalog.resolve(ask.model, ask.version)


def _wait_s(here: resources.Resources) -> float:
    """As long as anybody may, unless `Prefer` says less: there are no tickets in this protocol. Raises InvalidInput."""
    wants = negotiation.preference(here)
    if wants.respond_async:
        issue = "respond-async has no answer in this protocol: hand it in as a job, by POST /api/v1/jobs"
        raise errors.InvalidInput.field("Prefer", issue)
    return here.settings.http.max_wait_s if wants.wait_s is None else wants.wait_s
