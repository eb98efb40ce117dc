"""Explanations: are they right, and how long do they take? Beside the library shap where it says the same, and alone.

All of it runs on one core, in an environment of its own that is made when first asked for: that of the project with
what `explain.txt` names above it.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bed, peers

REQUIREMENTS = Path(__file__).with_suffix(".txt")
#: So that what is compared has the same core to itself, one after the other.
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Told:
    """What was found of one question, what was asked for, and whether it is so."""

    what: str
    found: str
    asked: str
    holds: bool


def run() -> None:
    subprocess.run(
        [peers.python("explain", REQUIREMENTS), "-m", "benchmarks.explain"],
        cwd=bed.ROOT,
        env={**os.environ, **ALONE},
        check=True,
    )


def main() -> None:
    """In that environment."""
    from benchmarks import explain_alone, explain_shap

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    parts = {
        "as large as those of shap.TreeExplainer on the model itself, or as the weights say": explain_shap.equal,
        "beside shap.Explainer, as its documentation uses it, on the same graph with the same usual inputs; by turns, "
        "medians": explain_shap.times,
        "tumor 1.1.0, alone": explain_alone.fast,
        "how often twice the stated error covers the truth": explain_alone.covered,
        "what was planted is found": explain_alone.planted,
    }
    for title, part in parts.items():
        print(f"\n{title}", flush=True)
        for told in part():
            asked = f"{told.asked}: {'so it is' if told.holds else 'IT IS NOT'}" if told.asked else ""
            print(f"  {told.what:<52} {told.found:<65} {asked}", flush=True)


if __name__ == "__main__":
    main()
