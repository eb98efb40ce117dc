"""From values to the protocol's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flask
import orjson
from werkzeug.http import http_date

from api import once, resources
from api.oip import PREFIX
from api.oip.reading import LENGTH
from serving.oip import faults, tensors
from serving.oip.infer import Inferred
from serving.oip.signature import Port
from serving.oip.tensors import BYTES, Tensor
from serving.values import Served


def plain(response: flask.Response) -> flask.Response:
    """An error of these routes as a text, which is all that their clients read: `{"error": "…"}`."""
    path = flask.request.path
    if response.status_code < 400 or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
        return response
    said = response.get_json(silent=True) if response.is_json else None
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        if flask.request.endpoint is None:
            said["error"] = {"message": f"{flask.request.method} {path[:200]} is not offered here", "details": {}}
        response.set_data(orjson.dumps({"error": faults.text(said["error"])}))
    return response


def model(name: str, versions: Sequence[str], platform: str, takes: Sequence[Port], gives: Sequence[Port]) -> Any:
    """A model's metadata."""
    sides = {"inputs": takes, "outputs": gives}
    told = {
        side: [{"name": port.name, "datatype": port.datatype, "shape": port.shape} for port in ports]
        for side, ports in sides.items()
    }
    return {"name": name, "versions": list(versions), "platform": platform, **told}


def inferred(found: Inferred) -> flask.Response:
    """JSON, and behind it the bytes of those outputs that were asked for so."""
    told, tail = [], []
    for tensor, binary in found.outputs:
        about = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if binary:
            tail.append(tensors.to_bytes(tensor))
            told.append({**about, "parameters": {"binary_data_size": len(tail[-1])}})
        else:
            told.append({**about, "data": _data(tensor)})
    served = found.served
    body: dict[str, Any] = {"model_name": served.model, "model_version": served.version}
    head = orjson.dumps(
        body | ({"id": found.id} if found.id else {}) | {"outputs": told}, option=orjson.OPT_SERIALIZE_NUMPY
    )
    if tail:
        response = flask.Response(b"".join([head, *tail]), mimetype="application/octet-stream")
        response.headers[LENGTH] = str(len(head))
    else:
        response = flask.Response(head, mimetype="application/json")
    by(response, served)
    if found.found:
        response.headers["X-Cache"] = found.found
    return once.replayed(response) if found.again else response


def _data(tensor: Tensor) -> Any:
    """All elements, the last axis first."""
    flat = tensor.array.ravel()
    return flat.tolist() if tensor.datatype == BYTES else flat


def by(response: flask.Response, served: Served) -> None:
    """Which version answered, why, and whether it is to be used on."""
    response.headers["X-Model-Version"] = served.version
    response.headers["X-Model-Route"] = served.route
    if ends := resources.here().catalog.deprecation(served.model, served.version):
        # RFC 9745 and RFC 8594.
        response.headers["Deprecation"] = f"@{int(ends.at.timestamp())}"
        if ends.sunset_at:
            response.headers["Sunset"] = http_date(ends.sunset_at)
