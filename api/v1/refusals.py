"""What an error of v1 leads to."""

from __future__ import annotations

import flask

from api import errors as refused
from api import links
from core import errors

#: What an error leads to, by how much is known of the model.
_SEE = (("models", "models.list_models"), ("model", "models.show_model"), ("schema", "models.show_version"))


def refusal(error: errors.CoatcheckError) -> flask.Response:
    """An error, with the way to what the models take where that helps."""
    if error.see is None:
        return refused.ours(error)
    name, route = _SEE[len(error.see)]
    return refused.ours(error, links={name: links.to(route, **dict(zip(("name", "version"), error.see, strict=False)))})
