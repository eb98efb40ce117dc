"""An inference: rows of tensors, answered as a batch at once, or by a job that is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from core import errors, ids
from inference.manifest import Manifest
from inference.output import Said
from jobs.job import ReturnErrors
from serving import inputs, predict
from serving.oip import outputs, rows, signature
from serving.oip.tensors import BYTES, FP16, Tensor, misfit
from serving.serving import Serving
from serving.values import Answers, Ask, Found, Patience, Preference, Served, Ticket

#: What mlserver's clients say of how an input was made that changes nothing here, and what does.
CONTENT_TYPES, BASE64 = ("np", "str", "pd"), "base64"
#: What would change the answer, and is not done here.
NOT_DONE = ("sequence_id", "classification", "shared_memory_region")


#: How much there may be of what names tensors and says how large they are.
MOST_ID, MOST_NAME, MOST_NAMED, MOST_AXES = 1000, 200, 1000, 32


@dataclass(frozen=True)
class Wanted:
    """An output that is asked for, and whether its elements are to be bytes."""

    name: str
    binary: bool


@dataclass(frozen=True)
class Asked:
    """What is asked; without outputs all are wanted, as bytes or not."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Wanted]
    binary: bool
    id: str = ""


@dataclass(frozen=True)
class Inferred:
    """The outputs in the order in which they were asked for, and whether an earlier request has made them, or they
    were kept, if that was asked."""

    outputs: Sequence[tuple[Tensor, bool]]
    served: Served
    id: str
    again: bool
    found: Found | None


def read(tensor: Tensor, parameters: Mapping[str, Any]) -> Tensor:
    """The tensor, as its parameters say it is to be read; raises InvalidInput. Unknown ones are other servers'."""
    refuse(f"inputs.{tensor.name}", parameters)
    content_type = parameters.get("content_type", CONTENT_TYPES[0])
    if content_type == BASE64 and tensor.datatype == BYTES:
        return rows.unwrapped(tensor)
    if content_type not in CONTENT_TYPES:
        issue = f"has a content_type that is not read here; {', '.join((*CONTENT_TYPES, BASE64))} of BYTES are"
        raise misfit(f"inputs.{tensor.name}", issue)
    return tensor


def refuse(where: str, parameters: Mapping[str, Any]) -> None:
    """Raises InvalidInput for a parameter that would have to be done, and is not."""
    for name in NOT_DONE:
        if parameters.get(name):
            raise misfit(f"{where}.parameters.{name}", "is not offered here")


def infer(serving: Serving, ask: Ask, asked: Asked, *, wants: Preference, patience: Patience) -> Inferred:
    """Raises as `predict.several`, and TimedOut for a job that has not ended in time and goes on."""
    resolved, most = inputs.resolve(serving, ask), serving.settings.api.max_batch_items
    with inputs.asked_of(resolved):
        manifest = inputs.takes_rows(resolved).manifest
        wanted = _wanted(manifest, asked)
        given = cast(list[Any], rows.of(manifest, asked.inputs, most=most))
        replied = predict.several(
            serving,
            ask,
            given,
            return_errors=ReturnErrors.FAIL_FAST,
            batch_size=most,
            wants=wants,
            patience=patience,
            resolved=resolved,
        )
    if isinstance(replied.value, Ticket):
        job_id = ids.job_id(replied.value.job_id)
        late = errors.TimedOut(
            f"The job {job_id} has not ended in time, and goes on: GET /api/v1/jobs/{job_id} has its answer",
            details={"job_id": job_id, "status": replied.value.status},
        )
        late.served = replied.value.served.version, replied.value.served.route
        raise late
    answers = cast(Answers, replied.value)
    made = outputs.of(cast(Sequence[Said], answers.said))
    # An earlier request under the same key may have been answered by a version whose outputs have other names.
    named = [item for item in wanted if item.name in made] or [Wanted(name, asked.binary) for name in made]
    return Inferred(
        [(made[item.name], item.binary) for item in named], answers.served, asked.id, replied.again, replied.found
    )


def _wanted(manifest: Manifest, asked: Asked) -> Sequence[Wanted]:
    """Raises InvalidInput for an output that there is not, that is wanted twice, or that cannot be given so."""
    ports = {port.name: port for port in signature.gives(manifest)}
    found = asked.outputs or [Wanted(name, asked.binary) for name in ports]
    named: set[str] = set()
    for item in found:
        if item.name not in ports:
            raise misfit(f"outputs.{item.name}", f"is none of the outputs: {', '.join(ports)}")
        if item.name in named:  # or a small request had an answer as large as it likes
            raise misfit(f"outputs.{item.name}", "is asked for more than once")
        named.add(item.name)
        if ports[item.name].datatype == FP16 and not item.binary:
            raise misfit(f"outputs.{item.name}", "is FP16, which has no form in JSON: ask for it as binary data")
    return found
