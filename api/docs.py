"""The contract: OpenAPI 3.1 at /openapi/v1.json, and a page to read it at /docs that works without the internet."""

from __future__ import annotations

import base64
import functools
import hashlib
import http
import importlib.util
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import flask
import flask_smorest

from api import callbacks
from api.parsing import Blueprint
from api.schemas.answers import Envelope

F = TypeVar("F", bound=Callable[..., Any])

ASSETS = "/docs/assets/"
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Api(flask_smorest.Api):
    """Leaves errors to `api.errors`, and makes the contract and its page once."""

    ERROR_SCHEMA = Envelope

    def _register_error_handlers(self, *, is_app: bool = True) -> None:
        """Deliberately none."""

    def _openapi_json(self) -> flask.Response:
        return _kept(*self._contract, "application/json")

    def _openapi_swagger_ui(self) -> flask.Response:
        response = _kept(*self._page, "text/html")
        response.headers["Content-Security-Policy"] = page_policy(self._page[0].decode())
        return response

    @functools.cached_property
    def _contract(self) -> tuple[bytes, str]:
        return _tagged(flask.json.dumps(self.spec.to_dict()))

    @functools.cached_property
    def _page(self) -> tuple[bytes, str]:
        return _tagged(super()._openapi_swagger_ui())


def _tagged(text: str) -> tuple[bytes, str]:
    """The text and its ETag."""
    content = text.encode()
    return content, hashlib.sha256(content).hexdigest()[:32]


def _kept(content: bytes, etag: str, mimetype: str) -> flask.Response:
    """What may be kept, if it is asked each time whether it is still so."""
    response = flask.Response(content, mimetype=mimetype)
    response.cache_control.no_cache = True
    response.set_etag(etag)
    response.make_conditional(flask.request)
    return response


def page_policy(page: str) -> str:
    """The Content-Security-Policy (W3C CSP3) under which the page runs what it brings, and nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in _INLINE.findall(page)]
    scripts = " ".join(["'self'", *(f"'sha256-{item}'" for item in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def configure(app: flask.Flask) -> Api:
    app.config.update(
        API_TITLE="Coatcheck",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi/v1.json",
        OPENAPI_SWAGGER_UI_PATH="/docs",
        OPENAPI_SWAGGER_UI_URL=ASSETS,
        API_SPEC_OPTIONS={
            "info": {"description": "Hand in an input, get a ticket, come back for the result."},
            "security": [{"bearer": []}, {"key": []}],
            "webhooks": callbacks.documented(),
            "components": {
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                }
            },
        },
    )
    app.add_url_rule(f"{ASSETS}<path:name>", view_func=_asset, endpoint="docs_asset")
    return Api(app)


def _asset(name: str) -> flask.Response:
    return flask.send_from_directory(_dist(), name, max_age=86_400)


def _dist() -> Path:
    spec = importlib.util.find_spec("flask_swagger_ui")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("flask_swagger_ui")
    return Path(spec.origin).parent / "dist"


def headers(**described: str) -> Callable[[F], F]:
    """Document request headers, by their names with underscores."""
    parameters = [
        {"in": "header", "name": name.replace("_", "-"), "schema": {"type": "string"}, "description": text}
        for name, text in described.items()
    ]

    def decorate(view: F) -> F:
        # Beside those of `arguments`, which `doc(parameters=…)` would replace.
        documented = view.__dict__.setdefault("_apidoc", {})
        documented.setdefault("arguments", {}).setdefault("parameters", []).extend(parameters)
        return view

    return decorate


ONCE = "The same key and request again get the first answer; 1 to 255 printable ASCII characters"
REPLAYED = {"Idempotent-Replayed": "true for a stored answer"}
PIN = "The version of the model that is to answer"
PREFER = "`respond-async` for a ticket, `wait=N` for how many seconds to wait for a result"


def answers(
    blueprint: Blueprint, good: Mapping[int, Any], *bad: int, headers: Mapping[str, str] | None = None
) -> Callable[[F], F]:
    """Document what a route answers: schemas of the good ones, and the statuses that wear the envelope."""
    described = {name: {"schema": {"type": "string"}, "description": text} for name, text in (headers or {}).items()}
    responses: dict[str, Any] = {}
    for status, schema in [*good.items(), *((status, Envelope) for status in bad)]:
        content = {"application/json": {"schema": schema}}
        responses[str(status)] = {"description": http.HTTPStatus(status).phrase, "content": content}
    for status in good:
        responses[str(status)]["headers"] = described
    # Not `alt_response`: each of those is one more call around the view at every request.
    decorate: Callable[[F], F] = blueprint.doc(responses=responses)
    return decorate
