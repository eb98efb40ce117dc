"""The example that a first draft ends with: what the model itself answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from core import errors
from inference import answers, kinds, model, schema
from inference.bundle import Bundle
from inference.manifest import Golden
from inference.opened import why


def answered(bundle: Bundle, shown: Mapping[str, Any]) -> dict[str, Any]:
    """What the model really answers to inputs, as a golden example says both; raises BundleInvalid."""
    manifest = bundle.manifest
    given = kinds.find(manifest.kind).inputs(bundle.folder, manifest, Golden.from_dict(shown))
    opened = cast("model.Model", model.open_model(bundle))
    try:
        [found] = opened.predict([schema.validate_inputs(manifest, given)])
    except (errors.InvalidInput, errors.ModelError) as error:
        raise errors.BundleInvalid(f"{bundle.folder} cannot answer a row: {why(error)}") from error
    return answers.by(found).golden(found)
