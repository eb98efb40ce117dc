"""Text that people give."""

from __future__ import annotations

import os

import click


class Text(click.ParamType[str]):
    """Not empty: what is left out is meant to be, and what is empty is a variable that nobody has set. In UTF-8, as all
    that is asked of a platform is."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("must not be empty", param, ctx)
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            self.fail("must be UTF-8", param, ctx)
        return value


class FilePath(click.Path):
    """Not empty, which would be the folder where one is."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if not value:
            self.fail("must not be empty", param, ctx)
        return super().convert(value, param, ctx)


def insisted_on(command: click.Command) -> click.Command:
    """The command, each text of which is such a one, and so is each of its commands'."""
    for param in command.params:
        if param.type is click.STRING:
            param.type = Text()
    if isinstance(command, click.Group):
        for each in command.commands.values():
            insisted_on(each)
    return command
