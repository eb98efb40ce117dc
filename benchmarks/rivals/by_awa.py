"""awa: jobs are rows of Postgres, as ours, handed out by a worker in Rust to 256 coroutines of Python (with eight, as
in its quick start, it is a fifth as fast)."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

import awa

from benchmarks.rivals import work

URL = os.environ["RIVALS_DATABASE_URL"]
QUEUE = "rivals"
WORKER = ("benchmarks.rivals.by_awa",)


@dataclass
class Predict:
    place: int


def enqueue(count: int) -> None:
    with awa.Client(URL) as client:
        client.migrate()
        client.install_queue_storage()
        client.enqueue_many_copy([Predict(place) for place in work.places(count)], queue=QUEUE)


async def main() -> None:
    client = awa.AsyncClient(URL)

    @client.task(Predict, queue=QUEUE)
    async def predict(job: awa.Job[Predict]) -> None:
        work.predict(job.args.place)

    await client.start([(QUEUE, 256)])
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
