"""Memory for opened models: how much there is, what one takes, and giving back what was freed."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from inference.bundle import Bundle

MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")
#: What models may hold where nothing is set: one part in so many of what there is.
PARTS = 4
_MIB = 2**20


def budget(megabytes: int, device_mb: int = 0) -> int:
    """Bytes: so many MiB, or if 0 a quarter of the machine's memory, or of the cgroup's (v2) where that has less; no
    more than a device may give, if that has a limit."""
    bytes_ = megabytes * _MIB or _available() // PARTS
    return min(bytes_, device_mb * _MIB) if device_mb else bytes_


def weight(bundle: Bundle) -> int:
    """Bytes that it takes when it is open, told before it is opened: by its files.

    What the process grows by says more only where one thread does one thing. Of models of 1 to 100 MB it was their
    files once to 1.4 times, and up to 6 MB for what Python makes of a vocabulary. What a run needs is not in it.
    """
    files = sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file())
    return files * 5 // 4 + 4 * _MIB


def trim() -> None:
    """Give the system back what glibc keeps of what was freed: twice a model's size of every one that was opened."""
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def _available() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(MEMORY_MAX.read_text()))
    except (OSError, ValueError):
        # No cgroup v2, or "max".
        return physical


_LIBC = ctypes.CDLL(None)
