"""Who may come in: with which key, to which route, and how many at once. Decided before a body is read."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping

import flask

from access import entrance, keys
from access.keys import Caller
from api import client, conduct, context, editions, resources
from core import errors
from serving.places import Places

#: Open to everybody.
KEYLESS = frozenset(
    {
        "root",
        "docs_asset",
        "favicon",
        "api-docs.openapi_json",
        "api-docs.openapi_swagger_ui",
        "v2-api-docs.openapi_json",
        "health.healthz",
        "health.ready",
        "webhook_keys.keys",
        "oip.live",
        "oip.ready",
        "oip.server",
    }
)
#: Every other route, in whichever version of the API, with the scopes of which a key needs one.
SCOPES: Mapping[str, tuple[str, ...]] = {
    "predict.predict": ("predict",),
    "predict.predict_batch": ("predict",),
    "explain.explain": ("predict",),
    "oip.infer": ("predict",),
    "oip.model": ("predict", "models:read"),
    "oip.model_ready": ("predict", "models:read"),
    "oip.index": ("models:read",),
    "graphql.ask": ("models:read",),
    "jobs.submit": ("jobs",),
    "jobs.list_jobs": ("jobs",),
    "jobs.show": ("jobs",),
    "jobs.result": ("jobs",),
    "jobs.parts": ("jobs",),
    "jobs.events": ("jobs",),
    "jobs.cancel": ("jobs",),
    "jobs.retry": ("jobs",),
    "jobs.give_feedback": ("jobs",),
    "uploads.create": ("files",),
    "webhooks.create": ("webhooks",),
    "webhooks.list_endpoints": ("webhooks",),
    "webhooks.show": ("webhooks",),
    "webhooks.change": ("webhooks",),
    "webhooks.delete": ("webhooks",),
    "webhooks.test": ("webhooks",),
    "webhook_keys.secret": ("webhooks",),
    "webhook_keys.rotate": ("webhooks",),
    "deliveries.list_all": ("webhooks",),
    "deliveries.list_of_endpoint": ("webhooks",),
    "deliveries.show": ("webhooks",),
    "deliveries.redeliver": ("webhooks",),
    "deliveries.redeliver_since": ("webhooks",),
    "models.list_models": ("models:read",),
    "models.show_model": ("models:read",),
    "models.show_version": ("models:read",),
    "usage.show": ("usage:read",),
    "limits.show_limits": ("predict", "jobs", "usage:read"),
    "keys.list_keys": ("keys",),
    "keys.create": ("keys",),
    "keys.rotate": ("keys",),
    "keys.revoke": ("keys",),
    "models.publish": (keys.MODELS,),
    **dict.fromkeys(
        (
            "tenants.list_tenants",
            "tenants.create",
            "tenants.show",
            "tenants.change",
            "tiers.list_tiers",
            "tiers.create",
            "tiers.show",
            "tiers.change",
            "admin_keys.list_keys",
            "admin_keys.create",
            "admin_keys.rotate",
            "admin_keys.revoke",
            "adjustments.list_adjustments",
            "adjustments.create",
            "audit.list_changes",
            "blocks.list_blocks",
            "blocks.lift",
            "shadows.list_shadows",
            "shadows.show",
            "quality.show_quality",
            "routes.show",
            "routes.change",
        ),
        (keys.ADMIN,),
    ),
    "health.metrics": ("metrics", keys.ADMIN),
}
#: Those whose bodies say what is to be done for units. What stands under an Idempotency-Key costs none.
SPENDING = frozenset({"predict.predict", "predict.predict_batch", "explain.explain", "oip.infer", "jobs.submit"})
#: Those of which only so many are answered at once as each is still answered quickly.
PREDICT = frozenset({"predict.predict", "predict.predict_batch", "explain.explain", "oip.infer"})
#: One host and perhaps a port (RFC 9110 §7.2), without user, list or blanks; names may have underscores, as in compose.
_HOST = re.compile(r"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def register(app: flask.Flask) -> None:
    app.before_request(_admit)
    app.teardown_request(_leave)


def _admit() -> None:
    """Raises MalformedRequest, Blocked, Unauthorized, Forbidden, RateLimited, QuotaExceeded, TooManyRequests, Busy,
    Unavailable."""
    request, g = context.itself()
    environ, endpoint = request.environ, request.endpoint
    _check_host(environ)
    if endpoint is None:  # there is no such route, and that is the answer
        _note(environ)
        return
    route = editions.route(endpoint)
    if route in KEYLESS:
        return
    here, scopes = resources.here(), SCOPES[route]
    address = g.address = client.address(environ)
    shown = client.token(environ), address
    g.caller = caller = entrance.verified(here.conduct, here.callers, *shown)
    conduct.enter(here.conduct, caller)
    caller.require(*scopes)
    g.admitted = here.callers, shown, scopes
    environ[context.CALLER] = caller
    places = here.predictions if _is_made_now(route, environ) else here.requests
    g.leave = places.take(caller.tenant_id)
    here.gate.enter(caller)
    if route in SPENDING and "HTTP_IDEMPOTENCY_KEY" not in environ:
        here.gate.look_ahead(caller)


def _is_made_now(route: str, environ: Mapping[str, str]) -> bool:
    """Whether it is to predict, and not by a job, as far as can be seen without its body."""
    return route in PREDICT and "respond-async" not in environ.get("HTTP_PREFER", "").lower()


def _note(environ: Mapping[str, str]) -> None:
    """Whose error it is that there is no such route: of the key that comes with it, if it opens anything; else of the
    network. Raises Blocked."""
    here, caller = resources.here(), None
    with contextlib.suppress(errors.CoatcheckError):
        token = client.token(environ)
        if token is not None:
            flask.g.caller = caller = entrance.verified(here.conduct, here.callers, token, client.address(environ))
    if caller is not None:
        conduct.enter(here.conduct, caller)
    elif blocked := here.conduct.refusal(f"address:{client.network(environ)}"):
        raise blocked


def _check_host(environ: Mapping[str, str]) -> None:
    """RFC 9112 §3.2: anything but one host is refused; only HTTP/1.0 may go without. Raises MalformedRequest."""
    given, protocol = environ.get("HTTP_HOST", ""), environ["SERVER_PROTOCOL"]
    if not names_a_host(given) and not (given == "" and protocol in ("HTTP/1", "HTTP/1.0")):
        raise errors.MalformedRequest(
            "The Host header does not name one host",
            details={"field": "Host", "issue": "must be one host, with or without a port", "received": given[:100]},
        )


def names_a_host(given: str) -> bool:
    """Whether a Host header does."""
    return _HOST.fullmatch(given) is not None


def _leave(_: BaseException | None = None) -> None:
    flask.g.pop("leave", lambda: None)()


def move_to(places: Places) -> None:
    """Have a place there, and no longer among the requests in flight, until the request ends; raises Busy."""
    leave = places.take(flask.g.caller.tenant_id)
    _leave()
    flask.g.leave = leave


def keep_place() -> Callable[[], None]:
    """For an answer that goes on after its request: what gives the place back, which is then for the caller to do."""
    leave: Callable[[], None] = flask.g.pop("leave")
    return leave


def verifier() -> Callable[[], Caller]:
    """What looks again whether the key still opens this route, and may be called after the request; raises
    Unauthorized, Forbidden, Unavailable."""
    callers, shown, scopes = flask.g.admitted

    def verify() -> Caller:
        found: Caller = callers.verify(*shown)
        found.require(*scopes)
        return found

    return verify
