"""`coatcheck explain`: why a model answers as it does, as bars in a terminal or as a picture."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from cli import asking, output
from cli.failures import Failure
from cli.files import Target
from cli.formats import DASH
from cli.numbers import Finite
from cli.remote import Remote
from cli.text import FilePath
from cli.words import printable
from inference.explain.heat import heat
from inference.explain.picture import waterfall
from inference.output import Explanation

#: Features that are shown; what is left is one together.
MOST = 20
NAME, BAR = 32, 20  #: cells of a feature's name at most, and of a bar to either side
BLOCKS = " ▏▎▍▌▋▊▉█"
#: The kind of models whose features are fields; of all others that have reasons they are words.
TABULAR = "tabular"


@click.command()
@click.argument("name")
@asking.with_inputs
@asking.VERSION
@click.option(
    "--picture", type=FilePath(dir_okay=False, path_type=Path), metavar="FILE", help="Draw it into an SVG file too."
)
@click.option("--tolerance", type=Finite(0), help="Ask no more questions than it takes to know each score within this.")
@click.option("--strict", is_flag=True, help="Fail where it cannot be known within --tolerance.")
@output.as_json
def explain(
    name: str,
    given: tuple[str, ...],
    file: Path | None,
    version: str | None,
    picture: Path | None,
    tolerance: float | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Ask a model once, and show why it answers so.

    Without --inputs it is asked its own example; --input changes one field of it and may be given again. A bar says how
    far a feature moved the answer from the usual one; what stands behind +- is a standard error, where it was found by
    questions. Many of them take a while, and are waited for.
    """
    if strict and tolerance is None:
        raise click.UsageError("--strict is for --tolerance: say one")
    remote = Remote.from_environment()
    if picture:
        # What cannot be written is told before anything is asked, not after it.
        Target(picture).check(DASH)
    seen = asking.seen(remote, name, version)
    inputs = asking.inputs(name, seen, given, file)
    options = {"explain": "shap", "explain_tolerance": tolerance, "explain_strict": strict or None}
    options = {option: value for option, value in options.items() if value is not None}
    body = {"model": name, "model_version": seen["version"], "inputs": inputs, "options": options}
    answer, by_job = asking.answered(remote, "/explain", body)
    why = _read(answer)
    if picture:
        Target(picture).write([_drawn(why, seen["kind"], inputs).encode()])
    if as_json:
        output.document({"model": name, "model_version": seen["version"], "job_id": by_job, "inputs": inputs,
                         "answer": answer})  # fmt: skip
        return
    for text in _told(why):
        output.line(text)


def _read(answer: Mapping[str, Any]) -> Explanation:
    """As the API tells it, the features in their places; raises Failure where it tells none."""
    found = answer.get("explanation", {})
    if found.get("method") != "SHAP":
        raise Failure("The answer came without its reasons; is this another release?", code="NOT_COATCHECK")
    features = sorted(found["feature_importance"], key=lambda item: int(item.get("place", 0)))
    off = [item["std_error"] for item in features if "std_error" in item]
    return Explanation(
        features=[item["feature"] for item in features],
        scores=[item["score"] for item in features],
        std_errors=off or None,
        cut_short=found.get("cut_short", False),
        **{name: found[name] for name in (
            "algorithm", "output", "scale", "base_value", "value", "additivity_error", "evaluations")},
    )  # fmt: skip


def _drawn(why: Explanation, kind: str, inputs: Mapping[str, Any]) -> str:
    """As the API draws it: words as they stand in the text that was asked about."""
    texts = [value for value in inputs.values() if isinstance(value, str)] if kind != TABULAR else []
    return next(filter(None, (heat(why, text) for text in texts)), None) or waterfall(why)


def _told(why: Explanation) -> Iterator[str]:
    """Line by line; what moved the answer most comes first."""
    how = "exact" if why.std_errors is None else f"{why.evaluations:,} inputs asked"
    how += ", cut short by its time" if why.cut_short else ""
    yield f"{why.output}: {why.base_value:.4g} usually, {why.value:.4g} here ({why.scale}; {why.algorithm}, {how})"
    errors: Sequence[float | None] = why.std_errors or [None] * len(why.scores)
    rows = sorted(zip(why.features, why.scores, errors, strict=True), key=lambda row: -abs(row[1]))
    shown = [(_name(name), score, off) for name, score, off in rows[:MOST]]
    if left := rows[MOST:]:
        shown.append((f"{len(left)} others", sum(score for _, score, _ in left), None))
    width = max((cell_len(name) for name, _, _ in shown), default=0)
    most = max((abs(score) for _, score, _ in shown), default=0.0) or 1.0
    for name, score, off in shown:
        within = "" if off is None else f" +- {off:.2g}"
        yield f"{set_cell_size(name, width)}  {_bar(score / most)}  {score:+.4g}{within}".rstrip()


def _name(feature: str) -> str:
    name = printable(feature)
    return name if cell_len(name) <= NAME else f"{set_cell_size(name, NAME - 3)}..."


def _bar(part: float) -> str:
    """Of -1 to 1, on either side of a line."""
    eighths = round(abs(part) * BAR * 8)
    if not _has_blocks():
        side = "#" * round(eighths / 8)
    elif part < 0:
        # There are no blocks that are full on the right: whole cells alone.
        side = "█" * round(eighths / 8)
    else:
        side = "█" * (eighths // 8) + BLOCKS[eighths % 8].strip()
    line = "│" if _has_blocks() else "|"
    return f"{side:>{BAR}}{line}{'':{BAR}}" if part < 0 else f"{'':{BAR}}{line}{side:<{BAR}}"


def _has_blocks() -> bool:
    """Whether what is printed to can show them."""
    try:
        f"{BLOCKS}│".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
