"""Rates, by token buckets in Redis from which each process takes ahead.

A bucket holds `burst` tokens and gets `per_minute / 60` a second. What a process has taken (its lease) it spends
without asking: most requests touch nothing but memory. Since tokens are taken before they are spent, processes together
never go over; what a lease has left when it is old goes back. The bucket is one number, the moment at which it will be
full (GCRA, ATM Forum TM 4.1 §4.4.2), on Redis's own clock.

Who is refused is told a turn, and so much of the bucket is kept from those who come without one that there is enough
for it, in this process and, as far as it can know, in the others.

While Redis is away what is in hand is spent, and then each process has its even share.
"""

from __future__ import annotations

import functools
import heapq
import math
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import NamedTuple

from core import errors
from core.broker import KEY_PREFIX, Line

#: So long a lease is good for, and so much of a minute's tokens it holds at most.
LEASE_S, LEASE_PART = 6.0, 0.01
#: Of so many leases those that are old are forgotten.
MOST_LEASES = 50_000
#: For so long at least a refusal is not asked for again: what comes free meanwhile is there for the next one.
PAUSE_S = 0.05
#: Nobody is told to wait for longer because of others.
LONGEST_TURN_S = 60.0
#: A turn is good for so long; so many are remembered; and as long as there are some, this part of the bucket is kept
#: from who has none.
TURN_S, MOST_TURNS, KEPT = 1.0, 1000, 0.01
#: A process that took nothing for so long shares no more; one that Redis never answered is one of so many.
PROCESS_S, UNTOLD = 15, 4

# Where there is as much as must be, takes the cost, and of what is wanted a part such that the processes together
# leave half; else says how long until there is enough.
_TAKE = """
local cost, want, rate = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local burst, back, need = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
redis.call('ZADD', KEYS[2], now, ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[7])
local processes = redis.call('ZCARD', KEYS[2])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now + ARGV[9]) - back / rate)
full = math.min(full, now + burst / rate)
local free = burst - (full - now) * rate
local taken, wait = 0, 0
if free >= need then
  taken = math.max(cost, math.min(want, math.floor(free / (2 * processes))))
  full = full + taken / rate
else
  wait = (need - free) / rate
end
redis.call('SET', KEYS[1], string.format('%.6f', full), 'EX', math.ceil(full - now) + 1)
return {taken, string.format('%.6f', free - taken), string.format('%.6f', wait), processes}
"""


@dataclass(frozen=True)
class Policy:
    """A bucket: `burst` at once, and then so many a minute."""

    name: str
    per_minute: int
    burst: int

    @functools.cached_property
    def rate_s(self) -> float:
        return self.per_minute / 60

    @functools.cached_property
    def window_s(self) -> int:
        """In how many seconds an empty bucket is full."""
        return math.ceil(self.burst / self.rate_s)

    @functools.cached_property
    def next_s(self) -> int:
        """In how many seconds there is one token more."""
        return math.ceil(1 / self.rate_s)

    @functools.cached_property
    def told(self) -> str:
        """As RateLimit-Policy has it."""
        return f'"{self.name}";q={self.burst};w={self.window_s}'

    @functools.lru_cache(1024)  # noqa: B019 - of as few policies as there are tiers
    def part(self, share: float) -> Policy:
        """A bucket of so much of it."""
        return Policy(self.name, max(1, int(self.per_minute * share)), max(1, int(self.burst * share)))


class Standing(NamedTuple):
    """How a bucket stands: what is left of it, and in how many seconds it is full."""

    policy: Policy
    remaining: int
    full_in_s: float


@dataclass(slots=True)
class _Lease:
    """What one process has in hand of one party's bucket, and what it last heard of the rest."""

    policy: Policy
    lock: threading.Lock = field(default_factory=threading.Lock)
    tokens: int = 0
    ends_at: float = 0.0
    free: float = 0.0  #: in the bucket, at `heard_at`
    heard_at: float = 0.0
    refused: int = 0  #: of what must be there, the least that was not
    refused_until: float = 0.0
    cost: int = 1  #: of the last who was sent away, and when its turn is
    turn_at: float = 0.0
    turns: list[float] = field(default_factory=list)  #: a heap of those that were told
    full_at: float = 0.0  #: as far as is known here; while Redis is away, of this process's own share


class Rates:
    """One process's leases; may be shared by threads."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._script = line.redis.register_script(_TAKE)
        self._leases: dict[tuple[str, str], _Lease] = {}
        self._me = uuid.uuid4().hex
        self._processes = UNTOLD

    def take(self, policy: Policy, party: str, cost: int = 1) -> None:
        """Raises RateLimited, whose `retry_after_s` is when there will be enough, and RequestTooCostly for what there
        never will be."""
        lease = self._leases.get((policy.name, party))
        if lease is None:
            lease = self._begin(policy, party)
        if cost > policy.burst:
            raise errors.RequestTooCostly(
                f"This costs {cost} units, and there are never more than {policy.burst} at once: hand in less",
                details={"limit": policy.burst, "policy": policy.name, "cost": cost},
            )
        with lease.lock:
            if lease.policy is not policy:
                self._change(lease, policy)
            now = time.monotonic()
            need = _need(lease, cost, now)
            if lease.tokens >= need and now < lease.ends_at:
                lease.tokens -= cost
            elif need >= lease.refused and now < lease.refused_until:
                raise self._refusal(lease, cost, now)
            elif (wait_s := self._ask(lease, party, cost, need, now)) is not None:
                lease.refused, lease.refused_until = need, now + max(wait_s, PAUSE_S)
                raise self._refusal(lease, cost, now)
            if need == cost and _is_due(lease, now):
                heapq.heappop(lease.turns)

    def look_ahead(self, policy: Policy, party: str) -> None:
        """Raises RateLimited where it is known, without asking, that there is nothing at all."""
        lease = self._leases.get((policy.name, party))
        if lease is None:
            return
        with lease.lock:
            now = time.monotonic()
            need = _need(lease, 1, now)
            in_hand = lease.tokens >= need and now < lease.ends_at
            if lease.policy is policy and not in_hand and need >= lease.refused and now < lease.refused_until:
                raise self._refusal(lease, lease.cost, now)

    def give_back(self, policy: Policy, party: str, cost: int) -> None:
        """What was taken for something that then was not done."""
        lease = self._leases.get((policy.name, party))
        if lease is not None:
            with lease.lock:
                lease.tokens = min(lease.tokens + cost, lease.policy.burst)

    def standing(self, policy: Policy, party: str) -> Standing:
        """As this process knows it, without asking."""
        lease = self._leases.get((policy.name, party))
        if lease is None:
            return Standing(policy, policy.burst, 0.0)
        left = int(lease.free + (time.monotonic() - lease.heard_at) * policy.rate_s) + lease.tokens
        left = 0 if left < 0 else policy.burst if left > policy.burst else left
        return Standing(policy, left, (policy.burst - left) / policy.rate_s)

    def _begin(self, policy: Policy, party: str) -> _Lease:
        """A lease of nothing yet."""
        if len(self._leases) >= MOST_LEASES:
            old = time.monotonic() - LEASE_S
            self._leases = {key: lease for key, lease in list(self._leases.items()) if lease.heard_at > old}
        return self._leases.setdefault((policy.name, party), _Lease(policy))

    def _change(self, lease: _Lease, policy: Policy) -> None:
        """Two keys of a tenant may know of a change at different moments: what is in hand stays."""
        if lease.policy != policy:
            lease.refused_until = 0.0
            lease.tokens = min(lease.tokens, policy.burst)
        lease.policy = policy

    def _ask(self, lease: _Lease, party: str, cost: int, need: int, now: float) -> float | None:
        """Spend it from a new lease; or else in how many seconds there will be enough."""
        policy = lease.policy
        keys = [f"{KEY_PREFIX}rate:{policy.name}:{party}", f"{KEY_PREFIX}rates"]
        want = max(cost, int(policy.per_minute * LEASE_PART))
        full_in_s = max(0.0, lease.full_at - now)  # in case that Redis forgot it
        arguments: list[float | str] = [cost, want, policy.rate_s, policy.burst, lease.tokens, self._me, PROCESS_S]
        arguments += [need, full_in_s]
        found = self._line.call(lambda: self._script(keys=keys, args=arguments), None)
        if found is None:
            return self._own_share(lease, cost, need, now)
        taken, free, wait_s, self._processes = int(found[0]), float(found[1]), float(found[2]), int(found[3])
        lease.free, lease.heard_at, lease.tokens = free, now, 0
        lease.full_at = now + (policy.burst - free) / policy.rate_s
        if taken == 0:
            return wait_s
        lease.tokens, lease.ends_at = taken - cost, now + LEASE_S
        return None

    def _own_share(self, lease: _Lease, cost: int, need: int, now: float) -> float | None:
        """The same of what this process has in hand, and then of its part of the bucket."""
        if lease.tokens >= cost:
            lease.tokens -= cost
            return None
        rate_s = lease.policy.rate_s / self._processes
        full_at = max(now, lease.full_at)
        free = max(cost, lease.policy.burst / self._processes) - (full_at - now) * rate_s
        lease.free, lease.heard_at = free, now
        if free < need:
            return (need - free) / rate_s
        lease.full_at = full_at + cost / rate_s
        return None

    def _refusal(self, lease: _Lease, cost: int, now: float) -> errors.RateLimited:
        """Who is sent away has a turn, behind all who were before, or all would come back at once; in whole seconds, as
        a header tells it."""
        policy = lease.policy
        turn_at = max(lease.refused_until, lease.turn_at + 2 * cost * self._processes / policy.rate_s)
        lease.turn_at = min(turn_at, now + max(LONGEST_TURN_S, lease.refused_until - now))
        wait_s = math.ceil(lease.turn_at - now)
        lease.cost = cost
        if len(lease.turns) < MOST_TURNS:
            # Twice, at half of the rate: one who comes without a turn just then is taken for who has it.
            heapq.heappush(lease.turns, now + wait_s)
            heapq.heappush(lease.turns, now + wait_s)
        return errors.RateLimited(
            f"More {policy.name} than your tier allows: {policy.per_minute} a minute, and {policy.burst} at once",
            retry_after_s=wait_s,
            details={"policy": policy.name, "limit": policy.burst, "per_minute": policy.per_minute},
        )


def _need(lease: _Lease, cost: int, now: float) -> int:
    """What must be there for who comes now: its cost, and, if nobody's turn has come, what is kept for them."""
    while lease.turns and lease.turns[0] + TURN_S < now:
        heapq.heappop(lease.turns)
    if not lease.turns or _is_due(lease, now):
        return cost
    return min(cost + int(lease.policy.burst * KEPT), lease.policy.burst)


def _is_due(lease: _Lease, now: float) -> bool:
    """Whether somebody's turn has come."""
    return bool(lease.turns) and lease.turns[0] <= now
