"""A TCP proxy that misbehaves on request, between the platform and one engine."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable

CHUNK = 65_536


class Proxy:
    """Forwards `port` to `upstream`; safe to steer from any thread."""

    def __init__(self, port: int, upstream: int) -> None:
        self.port = port
        self._upstream = upstream
        self.delay_s = 0.0  #: before every chunk, both ways
        self.hole = False  #: connections stay open and nothing passes
        self.deaf_after: bytes | None = None  #: once a client has said this, it hears nothing more
        self.heard = threading.Event()  #: `deaf_after` was said
        self._writers: set[asyncio.StreamWriter] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        self._started.wait(5)

    def cut(self) -> None:
        """Reset every open connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def heal(self) -> None:
        self.delay_s, self.hole, self.deaf_after = 0.0, False, None
        self.heard.clear()
        self.cut()

    def close(self) -> None:
        self.heal()
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._started.set()
        await self._closing.wait()
        server.close()
        self._cut()
        await asyncio.sleep(0.1)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        deaf = asyncio.Event()

        async def listen(chunk: bytes) -> None:
            if self.deaf_after and self.deaf_after in chunk:
                deaf.set()
                self.heard.set()

        async def say(_: bytes) -> None:
            while deaf.is_set():
                await asyncio.sleep(0.05)

        await asyncio.gather(self._pipe(reader, back, listen), self._pipe(there, writer, say))
        self._writers -= {writer, back}

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: Callable[[bytes], Awaitable[None]]
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await before(chunk)
                while self.hole:
                    await asyncio.sleep(0.05)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()
