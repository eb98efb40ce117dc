"""Who may use what, as the API asks it."""

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
from wiring.base import Base, part


class Access(Base):
    """Callers, their limits and what they used, beside the engines."""

    #: What writes by itself, in a thread of its own.
    writing = ("ledger", "conduct", "used")

    def close(self) -> None:
        """First wait for what writes by itself."""
        for name in self.writing:
            if name in vars(self):
                getattr(self, name).close()
        super().close()

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
        limits = self.settings.api.limits
        return Gate(Rates(self.line), Quota(self.engine, self.ledger), self.conduct, self.ledger, limits=limits)

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
