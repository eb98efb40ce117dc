"""The names that a file's type has: browsers, systems and libraries know several for each."""

from __future__ import annotations

from collections.abc import Mapping

#: The one that we say, and the others that are understood.
NAMES: Mapping[str, tuple[str, ...]] = {
    "application/x-ndjson": (
        "application/jsonl",
        "application/jsonlines",
        "application/json-lines",
        "application/ndjson",
        "application/x-jsonlines",
        "text/jsonl",
        "text/x-ndjson",
    ),
    "text/csv": (
        "application/csv",
        "application/x-csv",
        "text/comma-separated-values",
        "text/tab-separated-values",
        "text/x-csv",
    ),
    "application/gzip": ("application/x-gzip", "application/x-gunzip", "application/gzipped"),
    "application/x-tar": ("application/tar", "application/x-gtar", "application/x-ustar"),
    "audio/wav": ("audio/wave", "audio/vnd.wave", "audio/x-wav", "audio/x-pn-wav"),
    "audio/flac": ("audio/x-flac", "application/x-flac"),
    "application/pdf": ("application/x-pdf",),
    "image/png": ("image/x-png",),
    "image/jpeg": ("image/jpg", "image/pjpeg"),
    "image/webp": (),
    "image/tiff": ("image/tif", "image/x-tiff", "image/x-tif"),
}
TYPES = tuple(NAMES)
_KNOWN = {name: ours for ours, others in NAMES.items() for name in (ours, *others)}
#: What is said of a file whose type nobody knows: its name may say more. Windows takes a CSV for Excel's.
_UNSAID = {"", "application/octet-stream", "binary/octet-stream", "text/plain", "application/vnd.ms-excel"}
_ENDINGS = {
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".gz": "application/gzip",
    ".tar": "application/x-tar",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}


def canonical(said: str, filename: str = "") -> str | None:
    """One of TYPES by whichever of its names, with or without parameters (RFC 9110 §8.3.1); by the name of the file
    where its type says nothing; else None."""
    name = said.partition(";")[0].strip().lower()
    if name in _UNSAID:
        return next((kind for ending, kind in _ENDINGS.items() if filename.lower().endswith(ending)), None)
    return _KNOWN.get(name)
