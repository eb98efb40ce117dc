"""A bundle: a folder with a model and all it needs, named by the digest of what it holds."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core import errors
from inference import manifest as manifests
from inference.manifest import Golden, Manifest

MODEL_FILE = "model.onnx"
#: What bundles of a kind hold instead, where it takes several graphs.
GRAPHS: Mapping[str, tuple[str, ...]] = {"document": ("detect.onnx", "recognize.onnx")}
#: How the model was made does not change what it answers.
NOT_PART = frozenset({"train.py", "build.py"})
MAX_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Bundle:
    """A checked folder; equal digests mean equal files."""

    folder: Path
    manifest: Manifest
    digest: str

    @property
    def graphs(self) -> tuple[Path, ...]:
        """The ONNX files, in the order in which its kind's class takes their sessions."""
        return tuple(self.folder / name for name in GRAPHS.get(self.manifest.kind, (MODEL_FILE,)))


def load(folder: Path) -> Bundle:
    """Read a bundle; raises BundleInvalid naming what is wrong."""
    manifest = manifests.load(folder)
    loaded = Bundle(folder, manifest, _digest(folder))
    for path in loaded.graphs:
        if not path.is_file():
            raise errors.BundleInvalid(f"{folder} has no {path.name}")
    golden = {item.file for item in manifest.golden if not isinstance(item, Golden)}
    if missing := sorted(golden - {path.relative_to(folder).as_posix() for path in _files(folder)}):
        raise errors.BundleInvalid(f"{folder} does not hold its golden examples' {', '.join(missing)}")
    return loaded


def pack(bundle: Bundle) -> bytes:
    """The bundle as a tar; the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _files(bundle.folder):
            info = tarfile.TarInfo(path.relative_to(bundle.folder).as_posix())
            info.size = path.stat().st_size
            with path.open("rb") as stream:
                archive.addfile(info, stream)
    return buffer.getvalue()


def unpack(data: bytes, folder: Path) -> Bundle:
    """Unpack a tar into a new folder and read it; raises BundleInvalid, also for paths that lead out of the folder."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            if sum(item.size for item in archive.getmembers()) > MAX_BYTES:
                raise errors.BundleInvalid(f"The bundle is larger than {MAX_BYTES} bytes")
            for item in archive.getmembers():
                _extract(archive, item, folder)
    except tarfile.TarError as error:
        raise errors.BundleInvalid(f"The bundle cannot be unpacked: {error}") from error
    return load(folder)


def _extract(archive: tarfile.TarFile, item: tarfile.TarInfo, folder: Path) -> None:
    # By hand: `extractall(filter=)` is missing from Python 3.11.0 to 3.11.3, which Debian 12 has.
    target = (folder / item.name).resolve()
    if not item.isreg() or not target.is_relative_to(folder.resolve()):
        raise errors.BundleInvalid(f"The bundle holds something that is not a plain file inside it: {item.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.extractfile(item) as source, target.open("wb") as sink:  # type: ignore[union-attr]
        shutil.copyfileobj(source, sink)


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in found:
        if path.is_symlink():
            raise errors.BundleInvalid(f"{path} is a link; a bundle holds plain files")
    return [path for path in found if path.relative_to(folder).as_posix() not in NOT_PART]


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in _files(folder):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()
