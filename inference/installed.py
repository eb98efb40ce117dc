"""Classes that answer, of packages that the operator installs: found by their entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from core import errors

GROUP = "coatcheck.models"


def names() -> list[str]:
    """Of the classes that are installed."""
    return sorted(entry_points(group=GROUP).names)


def find(name: str) -> EntryPoint:
    """Raises BundleInvalid for a name that no package brings, or more than one."""
    found: list[EntryPoint] = [*entry_points(group=GROUP, name=name)]
    if not found:
        there = ", ".join(names()) or "none"
        raise errors.BundleInvalid(
            f"class '{name}' is not installed; install the package whose entry points name it: of the group {GROUP} "
            f"there are here: {there}"
        )
    if len(found) > 1:
        raise errors.BundleInvalid(f"class '{name}' is brought twice: as {' and as '.join(map(told, found))}")
    return found[0]


def told(entry: EntryPoint) -> str:
    """Where a class is, and of which version of which package."""
    package = f" of {entry.dist.name} {entry.dist.version}" if entry.dist else ""
    return f"{entry.value}{package}"
