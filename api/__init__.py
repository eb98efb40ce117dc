"""The front door for HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask

from api import admission, conduct, context, docs, errors, health, parsing, resources, v1
from api.oip import present as oip_answers
from api.oip import routes as oip
from api.v1 import routes
from core import logging
from core import settings as all_settings
from core.settings import Settings


class App(flask.Flask):
    """One without async views: to ask each function of each request whether it is one costs 3 % of a prediction."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


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
    errors.register(app)
    api = docs.configure(app)
    for blueprint in routes.BLUEPRINTS:
        api.register_blueprint(blueprint, url_prefix=f"{v1.PREFIX}{blueprint.url_prefix}")
    api.register_blueprint(health.blueprint)
    app.register_blueprint(oip.blueprint)
    # The first that looks at an answer: Flask asks the last one first.
    app.after_request(oip_answers.plain)
    return app
