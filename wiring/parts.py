"""What the API and the workers are made of."""

from __future__ import annotations

from access.callers import Callers
from access.conduct import Conduct
from access.gate import Gate
from access.keys import Keyring
from access.ladder import Ladder
from access.ledger import Ledger
from access.quota import Quota
from access.rates import Rates
from access.strangers import Strangers
from access.tokens import Tokens
from access.used import Used
from core.clock import Clock
from core.seal import Seal
from jobs.source import Sources
from jobs.submit import Submitter
from registry.catalog import Catalog
from registry.shelf import Shelf
from serving.serving import Serving
from storage.fetch import Fetcher
from storage.objects import Store
from webhooks.receivers import Receivers
from wiring.base import Base, part


class Parts(Base):
    """Files, models, jobs and webhooks, beside the engines."""

    #: The hardware that models run on here.
    provider = "cpu"
    #: What writes by itself, in a thread of its own.
    writing = ("ledger", "conduct", "used")

    def close(self) -> None:
        """First wait for what writes by itself."""
        for name in self.writing:
            if name in vars(self):
                getattr(self, name).close()
        super().close()

    @part
    def clock(self) -> Clock:
        return Clock(self.engine)

    @part
    def seal(self) -> Seal:
        return Seal(self.settings.sealing)

    @part
    def store(self) -> Store:
        return Store(self.settings.storage, read_s=self.limits.store_s, attempts=self.limits.store_attempts)

    @part
    def fetcher(self) -> Fetcher:
        return Fetcher(self.settings)

    @part
    def sources(self) -> Sources:
        return Sources(self.store, self.fetcher, self.seal)

    @part
    def catalog(self) -> Catalog:
        return Catalog(self.engine, self.store, self.settings.models.default_model)

    @part
    def shelf(self) -> Shelf:
        models = self.settings.models
        return Shelf(
            self.store,
            models.model_cache,
            provider=self.provider,
            threads=models.onnx_threads,
            memory_mb=models.model_memory_mb,
        )

    @part
    def keyring(self) -> Keyring:
        return Keyring(self.engine, self.used)

    @part
    def used(self) -> Used:
        return Used(self.engine)

    @part
    def conduct(self) -> Conduct:
        """Who is held back for repeated errors."""
        return Conduct(self.engine, Ladder(errors=self.settings.api.max_errors))

    @part
    def gate(self) -> Gate:
        return Gate(Rates(self.line), Quota(self.engine), self.conduct, limits=self.settings.api.limits)

    @part
    def callers(self) -> Callers:
        oidc, anonymous = self.settings.oidc, self.settings.http.anonymous
        return Callers(
            self.keyring,
            Tokens(self.engine, oidc) if oidc.issuer else None,
            Strangers(self.engine) if anonymous else None,
        )

    @part
    def ledger(self) -> Ledger:
        return Ledger(self.engine)

    @part
    def receivers(self) -> Receivers:
        return Receivers(self.settings)

    @part
    def serving(self) -> Serving:
        return Serving(
            self.settings,
            self.engine,
            self.catalog,
            self.shelf,
            self.submitter,
            self.hints,
            self.store,
            self.fetcher,
            self.seal,
            self.receivers,
            self.clock,
            self.gate,
            self.ledger,
        )

    @part
    def submitter(self) -> Submitter:
        return Submitter(self.engine, self.line, self.hints, self.seal)
