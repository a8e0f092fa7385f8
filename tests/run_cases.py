"""Play the shared cases that went wrong, and print one line each: name, pass or FAIL, what came out.

RS_SHARED=/path/to/shared python tests/run_cases.py [NAME ...]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("cases")))

from case_checks import CASES, run_case


def main(names: list[str]) -> int:
    """Play the named cases, or all; returns how many failed."""
    cases = Path(os.environ["RS_SHARED"]) / "cases"
    failed = 0
    for name in names or sorted(path.name for path in cases.iterdir() if path.is_dir()):
        passed, text = run_case(name, cases) if name in CASES else (False, "no check for this case")
        failed += not passed
        print(f"{name:32} {'pass' if passed else 'FAIL'}  {' '.join(text.split())}", flush=True)
    print(f"{failed} failed" if failed else "all passed")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
