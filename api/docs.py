"""The contracts: OpenAPI 3.1 at /openapi/v1.json and /openapi/v2.json, and a page to read them at /docs that works
without the internet."""

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
from api.contract import Words
from api.v1 import callbacks
from api.v1 import document as v1
from api.v2 import document as v2

PAGE, ASSETS = "/docs", "/docs/assets/"
_OURS = Path(__file__).with_name("page")
#: The Content-Security-Policy (W3C CSP3) under which the page runs what it brings, and nothing else.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Api(flask_smorest.Api):
    """Leaves errors to `api.errors`, and makes the contract of a version and the page once."""

    DEFAULT_ERROR_RESPONSE_NAME = contract.ANY_REFUSAL

    def __init__(self, app: flask.Flask, words: Words, prefix: str = "") -> None:
        self.words = words
        super().__init__(app, config_prefix=prefix)

    def _register_error_handlers(self, *, is_app: bool = True) -> None:
        """Deliberately none."""

    def _register_responses(self) -> None:
        contract.declare_refusals(self.spec, self.words)

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
        return _tagged(flask.json.dumps(self.words.finished(self.spec.to_dict())))

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


def configure(app: flask.Flask) -> tuple[Api, Api]:
    """The contracts of v1 and of v2, to which blueprints are added."""
    app.config.update(OPENAPI_SWAGGER_UI_PATH=PAGE, OPENAPI_SWAGGER_UI_URL=ASSETS)
    app.add_url_rule(f"{ASSETS}<path:name>", view_func=_asset, endpoint="docs_asset")
    app.add_url_rule("/favicon.ico", "favicon", lambda: flask.redirect(f"{ASSETS}icon.svg"))
    return _made(app, "v1", v1.WORDS), _made(app, "v2", v2.WORDS, "V2_")


def _made(app: flask.Flask, name: str, words: Words, prefix: str = "") -> Api:
    said = {
        "API_TITLE": "Coatcheck",
        "API_VERSION": importlib.metadata.version("coatcheck"),
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
        "OPENAPI_JSON_PATH": f"/openapi/{name}.json",
        "API_SPEC_OPTIONS": {
            "info": {"description": words.about, "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"}},
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
    }
    app.config.update({f"{prefix}{key}": value for key, value in said.items()})
    api = Api(app, words, prefix)
    # Else other languages take 32 bits for them, or decimals.
    api.register_field(fields.Integer, "integer", "int64")
    api.register_field(fields.Float, "number", "double")
    v1.declare_kinds(api.spec, api.ma_plugin, words.results)
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
