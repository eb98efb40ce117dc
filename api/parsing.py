"""Reading requests strictly: JSON only where JSON is due, and nothing that nobody asked for."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import flask
import marshmallow as ma
import orjson
from flask.json.provider import JSONProvider
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.routing import BaseConverter

from api import context
from core import errors, strict_json


class Json(JSONProvider):
    """orjson both ways: neither reads nor writes NaN."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> flask.Response:
        return flask.Response(orjson.dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json")


class StrictParser(FlaskParser):
    """Refuses unknown fields everywhere, and any body that is not JSON."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 - webargs' own hook
        "json": ma.RAISE,
        "query": ma.RAISE,
        "querystring": ma.RAISE,
        "headers": ma.EXCLUDE,
    }

    def get_default_request(self) -> flask.Request:
        return context.itself()[0]

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:
        if not req.is_json:
            raise UnsupportedMediaType("Send the body as Content-Type: application/json")
        if req.headers.get("Content-Encoding", "identity") != "identity":
            raise UnsupportedMediaType("Send the body without Content-Encoding")
        body = req.get_data()
        # A body without Content-Length is cut at the limit, without a word.
        if req.content_length is None and len(body) >= (req.max_content_length or math.inf):
            raise RequestEntityTooLarge
        return read(body)

    def load_querystring(self, req: flask.Request, schema: ma.Schema) -> Any:
        if not req.query_string:
            return {}
        for name, values in req.args.lists():
            if len(values) > 1:
                raise errors.InvalidInput.field(name, "is given more than once")
        return super().load_querystring(req, schema)

    def handle_error(self, error: ma.ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        # webargs has put the messages under the place that they are about.
        placed: dict[str, Any] = error.messages if isinstance(error.messages, dict) else {"json": error.messages}
        place, messages = next(iter(placed.items()))
        raise refused(messages, root="body" if place == "json" else place) from error


def read(body: bytes) -> Any:
    """What JSON says; raises MalformedRequest, and InvalidInput for a number that nothing can hold."""
    try:
        return strict_json.loads(body)
    except strict_json.NumberTooLong as error:
        raise errors.InvalidInput.field("body", str(error), received=error.digits) from error
    except strict_json.NotJson as error:
        raise errors.MalformedRequest(details={"field": "body", "issue": str(error)}) from error


def refused(messages: Any, root: str = "body") -> errors.InvalidInput:
    """What Marshmallow says is wrong with a request."""
    return errors.InvalidInput(errors=_flatten(messages, root=root))


def _flatten(messages: Any, path: str = "", *, root: str) -> list[dict[str, Any]]:
    """Marshmallow's nested messages as a list of {field, issue}; `root` is what has no name of its own."""
    if isinstance(messages, dict):
        return [
            fault
            for name, inner in messages.items()
            for fault in _flatten(inner, path if name == "_schema" else f"{path}.{name}".lstrip("."), root=root)
        ]
    return [{"field": path or root, "issue": _WORDS.get(str(item), str(item))} for item in messages]


_MOMENT = "must be a date and time with a zone, such as 2026-01-31T12:00:00Z"
_WORDS = {
    "Unknown field.": "is not a known field",
    "Missing data for required field.": "is required",
    "Field may not be null.": "must not be null",
    "Invalid input type.": "must be a JSON object",
    "Not a valid mapping type.": "must be an object",
    "Not a valid string.": "must be a string",
    "Not a valid boolean.": "must be true or false",
    "Not a valid integer.": "must be a whole number",
    "Not a valid number.": "must be a number",
    "Not a valid list.": "must be a list",
    "Shorter than minimum length 1.": "must not be empty",
    "Not a valid aware datetime.": _MOMENT,
    "Not a valid datetime.": _MOMENT,
}


class EndpointId(BaseConverter):
    """Anything but `deliveries`, which stands in the same place of an address."""

    regex = "(?!deliveries$)[^/]+"


class Whole(BaseConverter):
    """All that is left of an address, for names that may hold anything."""

    regex = ".+"
    part_isolating = False
