"""Environments of others, made when first asked for: that of the project with what they need above it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks import bed


def python(name: str, requirements: Path) -> Path:
    """The interpreter of one, which is made where it is missing or another was wanted."""
    venv = bed.ROOT / ".coatcheck" / "bench" / name
    wanted = f"{sys.version}\n{requirements.read_text()}"
    stamp, found = venv / "installed.txt", venv / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {', '.join(requirements.read_text().split())} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        of_venv = {"base": str(venv), "platbase": str(venv)}
        packages = Path(sysconfig.get_path("purelib", "venv", of_venv))
        (packages / "project.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted)
    return found
