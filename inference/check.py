"""Checking that a bundle keeps its promise: the graph's names, and the golden examples."""

from __future__ import annotations

from core import errors
from inference import model, schema
from inference.bundle import Bundle

#: Golden confidences may differ by this much between machines and providers.
TOLERANCE = 0.02


def check(bundle: Bundle) -> None:
    """Open the model and let it answer its golden examples; raises BundleInvalid saying which one it missed."""
    opened = model.open_model(bundle)
    if model.PROBABILITIES not in opened.signature()[1]:
        raise errors.BundleInvalid(f"{bundle.model_path} has no output '{model.PROBABILITIES}'")
    check_golden(opened)


def check_golden(opened: model.Model) -> None:
    """Raises BundleInvalid."""
    manifest = opened.bundle.manifest
    for number, golden in enumerate(manifest.golden, start=1):
        try:
            found = opened.predict([schema.validate_inputs(manifest, dict(golden.inputs))])[0]
        except (errors.InvalidInput, errors.ModelError) as error:
            raise errors.BundleInvalid(f"golden example {number} cannot be run: {error}; {error.details}") from error
        if found.label != golden.prediction or abs(found.confidence - golden.confidence) > TOLERANCE:
            raise errors.BundleInvalid(
                f"golden example {number} must give {golden.prediction} {golden.confidence}, "
                f"but gives {found.label} {found.confidence}"
            )
