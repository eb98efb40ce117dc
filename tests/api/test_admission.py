"""Who is let in where, as far as it can be seen before a body is read."""

from __future__ import annotations

import pytest

from api import admission


@pytest.mark.parametrize("route", sorted(admission.SCOPES))
def test_only_what_predicts_at_once_takes_a_place_among_predictions(route: str) -> None:
    predicts = route in ("predict.predict", "predict.predict_batch", "explain.explain", "oip.infer")
    for prefer in (None, "", "wait=3", "return=minimal"):
        environ = {} if prefer is None else {"HTTP_PREFER": prefer}
        assert admission._is_made_now(route, environ) is predicts
    for prefer in ("respond-async", "Respond-Async", "wait=3, respond-async"):
        assert not admission._is_made_now(route, {"HTTP_PREFER": prefer})
