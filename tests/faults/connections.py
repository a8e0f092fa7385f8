"""Whom Python processes call: every connection and every look-up of a name, their children's too."""

from __future__ import annotations

import os
import socket
from pathlib import Path

HOOK = Path(__file__).with_name("connection_log")
THIS_MACHINE = {"127.0.0.1", "::1", "localhost", "", "unix", "None", "0.0.0.0"}


def watching(log: Path) -> dict[str, str]:
    """The environment of a process whose connections are noted in `log`."""
    paths = [str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "RS_CONNECTIONS": str(log)}


def strangers(log: Path) -> list[str]:
    """What was asked of anyone but this machine; the log must show that the processes were watched."""
    lines = log.read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("started ") for line in lines)
    ours = {repr(name) for name in THIS_MACHINE | {socket.gethostname(), socket.getfqdn()}} | {"None"}
    return [line for line in lines if not line.startswith("started ") and line.split(" ", 1)[1] not in ours]
