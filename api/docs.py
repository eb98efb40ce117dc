"""The contract: OpenAPI 3.1 at /openapi/v1.json, and a page to read it at /docs that works without the internet."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path

import flask
import flask_smorest
from marshmallow import fields

from api import contract
from api.v1 import callbacks, document
from api.v1.schemas.errors import Envelope

CONTRACT, PAGE, ASSETS = "/openapi/v1.json", "/docs", "/docs/assets/"
_OURS = Path(__file__).with_name("page")
#: The Content-Security-Policy (W3C CSP3) under which the page runs what it brings, and nothing else.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ABOUT = """\
Hand in an input, get a ticket, come back for the result. This contract is at [/openapi/v1.json](/openapi/v1.json), and
at [/docs](/docs) as a page to try it out.

A key goes into every request, as `Authorization: Bearer cck_…` or `X-API-Key: cck_…`. Which models there are, and what
they take, is at `GET /api/v1/models`. Unknown fields and query parameters are refused.

Every answer that is an error has the same body, the schema `Envelope`; what its `code` may be stands with each status,
and all of it with the schema `Error`. The proxy may answer 400, 408, 414, 429 and 503 to any request. Fields and codes
may be added to answers; none is taken away in v1.
"""


class Api(flask_smorest.Api):
    """Leaves errors to `api.errors`, and makes the contract and its page once."""

    ERROR_SCHEMA = Envelope
    DEFAULT_ERROR_RESPONSE_NAME = contract.ANY_REFUSAL

    def _register_error_handlers(self, *, is_app: bool = True) -> None:
        """Deliberately none."""

    def _register_responses(self) -> None:
        contract.declare_refusals(self.spec, Envelope)

    def _register_etag_headers(self) -> None:
        """None that are shared."""

    def _register_pagination_header(self) -> None:
        """There is none."""

    def _openapi_json(self) -> flask.Response:
        return _kept(*self._contract, "application/json")

    def _openapi_swagger_ui(self) -> flask.Response:
        response = _kept(*self._page, "text/html")
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    @functools.cached_property
    def _contract(self) -> tuple[bytes, str]:
        return _tagged(flask.json.dumps(document.finished(self.spec.to_dict())))

    @functools.cached_property
    def _page(self) -> tuple[bytes, str]:
        return _tagged((_OURS / "index.html").read_text())


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


def configure(app: flask.Flask) -> Api:
    app.config.update(
        API_TITLE="Coatcheck",
        API_VERSION=importlib.metadata.version("coatcheck"),
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH=CONTRACT,
        OPENAPI_SWAGGER_UI_PATH=PAGE,
        OPENAPI_SWAGGER_UI_URL=ASSETS,
        API_SPEC_OPTIONS={
            "info": {"description": _ABOUT, "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"}},
            "servers": [{"url": "/", "description": "Where this contract was fetched"}],
            "security": [{"bearer": []}, {"key": []}],
            "components": {
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `cck_…`"},
                    "key": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "X-API-Key",
                        "description": "The same key, for clients that cannot set Authorization",
                    },
                }
            },
        },
    )
    app.add_url_rule(f"{ASSETS}<path:name>", view_func=_asset, endpoint="docs_asset")
    app.add_url_rule("/favicon.ico", "favicon", lambda: flask.redirect(f"{ASSETS}icon.svg"))
    api = Api(app)
    # Else other languages take 32 bits for them, or decimals.
    api.register_field(fields.Integer, "integer", "int64")
    api.register_field(fields.Float, "number", "double")
    document.declare_kinds(api.spec, api.ma_plugin)
    callbacks.document(api.spec)
    return api


def _asset(name: str) -> flask.Response:
    folder = _OURS if name in {file.name for file in _OURS.iterdir()} else _dist()
    return flask.send_from_directory(folder, name, max_age=86_400)


def _dist() -> Path:
    spec = importlib.util.find_spec("flask_swagger_ui")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("flask_swagger_ui")
    return Path(spec.origin).parent / "dist"
