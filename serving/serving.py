"""What serving needs of the platform."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy

from access.gate import Gate
from core.broker import Hints
from core.clock import Clock
from core.seal import Seal
from core.settings import Settings
from inference.interrupt import Watch
from jobs.shadows.buffer import Buffer
from jobs.submit import Submitter
from registry.catalog import Catalog
from registry.judging.witness import Witness
from registry.shelf import Shelf
from serving.cache import Cache
from storage.fetch import Fetcher
from storage.objects import Store
from webhooks.receivers import Receivers


@dataclass(frozen=True)
class Serving:
    """One process's; may be shared by threads."""

    settings: Settings
    engine: sqlalchemy.Engine
    catalog: Catalog
    shelf: Shelf
    submitter: Submitter
    hints: Hints
    store: Store
    fetcher: Fetcher
    seal: Seal
    receivers: Receivers
    clock: Clock
    gate: Gate
    shadows: Buffer
    witness: Witness
    cache: Cache | None  #: of answers; None: none are kept
    watch: Watch = field(default_factory=Watch)  #: over inline runs
