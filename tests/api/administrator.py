"""An operator who asks the API, from 192.0.2.9."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flask
from werkzeug.test import TestResponse


@dataclass(frozen=True)
class Administrator:
    """Asks /api/v1/admin with this key."""

    app: flask.Flask
    token: str

    @property
    def id(self) -> str:
        return self.token.split("_")[1]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        given = {"Authorization": f"Bearer {self.token}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        more = {} if body is None else {"json": body}
        return self.app.test_client().open(
            f"/api/v1/admin/{path}", method=method, headers=given, environ_base={"REMOTE_ADDR": "192.0.2.9"}, **more
        )

    def get(self, path: str) -> dict[str, Any]:
        return self._good(self.ask("GET", path))

    def post(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        return self._good(self.ask("POST", path, body, **headers))

    def patch(self, path: str, body: Any) -> dict[str, Any]:
        return self._good(self.ask("PATCH", path, body))

    @staticmethod
    def _good(answer: TestResponse) -> dict[str, Any]:
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.get_json())
