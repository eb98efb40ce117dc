"""`POST /graphql` (GraphQL over HTTP): one query, its variables, and which of its operations is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flask
import graphql
import marshmallow as ma
from marshmallow import fields, validate

from api import context, parsing, resources
from api.graphql import PREFIX, cost, resolve
from core import errors
from inference import schema

blueprint = flask.Blueprint("graphql", __name__, url_prefix=PREFIX)

MAX_QUERY = 20_000
#: What is wrong with a query is told so many times.
_TOLD, _MESSAGE = 10, 300


class _Asked(ma.Schema):
    query = schema.StrictString(required=True, validate=validate.Length(1, MAX_QUERY))
    variables = fields.Dict(keys=schema.StrictString(), load_default=dict, allow_none=True)
    operation = schema.StrictString(
        data_key="operationName", load_default=None, allow_none=True, validate=validate.Length(max=200)
    )
    extensions = fields.Dict(keys=schema.StrictString(), load_default=dict, allow_none=True)


_ASKED, _PARSER = _Asked(), parsing.StrictParser()


@blueprint.post("")
def ask() -> flask.Response:
    """Answers what was asked for, and beside it what of that could not be answered; 400 for what is no query.

    Raises MalformedRequest, InvalidInput.
    """
    for name in flask.request.args:
        raise errors.InvalidInput.field(name, "is not a known parameter: what is asked for stands in the body")
    try:
        asked = _ASKED.load(_PARSER.load_json(flask.request, _ASKED))
    except ma.ValidationError as error:
        raise parsing.refused(error.messages) from error
    variables = asked["variables"] or {}
    try:
        document = graphql.parse(asked["query"], max_tokens=cost.MOST_TOKENS)
    except graphql.GraphQLError as error:
        return _refused([error])
    if faults := graphql.validate(resolve.schema(), document, max_errors=_TOLD):
        return _refused(faults)
    cost.check(document, variables)
    found = graphql.execute_sync(
        resolve.schema(),
        document,
        context_value=resolve.Context(resources.here(), context.caller()),
        variable_values=variables,
        operation_name=asked["operation"],
    )
    if found.data is None and all(error.path is None for error in found.errors or ()):
        return _refused(found.errors or [])
    said = {"data": found.data} | ({"errors": [_told(error) for error in found.errors]} if found.errors else {})
    return flask.jsonify(said)


def _refused(faults: Sequence[graphql.GraphQLError]) -> flask.Response:
    response = flask.jsonify({"errors": [_told(error) for error in faults[:_TOLD]]})
    response.status_code = 400
    return response


def _told(error: graphql.GraphQLError) -> dict[str, Any]:
    """As the specification has it (GraphQL, October 2021, §7.1.2); raises what is nobody's but ours."""
    cause = error.original_error
    # Without a path nothing was executed: whatever it is, the query is at fault.
    if error.path and cause is not None and not isinstance(cause, errors.CoatcheckError | graphql.GraphQLError):
        raise cause
    message = (
        "; ".join(f"{at['field']} {at['issue']}" for at in cause.errors)
        if isinstance(cause, errors.InvalidInput)
        else ""
    )
    said: dict[str, Any] = {"message": (message or error.message)[:_MESSAGE]}
    if error.locations:
        said["locations"] = [{"line": at.line, "column": at.column} for at in error.locations[:_TOLD]]
    if error.path:
        said["path"] = error.path
    code = cause.code if isinstance(cause, errors.CoatcheckError) else "MALFORMED_REQUEST"
    return {**said, "extensions": {"code": code}}
