"""A bundle: a folder with a model and all it needs, named by the digest of what it holds."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Self

from core import errors
from inference import kinds, promise
from inference.manifest import Manifest

#: What Git leaves in place of a large file that was not fetched.
POINTER = b"version https://git-lfs"
#: What a bundle says of itself for people, and how long that may be.
CARD, MAX_CARD = "CARD.md", 64 * 1024
#: How the model was made does not change what it answers.
NOT_PART = frozenset({"train.py", "build.py"})
MAX_BYTES = 2 * 2**30
MAX_FILES = 1000
#: The longest name of a file, with its folders, in bytes.
MAX_NAME = 255
#: What of a tar is read before its files: headers of files, and of what else there is to say about a file or all of
#: them, such as a long name, which is read whole.
FILE_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE)
ABOUT_TYPES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
MAX_ABOUT = 4096
#: What may be said about all of them; `git archive` says one thing.
MAX_COMMON = 16


@dataclass(frozen=True)
class Bundle:
    """A checked folder; equal digests mean equal files."""

    folder: Path
    manifest: Manifest
    digest: str
    card: str | None = None  #: what it says of itself for people, in Markdown

    @property
    def code(self) -> str | None:
        """Where the code is that answers, and of which version, where it is not in the bundle; raises BundleInvalid."""
        return kinds.find(self.manifest.kind).code(self.manifest)

    @property
    def graphs(self) -> tuple[Path, ...]:
        """The ONNX files, in the order in which its kind takes their sessions."""
        return tuple(self.folder / name for name in kinds.find(self.manifest.kind).graphs)


def load(folder: Path) -> Bundle:
    """Read a bundle that is to be published; raises BundleInvalid naming what is wrong."""
    files = {path.relative_to(folder).as_posix() for path in _files(folder)}
    manifest = promise.load(folder)
    kind = kinds.find(manifest.kind)
    for name in kind.graphs:
        _check_graph(folder / name, files)
    if missing := sorted({*kind.files} - files):
        raise errors.BundleInvalid(f"{folder} has no file {missing[0]}, which '{manifest.kind}' needs")
    golden = {item.file for item in manifest.golden if item.file is not None}
    if missing := sorted(golden - files):
        raise errors.BundleInvalid(f"{folder} has no file {missing[0]}, which a golden example names")
    background = manifest.explain and manifest.explain.background
    if background and background not in files:
        raise errors.BundleInvalid(f"{folder} has no file {background}, which explain.background names")
    return Bundle(folder, kind.with_example(folder, manifest), digest(folder), _card(folder))


def _card(folder: Path) -> str | None:
    path = folder / CARD
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        data = stream.read(MAX_CARD + 1)
    with contextlib.suppress(UnicodeDecodeError):
        if len(data) <= MAX_CARD and b"\0" not in data:
            return data.decode()
    raise errors.BundleInvalid(f"{path} must be at most {MAX_CARD} bytes of text in UTF-8")


def _check_graph(path: Path, files: Collection[str]) -> None:
    if path.name not in files:
        others = sorted(name for name in files if name.endswith(".onnx"))
        hint = f"; it holds {', '.join(others[:5])}" if others else ""
        raise errors.BundleInvalid(f"{path.parent} has no file {path.name}{hint}")
    with path.open("rb") as stream:
        start = stream.read(len(POINTER))
    if not start:
        raise errors.BundleInvalid(f"{path} is empty")
    if start == POINTER:
        raise errors.BundleInvalid(f"{path} stands for a file that Git LFS keeps; fetch it with `git lfs pull`")


def write(bundle: Bundle, sink: IO[bytes]) -> None:
    """The bundle to a file, as a tar; the same files give the same bytes."""
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _files(bundle.folder):
            info = tarfile.TarInfo(path.relative_to(bundle.folder).as_posix())
            info.size = path.stat().st_size
            with path.open("rb") as stream:
                archive.addfile(info, stream)


class _Header(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Raises BundleInvalid for what is neither a file nor short."""
        found = super().frombuf(buf, encoding, errors)
        if found.type not in FILE_TYPES and (found.type not in ABOUT_TYPES or found.size > MAX_ABOUT):
            raise _no_plain_file(found)
        return found

    def _sparse(self, item: tarfile.TarInfo, *_: object) -> None:
        """Raises BundleInvalid for a file with holes, whose map may be much larger in memory than it is."""
        raise _no_plain_file(item)

    # As `tarfile` calls what reads such a map, one for each of its forms.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _sparse


def unpack(packed: IO[bytes], folder: Path) -> None:
    """Unpack a tar into a new folder; raises BundleInvalid, also for all that is not a plain file in it."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=packed, mode="r:", tarinfo=_Header) as archive:
            for name, item in _members(archive).items():
                # Or what is tried could lean on what is not stored.
                if _is_part(name):
                    _extract(archive, item, folder / name)
    # tarfile itself lets through what it meets in damaged headers.
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        raise errors.BundleInvalid(f"The bundle cannot be unpacked: {error}") from error


def _members(archive: tarfile.TarFile) -> dict[PurePosixPath, tarfile.TarInfo]:
    """The files in a tar by their names; raises BundleInvalid."""
    found: dict[PurePosixPath, tarfile.TarInfo] = {}
    size = 0
    for item in archive:
        # Each file is told all of it.
        if len(archive.pax_headers) > MAX_COMMON:
            raise errors.BundleInvalid(f"The bundle says more than {MAX_COMMON} things about all of its files")
        name = PurePosixPath(item.name)
        if item.size < 0 or item.sparse:
            raise _no_plain_file(item)
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise errors.BundleInvalid(f"The bundle holds something that is not inside it: {item.name!r}")
        if name in found:
            raise errors.BundleInvalid(f"The bundle holds {item.name!r} twice")
        found[name] = item
        size += item.size
        _check_file(str(name), len(found), size)
    if both := sorted({str(parent) for name in found for parent in name.parents if parent in found}):
        raise errors.BundleInvalid(f"The bundle holds {both[0]!r} as a file and as a folder")
    return found


def _no_plain_file(item: tarfile.TarInfo) -> errors.BundleInvalid:
    return errors.BundleInvalid(f"The bundle holds something that is not a plain file: {item.name!r}")


def _extract(archive: tarfile.TarFile, item: tarfile.TarInfo, target: Path) -> None:
    # By hand: `extractall(filter=)` is missing from Python 3.11.0 to 3.11.3, which Debian 12 has.
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.extractfile(item) as source, target.open("wb") as sink:  # type: ignore[union-attr]
        shutil.copyfileobj(source, sink)


def _files(folder: Path) -> list[Path]:
    """What the bundle is made of, in order; raises BundleInvalid for what is no plain file."""
    found: list[Path] = []
    size = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not _is_part(name):
            continue
        if path.is_symlink():
            raise errors.BundleInvalid(f"{path} is a link; a bundle holds plain files")
        if path.is_dir():
            continue
        if not path.is_file():
            raise errors.BundleInvalid(f"{path} is a device, a pipe or a socket; a bundle holds plain files")
        found.append(path)
        size += path.stat().st_size
        _check_file(name.as_posix(), len(found), size)
    return found


def _is_part(name: PurePath) -> bool:
    return name.as_posix() not in NOT_PART and "__pycache__" not in name.parts


def _check_file(name: str, count: int, size: int) -> None:
    """One more file, and how many there are by now, of how many bytes in all; raises BundleInvalid."""
    if not name.isprintable() or len(name.encode()) > MAX_NAME:
        raise errors.BundleInvalid(f"A name in a bundle must be at most {MAX_NAME} bytes of printable text: {name!r}")
    if count > MAX_FILES:
        raise errors.BundleInvalid(f"The bundle has more than {MAX_FILES} files")
    if size > MAX_BYTES:
        raise errors.BundleInvalid(f"The bundle is larger than {MAX_BYTES} bytes")


def digest(folder: Path) -> str:
    """Of everything that it is made of; raises BundleInvalid for what is no plain file."""
    whole = hashlib.sha256()
    for path in _files(folder):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()
