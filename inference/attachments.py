"""Files that a class gives beside its answer, and what they may be."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from core import errors
from inference.output import Attachment

#: How many there may be of one answer, and the bytes of each and of all together.
MOST, MOST_BYTES, MOST_IN_ALL = 100, 64 << 20, 256 << 20
#: What every file system and header takes as it is.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
_TYPE = re.compile(r"(?=.{3,100}\Z)[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
#: What of a wrong one is quoted, in characters.
_QUOTED = 60


class Attachments:
    """Those of one answer of this model; each goes to `give` as it comes."""

    def __init__(self, model: str, give: Callable[[Attachment], None]) -> None:
        self.names: list[str] = []
        #: What the first one that was not taken came to, which the class may have caught.
        self.failed: errors.CoatcheckError | None = None
        self._model, self._give = model, give
        self._bytes = 0

    def add(self, name: object, data: object, content_type: object) -> None:
        """One more; raises ModelError for what may be none, and what `give` raises."""
        try:
            self._add(name, data, content_type)
        except errors.CoatcheckError as error:
            self.failed = self.failed or error
            raise

    def _add(self, name: object, data: object, content_type: object) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            must = "must have 1 to 100 letters, digits, spaces, '.', '_' and '-', a letter or a digit first"
            raise self._refused(f"named {_quoted(name)}: a name {must}")
        if name.lower() in map(str.lower, self.names):
            raise self._refused(f"named {name} twice")
        if not isinstance(content_type, str) or not _TYPE.fullmatch(content_type):
            must = "must be as image/png, in lower case, without parameters, of 100 characters at most"
            raise self._refused(f"{name} as {_quoted(content_type)}: a content type {must}")
        if len(self.names) == MOST:
            raise self._refused(f"{name} after {MOST} others, which are as many as there may be")
        content = self._content(name, data)
        self._bytes += len(content)
        if self._bytes > MOST_IN_ALL:
            raise self._refused(f"{name}, with which they have {self._bytes} bytes; all may have {MOST_IN_ALL}")
        self._give(Attachment(name, content_type, content))
        self.names.append(name)

    def _content(self, name: str, data: object) -> bytes:
        if isinstance(data, Path):
            with data.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        elif isinstance(data, bytes):
            content = data
        else:
            raise self._refused(f"{name} as a {type(data).__name__}: what is in it must be bytes or a Path")
        if len(content) > MOST_BYTES:
            raise self._refused(f"{name} of more than {MOST_BYTES} bytes, which a file may have")
        return content

    def _refused(self, issue: str) -> errors.ModelError:
        return errors.ModelError(f"{self._model} gave a file {issue}")


def _quoted(value: object) -> str:
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    return ascii(value if len(value) <= _QUOTED else f"{value[:_QUOTED]}…")
