"""GraphQL for reading about models: what there is, what it takes, who gets which version, and what was used of it."""

from __future__ import annotations

PREFIX = "/graphql"
