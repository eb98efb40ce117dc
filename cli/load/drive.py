"""An open loop: requests leave when they are due, however long those before them take.

Tools whose users wait for an answer before they ask again send least while a platform is slowest, and so hide what
they should show. Here all arrivals are drawn without a look at answers, and each wait counts from when its request was
due: if no sender is free, that is part of it. Threads and the client that the other commands use are enough for that;
the tools that are kept (Locust) have such waiting users, and would bring a second HTTP client.
"""

from __future__ import annotations

import io
import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cli import store
from cli.failures import Failure
from cli.load.door import Answer, Door
from cli.load.hostile import Tricks
from cli.load.mix import Arrival, arrivals
from cli.load.model import Model
from cli.load.record import Record
from cli.load.tickets import Followers, Ticket
from cli.remote import Remote

#: Requests that may be under way at once.
SENDERS = 256
#: How long tickets are waited for after the last arrival, and what is late to be sent.
AFTER_S = 60.0
#: How long answers are waited for after Ctrl-C; another one ends that.
STOPPED_S = 5.0
JSONL = "application/x-ndjson"
ROUTES = {
    "inline": "inline POST /predict", "batch": "batch POST /predict/batch", "poll": "job POST /jobs",
    "stream": "job POST /jobs", "file": "file POST /uploads, /jobs", "hostile": "hostile POST /predict",
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What is asked for on the command line."""

    rate: float
    seconds: float
    warm_up_s: float
    mix: Mapping[str, float]
    obey: bool


class Load:
    """One run of a plan against a model."""

    def __init__(self, remote: Remote, model: Model, plan: Plan) -> None:
        self.record = Record(plan.warm_up_s, plan.seconds)
        self._plan = plan
        self._model = model
        self._door = Door(remote, SENDERS)
        self._ends_s = plan.warm_up_s + plan.seconds
        self._began = time.monotonic()
        self._followers = Followers(self._door, self.record, self.clock)
        chance = random.Random()  # noqa: S311 - nobody is kept out by it
        self._tricks = Tricks(chance)
        self._arrivals = arrivals(plan.mix, plan.rate, self._ends_s, chance)
        self._lock = threading.Lock()
        self._over = threading.Event()

    def clock(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def run(self, tell: Callable[[float], None]) -> None:
        """Returns when all is sent and every ticket has ended, or none of that comes any more, or soon after Ctrl-C;
        `tell` hears how far it is, in seconds."""
        senders = [threading.Thread(target=self._send, daemon=True) for _ in range(SENDERS)]
        try:
            for sender in senders:
                sender.start()
            self._wait(senders, tell)
        except KeyboardInterrupt:
            self._stop(senders)
        with self._lock:
            due = sum(1 for _ in itertools.takewhile(lambda arrival: arrival.due_s <= self._ends_s, self._arrivals))
        self.record.not_sent(due + sum(sender.is_alive() for sender in senders))

    def _wait(self, senders: Sequence[threading.Thread], tell: Callable[[float], None]) -> None:
        last_s = self._ends_s + AFTER_S
        while self.clock() < last_s and (any(sender.is_alive() for sender in senders) or self.record.tickets.open):
            tell(min(self.clock(), self._ends_s))
            time.sleep(0.1)

    def _stop(self, senders: Sequence[threading.Thread]) -> None:
        """What is not due yet is not sent any more; what is under way is waited for a little."""
        self._ends_s = min(self.clock(), self._ends_s)
        self.record.stop(self._ends_s)
        self._over.set()
        while self.clock() < self._ends_s + STOPPED_S and any(sender.is_alive() for sender in senders):
            time.sleep(0.1)

    def _send(self) -> None:
        while True:
            with self._lock:
                arrival = next(self._arrivals, None)
            if arrival is None:
                return
            if self._over.wait(max(0.0, arrival.due_s - self.clock())):
                self.record.not_sent(int(arrival.due_s <= self._ends_s))
                return
            self.record.left(arrival.due_s, self.clock())
            self._ask(arrival)

    def _ask(self, arrival: Arrival) -> None:
        """Send it, again where its refusal says when, and remember what came."""
        route = ROUTES[arrival.kind]
        while True:
            answer, code = self._sent(arrival)
            again = self._plan.obey and answer.refused and self.clock() + answer.pause_s < self._ends_s
            if not again or self._over.wait(answer.pause_s):
                break
        self.record.answered(route, arrival.due_s, self.clock(), code, expected=answer.refused)
        if answer.status == 202 and "job_id" in answer.found:
            job_id = str(answer.found["job_id"])
            self._followers.take(Ticket(job_id, arrival.due_s, streamed=arrival.kind == "stream"))

    def _sent(self, arrival: Arrival) -> tuple[Answer, str | None]:
        """The answer, and the code of what is wrong with it."""
        if arrival.kind == "hostile":
            trick = self._tricks.next()
            answer = trick.play(self._door, self._model)
            if answer.code == trick.code:
                return answer, None
            return answer, answer.code if answer.refused else f"{answer.code or answer.status} for {trick.code}"
        answer = self._honest(arrival.kind)
        ticketless = answer.status == 202 and "job_id" not in answer.found
        return answer, "NOT_COATCHECK" if ticketless else answer.code

    def _honest(self, kind: str) -> Answer:
        match kind:
            case "inline":
                return self._door.post("/predict", self._model.one)
            case "batch":
                return self._door.post("/predict/batch", self._model.several)
            case "file":
                return self._file()
        return self._door.post("/jobs", self._model.one)

    def _file(self) -> Answer:
        rows = self._model.rows
        place = self._door.post("/uploads", {"filename": "load.jsonl", "content_type": JSONL, "size": len(rows)})
        if place.code:
            return place
        if not place.found.keys() >= {"url", "fields", "upload_id"}:
            return Answer(place.status, "NOT_COATCHECK", {})
        try:
            store.send(
                str(place.found["url"]), place.found["fields"], io.BytesIO(rows), len(rows), name="load.jsonl",
                sent=lambda _: None,
            )  # fmt: skip
        except Failure as error:
            return Answer(0, error.code, {})
        return self._door.post("/jobs", {**self._model.asked, "upload_id": place.found["upload_id"]})
