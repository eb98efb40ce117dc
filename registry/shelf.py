"""The models that are open in this process: each fetched by its digest, verified, and opened once."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path

import structlog

from core import errors
from inference import bundle, check, model
from inference.opened import FileModel
from registry.versions import Resolved
from storage.objects import Store

log = structlog.get_logger()

PROVIDERS = {"cpu": ("CPUExecutionProvider",), "cuda": ("CUDAExecutionProvider",)}


class Shelf:
    """Opened models, shared by threads."""

    def __init__(self, store: Store, cache_dir: Path, *, provider: str = "cpu", threads: int = 0) -> None:
        self._store = store
        self._cache_dir = cache_dir
        self._providers = PROVIDERS[provider]
        self._threads = threads
        self._opening = threading.Lock()
        self._open: dict[str, model.Model | FileModel] = {}

    def open(self, resolved: Resolved) -> model.Model | FileModel:
        """The model itself, fetched by digest at first use; raises ModelUnavailable while it cannot be fetched."""
        if resolved.digest in self._open:
            return self._open[resolved.digest]
        with self._opening:
            if resolved.digest not in self._open:
                self._open[resolved.digest] = self._opened(resolved)
            return self._open[resolved.digest]

    def _opened(self, resolved: Resolved) -> model.Model | FileModel:
        try:
            loaded = self._fetch(resolved)
            opened = model.open_model(loaded, providers=self._providers, threads=self._threads)
            check.check_golden(opened)
        except errors.BundleInvalid as error:
            # Clients are told of it as well: why is for the operator.
            log.exception("model_not_opened", model=resolved.model, version=resolved.version)
            told = f"{resolved.model} {resolved.version} cannot be opened here; the log says why"
            raise errors.BundleInvalid(told) from error
        return opened

    def predictor(self, resolved: Resolved) -> model.Model:
        """The opened model for rows; raises ModelError if it takes a file, and what `open` raises."""
        opened = self.open(resolved)
        if not isinstance(opened, model.Model):
            raise errors.ModelError(f"{resolved.model} takes a file, not inputs")
        return opened

    def reader(self, resolved: Resolved) -> FileModel:
        """The opened model for files; raises ModelError if it takes rows, and what `open` raises."""
        opened = self.open(resolved)
        if not isinstance(opened, FileModel):
            raise errors.ModelError(f"{resolved.model} takes inputs, not a file")
        return opened

    def loaded(self) -> list[str]:
        """The opened models, as name@version."""
        manifests = [item.bundle.manifest for item in list(self._open.values())]
        return sorted(f"{manifest.name}@{manifest.version}" for manifest in manifests)

    def _fetch(self, resolved: Resolved) -> bundle.Bundle:
        """As it was published, by the rules of that day; its manifest is the one that is listed."""
        folder = self._cache_dir / resolved.digest
        if _is_whole(folder, resolved.digest):
            return bundle.Bundle(folder, resolved.manifest, resolved.digest)
        try:
            data = self._store.get(bundle_key(resolved.digest))
            self._put_away(folder)
            self._unpack(data, resolved.digest, folder)
        except errors.Unavailable as error:
            raise errors.ModelUnavailable(str(error)) from error
        except OSError as error:
            # The same to everybody above, and the operator reads where to look.
            raise errors.ModelUnavailable(f"COATCHECK_MODEL_CACHE cannot take it: {error.strerror}") from error
        return bundle.Bundle(folder, resolved.manifest, resolved.digest)

    def _put_away(self, damaged: Path) -> None:
        """What lies in the cache and is not what its name says, unless another process has mended it meanwhile."""
        if (damaged.is_symlink() or damaged.exists()) and not _is_whole(damaged, damaged.name):
            log.warning("cached_bundle_damaged", folder=str(damaged))
            with tempfile.TemporaryDirectory(dir=self._cache_dir) as scratch, contextlib.suppress(FileNotFoundError):
                damaged.rename(Path(scratch) / "damaged")

    def _unpack(self, data: bytes, digest: str, folder: Path) -> None:
        self._cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._cache_dir) as scratch:
            bundle.unpack(data, Path(scratch) / "bundle")
            if bundle.digest(Path(scratch) / "bundle") != digest:
                raise errors.BundleInvalid(f"The stored bundle {digest} was changed")
            try:
                (Path(scratch) / "bundle").rename(folder)
            except OSError:
                # Another process was faster; its copy has the same digest.
                if not folder.exists():
                    raise


def _is_whole(folder: Path, digest: str) -> bool:
    try:
        return folder.is_dir() and bundle.digest(folder) == digest
    except (errors.BundleInvalid, OSError):
        return False


def bundle_key(digest: str) -> str:
    """Where a bundle lies in the store."""
    return f"bundles/{digest}.tar"
