"""The front door for HTTP."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable
from typing import Any

import flask
from werkzeug.http import http_date
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_path_info

from api import accepted, admission, conduct, context, docs, errors, health, parsing, resources
from api.oip import present as oip_answers
from api.oip import routes as oip
from api.v1 import routes
from api.v1.present import V1
from api.v2.present import V2
from core import logging
from core import settings as all_settings
from core.setting_doors import Versions
from core.settings import Settings

#: The versions of the API, from the first to the newest.
EDITIONS = (V1(), V2())


class App(flask.Flask):
    """One without async views, and none of whose routes depends on how it is called: to ask each function of each
    request whether it is the one, and to make out the host as IDNA knows it, costs a twentieth of a prediction."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        path, root, query = get_path_info(environ), environ.get("SCRIPT_NAME", ""), environ.get("QUERY_STRING", "")
        return self.url_map.bind("", root, "", environ["wsgi.url_scheme"], request.method, path, query)


def create_app(settings: Settings | None = None) -> flask.Flask:
    """The WSGI app; raises SettingsInvalid. Nothing is connected or opened before the first request."""
    values = settings or all_settings.load()
    logging.configure(values.log_level)
    app = App("coatcheck", static_folder=None)
    app.json = parsing.Json(app)
    app.url_map.strict_slashes = False
    # Else a doubled slash is answered with a redirect to whatever the Host header says.
    app.url_map.merge_slashes = False
    app.url_map.converters["endpoint"] = parsing.EndpointId
    app.url_map.converters["whole"] = parsing.Whole
    app.add_url_rule("/", "root", lambda: flask.redirect("/docs"))
    app.config["MAX_CONTENT_LENGTH"] = values.http.max_body_bytes
    app.extensions["coatcheck"] = resources.Resources(values)
    context.register(app)
    conduct.register(app)
    admission.register(app)
    app.before_request(accepted.agree)
    errors.register(app)
    contracts = docs.configure(app)
    for edition, contract in zip(EDITIONS, contracts, strict=True):
        for blueprint in routes.BLUEPRINTS:
            prefix, name = f"{edition.prefix}{blueprint.url_prefix}", edition.endpoint(blueprint.name)
            contract.register_blueprint(blueprint, url_prefix=prefix, name=name)
    contracts[0].register_blueprint(health.blueprint)
    app.register_blueprint(oip.blueprint)
    if importlib.util.find_spec("graphql"):  # an extra
        from api.graphql import routes as graphql

        app.register_blueprint(graphql.blueprint)
    # The first that looks at an answer: Flask asks the last one first.
    app.after_request(oip_answers.plain)
    app.wsgi_app = accepted.Chosen(app.wsgi_app, EDITIONS, _ended(values.versions))  # type: ignore[method-assign]
    return app


def served() -> flask.Flask:
    """The same, for a process that does nothing else."""
    app = create_app()
    # What is there by now stays. A look of the garbage collector through all of it would hold everybody up for 0.1 s.
    gc.collect()
    gc.freeze()
    return app


def _ended(versions: Versions) -> dict[str, accepted.Headers]:
    """What answers of a version say of its end (RFC 9745, RFC 8594), where there is anything to say."""
    said = []
    if versions.v1_deprecated_at:
        said.append(("Deprecation", f"@{int(versions.v1_deprecated_at.timestamp())}"))
    if versions.v1_sunset_at:
        said.append(("Sunset", http_date(versions.v1_sunset_at)))
    return {V1.name: said} if said else {}
