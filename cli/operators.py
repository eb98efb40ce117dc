"""What commands for operators share: the platform's objects, by the settings of whoever runs it."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator

from access.audit import Actor
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


def actor() -> Actor:
    """Who runs the command, as the audit log has it."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's, of which no name is known
        name = str(uid)
    return Actor(f"cli:{name}")
