"""The versions that the study's requirements pin: inputs, unlike the versions that happen to be installed."""

from __future__ import annotations

import re

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "statsmodels",
    "torch",
    "transformers",
    "tokenizers",
    "xgrammar",
    "matplotlib",
)
LINE = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)(?:\s*;\s*(.+))?")


def pinned_versions(lock: str) -> dict[str, str]:
    """Package -> version from the text of a requirements file; several where they depend on the Python version."""
    found: dict[str, list[str]] = {}
    for line in lock.splitlines():
        match = LINE.match(line)
        if match and match[1].lower() in PACKAGES:
            condition = f" ({match[3].strip()})" if match[3] else ""
            found.setdefault(match[1].lower(), []).append(match[2] + condition)
    return {name: ", ".join(found[name]) for name in PACKAGES if name in found}
