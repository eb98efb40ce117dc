"""Commands by which operators say who may use what, and see what was used."""

from __future__ import annotations

from cli.audit import audit
from cli.blocks import blocks
from cli.keys import keys
from cli.tenants import tenants
from cli.tiers import tiers
from cli.usage import adjust, usage

COMMANDS = (keys, tenants, tiers, usage, adjust, blocks, audit)
