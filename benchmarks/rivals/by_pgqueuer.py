"""pgqueuer: jobs are rows of Postgres, as ours; one process that takes 250 at a time, and forgets what is done."""

from __future__ import annotations

import asyncio
import os

import psycopg
from pgqueuer import Job, PgQueuer, PsycopgDriver, Queries

from benchmarks.rivals import work

URL = os.environ["RIVALS_DATABASE_URL"]
WORKER = ("benchmarks.rivals.by_pgqueuer",)


async def _driver() -> PsycopgDriver:
    return PsycopgDriver(await psycopg.AsyncConnection.connect(URL, autocommit=True))


async def _work() -> None:
    found = PgQueuer(await _driver())

    @found.entrypoint("predict")
    async def predict(job: Job) -> None:
        work.predict(int(job.payload or b"1"))

    await found.run(batch_size=250)


def enqueue(count: int) -> None:
    async def everything() -> None:
        queries = Queries(await _driver())
        await queries.install()
        payloads: list[bytes | None] = [str(place).encode() for place in work.places(count)]
        await queries.enqueue(["predict"] * count, payloads, [0] * count)

    asyncio.run(everything())


if __name__ == "__main__":
    asyncio.run(_work())
