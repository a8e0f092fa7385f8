"""A steady model whose thinking is sometimes cut shows no instability, from the parameters to the labels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_thinking_that_is_cut_changes_no_label(root: Path) -> None:
    command = [sys.executable, str(root / "benchmarks/thinking_study.py")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "whose label changes with the seed: 0 of" in shown
    assert "COMPLY" not in shown
    assert "missing" in shown
