"""What a caller may use."""

from __future__ import annotations

import flask

from api import context, contract, resources
from api.v1 import present_limits
from api.v1.schemas import limits as out
from serving import limits as serve

blueprint = contract.Blueprint("limits", __name__, url_prefix="/limits")


@blueprint.route("", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getLimits", {200: out.Limits}, 401, 403, 422, 429, 500, 503)
def show() -> flask.Response:
    """See your limits, and what is left of them.

    Those of your tier: what it may do in a minute and at once, how many jobs may run and wait, how large they may be.
    """
    return flask.jsonify(present_limits.limits(serve.of(resources.here().serving, context.caller())))
