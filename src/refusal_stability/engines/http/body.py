"""The body of an answer, up to the size at which it is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refusal_stability.engines.http.said import Fault

if TYPE_CHECKING:
    from aiohttp import StreamReader

# Inflated. An answer of a million tokens has a tenth of that.
MOST_BYTES = 32 * 2**20


class TooLarge(Fault):
    """The answer has no end, or none that is worth to wait for: asking again would bring the same."""


async def body_of(content: StreamReader) -> bytes:
    """All that a stream brings; `TooLarge` where that is no end.

    Parameters
    ----------
    content : of aiohttp's response.
    """
    parts, size = [], 0
    async for part in content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise TooLarge(f"the answer is larger than {MOST_BYTES >> 20} MiB")
    return b"".join(parts)
