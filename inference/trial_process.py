"""The process that a bundle is tried in: `python -m inference.trial_process PARENT FOLDER`."""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import structlog

from core import errors
from inference import bundle, check
from inference.decoders import confined
from inference.opened import said

#: All that it may have of memory, enough to open the largest bundle; what one file in its own folder may take, such as
#: a profile; and how many files it may have open.
MEMORY_BYTES = 4 * bundle.MAX_BYTES
FILE_BYTES = 2**30
FILES = 256
#: How what it says begins: a step that is taken now, that all is well, or else an error's code.
BEGINS, FINE = "begins", "fine"
#: The longest line.
MOST = 2**16

Begins = Callable[[str], None]


def main() -> None:
    parent, folder = sys.argv[1:]
    within(int(parent), lambda begins: check.check(bundle.load(Path(folder)), begins))


def within(parent: int, work: Callable[[Begins], None]) -> None:
    """Do what may hang or end this process: say each step before it is taken, then the error, or that there is none."""
    # Whatever prints does so to nobody.
    output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)

    def tell(kind: str, text: str) -> None:
        os.write(output, orjson.dumps([kind, text[: errors.MAX_MESSAGE]]) + b"\n")

    confined.confine(
        parent,
        # What is its own alone: for each thread, an allocator sets addresses aside that it may never use.
        (resource.RLIMIT_DATA, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, FILES),
    )
    # What would be logged is in the error.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        work(lambda step: tell(BEGINS, step))
    except errors.CoatcheckError as error:
        tell(error.code, error.message)
    except OSError as error:
        tell(errors.Unavailable.code, f"The machine could not try it: {error.strerror or type(error).__name__}")
    # Nobody sees its stack trace.
    except Exception as error:  # noqa: BLE001 - it is told
        tell(errors.BundleInvalid.code, f"{type(error).__name__}: {said(error)}")
    else:
        tell(FINE, "")


if __name__ == "__main__":
    main()
