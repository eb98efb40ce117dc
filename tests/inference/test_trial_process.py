"""The process that a bundle is tried in: how much it may take, and what is not the bundle's fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core import errors
from inference import bundle, guarded, trial
from tests import graphs
from tests.inference.test_pages import nowhere
from tests.inference.test_trial import WHEN_OPENED, tried

#: What it may have of each, and where its input, output and errors go.
LOOKS = (
    "raise ValueError([__import__('resource').getrlimit(what) for what in (2, 1, 7, 4)] + "
    "[os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)] + [os.environ['OPENBLAS_NUM_THREADS'], os.getsid(0) == "
    "os.getpid()])"
)
#: A kind that opens no model.
OWN = """
from core import errors
from inference.kinds.rows import RowKind
class Own(RowKind):
    def opened(self, bundle, *sessions): {does}
Kind = Own(None)
"""


def test_it_has_limits_and_nobody_sees_what_it_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs.plug_in(tmp_path, "limited", WHEN_OPENED.format(does=LOOKS))
    monkeypatch.syspath_prepend(tmp_path)
    said = str(tried(tmp_path / "bundle", graphs.graph(graphs.GOOD), kind="limited"))
    data, file, files = 8 * 1024**3, 1024**3, 256
    limits = ", ".join(str((most, most)) for most in (data, file, files, 0))
    assert said.endswith(f"ValueError: [{limits}, {', '.join([repr(os.devnull)] * 3)}, '1', True]")


@pytest.mark.parametrize(
    ("does", "error", "told"),
    [
        ("raise errors.ModelUnavailable('It needs more')", errors.ModelUnavailable, "It needs more"),
        ("raise OSError(28, 'No space left on device')", errors.Unavailable,
         "The machine could not try it: No space left on device"),
        ("raise KeyError('a')", errors.BundleInvalid, "KeyError: 'a'"),
    ],
    ids=["an extra", "the disk", "the kind"],
)  # fmt: skip
def test_whose_fault_it_is_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, error: type[errors.CoatcheckError], told: str
) -> None:
    graphs.plug_in(tmp_path, "own_kind", OWN.format(does=does))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error) as caught:
        trial.run(bundle.load(graphs.bundle(tmp_path / "bundle", kind="own_kind")))
    assert (type(caught.value), caught.value.message) == (error, told)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'["begins","%s"]\n' % (b"x" * 1000), ("begins", "x" * 1000)), (b'["fine",""]\nmore', ("fine", "")),
        (b'["begins","%s"]\n' % (b"x" * 3 * 2**16), None), (b"[1]\n", None), (b"7\n", None), (b"no JSON\n", None),
        (b"", None), (b'["fine",""]', None),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_it_says_is_lines_of_two_texts_that_are_not_too_long(
    tmp_path: Path, line: bytes, said: tuple[str, str] | None
) -> None:
    (tmp_path / "said").write_bytes(line)
    with (tmp_path / "said").open("rb") as output:
        hears = trial._Lines(output.fileno(), trial.always)
        if said is not None:
            assert hears.next(1) == said
        else:
            with pytest.raises(EOFError):
                hears.next(1)


def test_where_no_process_can_be_started_it_is_not_the_bundles_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = bundle.load(graphs.bundle(tmp_path / "bundle"))
    monkeypatch.setattr(guarded, "command", nowhere)
    told = r"^No process can be started to try a bundle: No such file or directory$"
    with pytest.raises(errors.Unavailable, match=told):
        trial.run(loaded)
