"""A new version under load, from push over canaries to promotion, back again and retired: does any request notice?"""

from __future__ import annotations

import sys

from benchmarks import bed
from local import platform_processes
from local.state import held_port
from tests import rollout

ANSWERS = 3000
MODEL = "rollout"


def run() -> None:
    with bed.made() as found:
        for program in platform_processes.door(found.state, found.env):
            found.start(program)
        # A second process of the API, as where there are several machines: what one knows the other must find out.
        other = held_port(found.state.ports.values())
        found.python("second", "cli.main", "serve", "--port", str(other))
        urls = [f"http://127.0.0.1:{port}" for port in (found.state.ports["api"], other)]
        rollout.publish(found.parts.catalog, found.folder, MODEL, rollout.OLD)
        bed.until(lambda: all(platform_processes.answers(f"{url}/ready") for url in urls))
        with rollout.traffic(urls, found.key(), MODEL) as traffic:
            made = rollout.Rollout(found.parts.engine, found.parts.catalog, traffic, found.folder, ANSWERS)
            made.run()
        told(rollout.report(made))


def told(said: rollout.Report) -> None:
    """Prints what came of it; ends the process where a request failed, or was not answered as it should have been."""
    begun, ended = min(item.sent_at for item in said.seen), max(item.told_at for item in said.seen)
    print(f"{rollout.CLIENTS} clients, {len(said.seen)} requests in {ended - begun:.0f} s, by two processes of the API")
    for step in said.steps:
        share = 100 * step.new / step.answers
        print(
            f"  {step.state.name:<20} {step.answers:6d} answers   {share:6.2f} % by the new version, "
            f"{step.sigmas:.2f} sigma   earlier routes were followed for {step.late_s:.2f} s"
        )
    print(f"  failed: {len(said.failed)}   headers that are not true: {len(said.untrue)}")
    for line in [*(f"{item.status} {item.error}" for item in said.failed), *said.untrue][:10]:
        print(f"    {line[:300]}")
    if said.failed or said.untrue or any(step.sigmas > 3 for step in said.steps):
        sys.exit(1)
