"""What commands for operators share: the platform's objects, by the settings of whoever runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from core import errors
from wiring.operator import Operator


@contextlib.contextmanager
def parts() -> Iterator[Operator]:
    """Whatever the command asks for, until it ends; says of a missing setting where operators have it from."""
    made = Operator()
    try:
        yield made
    except errors.SettingsInvalid as error:
        if "not set" not in error.message:
            raise
        raise errors.SettingsInvalid(f"{error.message}; in a checkout, `. .coatcheck/env.admin` sets them") from error
    finally:
        made.close()
