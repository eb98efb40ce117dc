"""Version 1 of the API: its routes, its schemas, and how values are shown in it. Nothing else in `api` knows it but the
app and the contract's page."""

from __future__ import annotations

PREFIX = "/api/v1"
