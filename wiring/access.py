"""Who may use what, as the API asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from access.callers import Callers
from access.conduct import Conduct
from access.credit import Credit
from access.gate import Gate
from access.keys import Keyring
from access.ladder import Ladder
from access.ledger import Ledger
from access.quota import Quota
from access.rates import Rates
from access.strangers import Strangers
from access.used import Used
from wiring.base import Base, part

if TYPE_CHECKING:
    from access.tokens import Tokens


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
        return Conduct(self.engine, Ladder(errors=self.settings.api.max_errors), Credit(self.line))

    @part
    def gate(self) -> Gate:
        limits = self.settings.api.limits
        return Gate(Rates(self.line), Quota(self.engine, self.ledger), self.conduct, self.ledger, limits=limits)

    @part
    def callers(self) -> Callers:
        strangers = Strangers(self.engine) if self.settings.http.anonymous else None
        return Callers(self.keyring, self._tokens(), strangers)

    def _tokens(self) -> Tokens | None:
        if not self.settings.oidc.issuer:
            return None
        # What reads them is loaded where there are any.
        from access.tokens import Tokens

        return Tokens(self.engine, self.settings.oidc)

    @part
    def ledger(self) -> Ledger:
        return Ledger(self.engine)
