"""The models that are open in this process: each fetched by its digest, verified, and opened once for all."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import structlog

from core import errors, metrics
from inference import bundle, check, model
from inference.device import CPU, Device
from inference.images import Images
from inference.opened import FileModel
from registry import memory
from registry.kept import AnyModel, Kept
from registry.versions import Resolved
from storage.objects import Store

log = structlog.get_logger()

#: So many models may be opened at a time: each takes several times its memory meanwhile, and a core.
OPENINGS = 4
#: All bundles lie under it in the store.
BUNDLES = "bundles/"


class Shelf:
    """Opened models, shared by threads."""

    def __init__(
        self, store: Store, cache_dir: Path, *, device: Device = CPU, threads: int = 0, memory_mb: int = 0
    ) -> None:
        """`memory_mb` is what opened models may hold, as COATCHECK_MODEL_MEMORY_MB says it."""
        self._store = store
        self._cache_dir = cache_dir
        self._device = device
        self._threads = threads
        self._kept = Kept(memory.budget(memory_mb, device.memory_mb))
        self._doors: dict[str, threading.Lock] = {}
        self._openings = threading.BoundedSemaphore(OPENINGS)

    def open(self, resolved: Resolved) -> AnyModel:
        """The model itself, fetched by digest at first use, and open for as long as it is held; raises ModelUnavailable
        while it cannot be fetched."""
        found = self._kept.get(resolved.digest)
        return self._open(resolved) if found is None else found

    def is_open(self, resolved: Resolved) -> bool:
        """Whether it is open here, and stays so for now, as it was asked for."""
        return self._kept.get(resolved.digest) is not None

    def ensure(self, resolved: Resolved) -> None:
        """Open it unless it was open here before; raises what `open` raises."""
        if not self._kept.was_open(resolved.digest):
            self.open(resolved)

    def _open(self, resolved: Resolved) -> AnyModel:
        """Once, however many ask for it; what others ask for meanwhile does not wait for it."""
        with self._doors.setdefault(resolved.digest, threading.Lock()):
            found = self._kept.get_back(resolved.digest)
            return self._opened(resolved) if found is None else found

    def _opened(self, resolved: Resolved) -> AnyModel:
        try:
            with metrics.MODEL_OPEN_SECONDS.labels(resolved.model).time():
                return self._first(resolved)
        except errors.BundleInvalid as error:
            # Clients are told of it as well: why is for the operator.
            log.exception("model_not_opened", model=resolved.model, version=resolved.version)
            told = f"{resolved.model} {resolved.version} cannot be opened here; the log says why"
            raise errors.BundleInvalid(told) from error
        finally:
            memory.trim()

    def _first(self, resolved: Resolved) -> AnyModel:
        """Its golden examples are what warms it up: on CPUs a first batch took no longer than the second, and would
        have its memory kept."""
        began = time.perf_counter()
        loaded = self._fetch(resolved)
        fetched, weight = time.perf_counter(), memory.weight(loaded)
        # What a graph holds is put into an arena whether or not it has room, and its limit is none any more then.
        if 0 < self._device.memory_mb << 20 < weight:
            raise errors.BundleInvalid(f"COATCHECK_GPU_MEMORY_MB is too little for it: it takes {weight} bytes")
        with self._openings, self._kept.room(resolved.digest, weight):
            opened = model.open_model(loaded, device=self._device, threads=self._threads)
            ready = time.perf_counter()
            check.check_golden(opened)
            self._kept.add(resolved.digest, opened)
        times = {"fetch_s": fetched - began, "open_s": ready - fetched, "golden_s": time.perf_counter() - ready}
        told = {name: round(seconds, 3) for name, seconds in times.items()}
        log.info("model_opened", model=resolved.model, version=resolved.version, bytes=weight, **told)
        return opened

    def predictor(self, resolved: Resolved) -> model.Model:
        """The opened model for rows; raises ModelError if it takes a file, and what `open` raises."""
        opened = self.open(resolved)
        if not isinstance(opened, model.Model):
            raise errors.ModelError(f"{resolved.model} takes a file, not inputs")
        return opened

    def reader(self, resolved: Resolved) -> FileModel | Images:
        """The opened model for files; raises ModelError if it takes rows alone, and what `open` raises."""
        opened = self.open(resolved)
        if not isinstance(opened, (FileModel, Images)):
            raise errors.ModelError(f"{resolved.model} takes inputs, not a file")
        return opened

    def is_gone(self, resolved: Resolved) -> bool:
        """Whether the store says that it has no such bundle; False where it says nothing."""
        with contextlib.suppress(errors.Unavailable):
            return self._store.head(bundle_key(resolved.digest)) is None
        return False

    def loaded(self) -> list[str]:
        """The opened models, as name@version."""
        manifests = [item.bundle.manifest for item in self._kept.all()]
        return sorted(f"{manifest.name}@{manifest.version}" for manifest in manifests)

    def _fetch(self, resolved: Resolved) -> bundle.Bundle:
        """As it was published, by the rules of that day; its manifest is the one that is listed."""
        folder = self._cache_dir / resolved.digest
        if _is_whole(folder, resolved.digest):
            return bundle.Bundle(folder, resolved.manifest, resolved.digest)
        try:
            self._cache_dir.mkdir(parents=True, exist_ok=True)
            # Beside the cache, which has room for what is larger than memory.
            with tempfile.TemporaryFile(dir=self._cache_dir) as packed:
                self._store.get_file(bundle_key(resolved.digest), packed)
                packed.seek(0)
                self._put_away(folder)
                self._unpack(packed, resolved.digest, folder)
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

    def _unpack(self, packed: IO[bytes], digest: str, folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._cache_dir) as scratch:
            bundle.unpack(packed, Path(scratch) / "bundle")
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
    return f"{BUNDLES}{digest}.tar"
