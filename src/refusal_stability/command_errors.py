"""What goes wrong in a command, said in one line with what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from refusal_stability.plain_text import visible_line
from refusal_stability.records import OtherEnvironment, StudyError


def run_command(command: Callable[[], None]) -> None:
    """Run a command; an error that a person can act on is one line on stderr and exit code 1."""
    try:
        command()
    except OtherEnvironment as error:
        # vLLM pins libraries that this environment has in other versions: the same command continues there.
        sys.stdout.flush()
        os.execv(error.python, [str(error.python), "-m", "refusal_stability.cli", *sys.argv[1:]])
    except StudyError as error:
        _end(str(error))
    except OSError as error:
        # A connection's error names no file: that one is a fault of the program.
        if error.filename is None and error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        _end(
            f"{where}{error.strerror or error}; check the permissions and the free space there, then run the same "
            "command again: what is stored stays stored"
        )
    except MemoryError:
        _end(
            "out of memory; free some, or ask for less (smaller batches, fewer resamples), then run the same command "
            "again: what is stored stays stored"
        )


def _end(message: str) -> None:
    print(f"error: {visible_line(message)}", file=sys.stderr)
    sys.exit(1)
