"""What model.yaml may say: the types of its keys as a schema; what holds between them is in `inference.rules`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import marshmallow as ma

from core import errors
from inference import faults, keys, kinds, model_yaml, rules, tensors
from inference.faults import Fault
from inference.keys import Key
from inference.kinds.kind import Kind
from inference.kinds.rows import RowKind
from inference.manifest import SHAP, Manifest

POOLS = ("cpu", "gpu")
EXPLANATIONS = ("simple", SHAP)
MAX_BATCH = 4096
#: A chunk of 32 of the largest batches is charged as a number of 32 bits.
MAX_UNITS = 10_000
#: Questions to the model for one explanation.
MAX_EVALUATIONS = 8192
NAME, NAMES = r"[a-z][a-z0-9_-]{0,62}\Z", "1 to 63 of a-z, 0-9, _ and -, beginning with a letter"
# Without zeros in front, or two versions were the same numbers.
_NUMBER = "(?:0|[1-9][0-9]{0,8})"
VERSION, VERSIONS = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}\Z", "three numbers with points between them, like 1.0.0"


def load(folder: Path) -> Manifest:
    """Read `folder/model.yaml`; raises BundleInvalid with a sentence for each mistake in it."""
    written = model_yaml.read(folder)
    # Who writes American English means the same.
    raw = {"licence" if key == "license" else key: value for key, value in written.items()}
    found = [Fault(("license",), "is the same as licence; say one of them")] if len(raw) < len(written) else []
    found += _kind(raw)
    if not found:
        try:
            manifest = Manifest.from_dict(_schema(kinds.find(raw["kind"]), raw).load(raw))
        except ma.ValidationError as error:
            found += faults.of(error.messages)
        else:
            found += rules.broken(manifest)
            if not found:
                return manifest
    raise errors.BundleInvalid(faults.told(folder / model_yaml.NAME, raw, found))


def _kind(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """All else depends on it."""
    known = kinds.names()
    if "kind" not in raw:
        # Under another name, such as `type`, or under one that is nearly right.
        others = [key for key in raw if key not in {*_COMMON, *RowKind.own_keys, "fields", "options", "golden"}]
        near = [key for key in others if raw[key] in known] or difflib.get_close_matches("kind", others, 1)
        if near:
            yield Fault((near[0],), "is unknown; did you mean kind?")
            return
        yield Fault(("kind",), f"is missing; it must be one of {', '.join(known)}")
    elif raw["kind"] not in known:
        yield Fault(("kind",), f"must be one of {', '.join(known)}")


_FIELD = {
    "description": keys.short(),
    "required": keys.flag(),
    "default": keys.anything(),
    "min_length": keys.whole(0, 2**31 - 1, allow_none=True),
    "max_length": keys.whole(0, 2**31 - 1, allow_none=True),
    "minimum": keys.number(allow_none=True),
    "maximum": keys.number(allow_none=True),
    "enum": keys.listed(keys.anything()),
    "input": keys.text(allow_none=True),
    "dtype": keys.one_of(*tensors.DTYPES, allow_none=True),
    "shape": keys.listed(keys.whole(0, 2**31, allow_none=True), allow_none=True),
}
_EXPLAIN = {
    "method": keys.one_of("exact", "sampled", required=True),
    "background": keys.text(),
    "groups": keys.by_name(keys.listed(keys.text(), least=2)),
    "evaluations": keys.whole(64, MAX_EVALUATIONS),
    "units": keys.whole(0, MAX_UNITS),
}
_COMMON = {
    "name": keys.named(NAME, NAMES),
    "version": keys.named(VERSION, VERSIONS),
    "kind": keys.text(),
    "summary": keys.text(required=True),
    "licence": keys.text(required=True),
    "pool": keys.one_of(*POOLS),
    "inline": keys.flag(),
    "max_batch": keys.whole(1, MAX_BATCH),
    "cache": keys.flag(),
    "units": keys.whole(0, MAX_UNITS),
    "explanation": keys.listed(keys.one_of(*EXPLANATIONS)),
    "explain": keys.mapping(_EXPLAIN),
}


def _schema(kind: Kind, raw: Mapping[str, Any]) -> ma.Schema:
    known = kind.option_keys or {}
    options = keys.mapping(kind.option_keys, required=any(key.required for key in known.values()))
    golden = keys.listed(keys.mapping(kind.keys_of_golden(raw)), least=1, required=True)
    own = {"fields": _fields(kind), **kind.own_keys, "golden": golden, "options": options}
    return keys.Keys.from_dict({**_COMMON, **own})()


def _fields(kind: Kind) -> Key:
    named = {"name": keys.text(required=True), "type": keys.one_of(*kind.field_types, required=True)}
    how: dict[str, Any] = {"least": 1, "required": True} if kind.needs_fields else {"load_default": list}
    return keys.listed(keys.mapping({**named, **_FIELD}), **how)
