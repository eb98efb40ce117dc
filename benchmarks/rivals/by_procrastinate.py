"""Procrastinate: jobs are rows of Postgres, as ours; one process that runs ten at a time, and forgets what is done."""

from __future__ import annotations

import os

import procrastinate

from benchmarks.rivals import work

URL = os.environ["RIVALS_DATABASE_URL"]
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL))
predict = app.task(name="predict")(work.predict)
WORKER = (
    "procrastinate", "--app", "benchmarks.rivals.by_procrastinate.app", "worker", "--concurrency", "10",
    "--delete-jobs", "always",
)  # fmt: skip


def enqueue(count: int) -> None:
    with app.replace_connector(procrastinate.SyncPsycopgConnector(conninfo=URL)) as here, here.open():
        if here.check_connection() is False:
            here.schema_manager.apply_schema()
        predict.batch_defer(*[{"place": place} for place in work.places(count)])
