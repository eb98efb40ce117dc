"""pytest that has imported and collected all tests once, and forks for each task: what is changed inside of a function
is changed in the fork.

What has an effect while the tests are imported is none of its business: it answers COLD.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

from tests.mutation import plugin, zygote

COLD = "cold"
#: Where code stands: its file, its name and its first line.
Key = tuple[str, str, int]


class Differs(Exception):
    """The change is more than that of what functions do."""


class Collected:
    """`root` is the copy of the project; tasks are read and answered as the zygote does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tasks, self.answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
        #: Executed until all was collected: what came of it is there already.
        self.called: set[Key] = set()
        self.live: dict[Key, list[FunctionType]] = defaultdict(list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        def called(frame: FrameType, event: str, _value: object) -> None:
            if event == "call":
                self.called.add(_key(frame.f_code))

        sys.setprofile(called)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Answers until nobody asks any more; returns in each fork, in which pytest goes on."""
        sys.setprofile(None)
        for item in gc.get_objects():
            if isinstance(item, FunctionType) and item.__code__.co_filename.startswith(f"{self.root}/"):
                self.live[_key(item.__code__)].append(item)
        gc.freeze()
        print(json.dumps("ready"), file=self.answers, flush=True)
        for line in self.tasks:
            task = json.loads(line)
            answer: int | str | None = COLD
            new = changes(str(self.root / task["path"]), task["before"], task["source"], self.called)
            if new is not None:
                if (pid := os.fork()) == 0:
                    self.become(task, new, session)
                    return
                answer = zygote.ended(pid, task["limit_s"])
            print(json.dumps(answer), file=self.answers, flush=True)
        os._exit(0)

    def become(self, task: dict[str, Any], new: dict[Key, CodeType], session: pytest.Session) -> None:
        zygote.alone()
        for key, code in new.items():
            for function in self.live[key]:
                function.__code__ = code
        found = plugin.told(task["environ"][plugin.TASK])
        session.config.pluginmanager.register(found)
        session.config.option.maxfail = 1
        found.pytest_collection_modifyitems(session.config, session.items)


def changes(path: str, before: str, source: str, called: set[Key]) -> dict[Key, CodeType] | None:
    """The code that functions have from now on; None if that is not all, or if it was called already."""
    old, new = (compile(text, path, "exec", dont_inherit=True) for text in (before, source))
    try:
        found = list(_changed(old, new))
    except Differs:
        return None
    own = {_key(was) for was, is_ in found if _own(was) != _own(is_)}
    return {_key(was): is_ for was, is_ in found} if not own & called else None


def _key(code: CodeType) -> Key:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _inside(code: CodeType) -> list[CodeType]:
    return [item for item in code.co_consts if isinstance(item, CodeType)]


def _own(code: CodeType) -> tuple[object, ...]:
    """What it does itself, without what is inside; numbers and their types, as 1 == True."""
    consts = [repr(item) for item in code.co_consts if not isinstance(item, CodeType)]
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_exceptiontable
    return code.co_code, consts, code.co_flags, code.co_argcount, code.co_kwonlyargcount, *names


def _changed(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The functions that do something else, and those around them; raises Differs."""
    before, after = _inside(old), _inside(new)
    if [item.co_qualname for item in before] != [item.co_qualname for item in after]:
        raise Differs
    if len({_key(item) for item in before}) != len(before):
        raise Differs
    inside = [pair for pairs in map(_changed, before, after) for pair in pairs]
    yield from inside
    differs = _own(old) != _own(new)
    if differs and not old.co_flags & CO_OPTIMIZED:
        raise Differs
    if old.co_freevars != new.co_freevars:
        raise Differs
    if differs or (inside and old.co_flags & CO_OPTIMIZED):
        yield old, new


def main(arguments: list[str]) -> None:
    """Arguments: the file for what pytest says, and pytest's own."""
    zygote.guarded()
    found = Collected(Path.cwd())
    log = os.open(arguments[0], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(descriptor, number)
    code = pytest.main(arguments[1:], plugins=[found])
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
