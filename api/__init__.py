"""The front door for HTTP."""

from __future__ import annotations

import flask

from api import docs, errors, parsing, requests, resources
from api.routes import health, jobs, models, predict
from core import logging
from core import settings as all_settings
from core.settings import Settings


def create_app(settings: Settings | None = None) -> flask.Flask:
    """The WSGI app; raises SettingsInvalid. Nothing is connected or opened before the first request."""
    values = settings or all_settings.load()
    logging.configure(values.log_level)
    app = flask.Flask("coatcheck", static_folder=None)
    app.json = parsing.Json(app)
    app.url_map.strict_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = values.max_body_bytes
    app.extensions["coatcheck"] = resources.make(values)
    requests.register(app)
    errors.register(app)
    api = docs.configure(app)
    for module in (predict, jobs, models, health):
        api.register_blueprint(module.blueprint)
    return app
