"""A port of this machine that a page is to be served on."""

from __future__ import annotations

import socket

from refusal_stability.records import StudyError

HOST = "127.0.0.1"


def require_free(port: int, remedy: str) -> None:
    """Raise unless the port can be listened on; the message ends in the remedy."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise StudyError(f"port {port} of {HOST} is taken or not allowed; take another: `{remedy}`") from error
