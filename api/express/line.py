"""Who is next: one at a time, by turns of those who ask."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

#: So many wait at most.
MOST = 128


class Line:
    """Turns in an event loop. What runs in a turn awaits nothing, and who comes meanwhile is in line before the next
    one begins; so nobody waits for more than one turn of each other, however much those ask."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._length = 0
        self._calls = False

    async def turn(self, who: str) -> bool:
        """Wait for it; False at once where too many do."""
        if self._length >= MOST:
            return False
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(who, deque()).append(mine)
        self._length += 1
        if not self._calls:
            self._calls = True
            loop.call_soon(self._call, loop)
        await mine
        return True

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whose turn it is runs in the loop's next round; the one after it is called behind that."""
        who, line = next(iter(self._waiting.items()))
        called = line.popleft()
        self._length -= 1
        if line:
            self._waiting.move_to_end(who)
        else:
            del self._waiting[who]
        if not called.done():  # of a client that has gone
            called.set_result(None)
        if self._waiting:
            loop.call_soon(self._call, loop)
        else:
            self._calls = False
