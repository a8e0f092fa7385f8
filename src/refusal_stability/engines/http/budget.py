"""When the next request may be sent: pauses that a server asks for, requests a minute, hard caps on spending."""

from __future__ import annotations

import asyncio

from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.engines.openai import HTTPSettings
from refusal_stability.records import Request

# What a chat template adds around a message, at most, in tokens.
TEMPLATE_TOKENS = 32


class Abandoned(Exception):
    """The run is ending, so a request that waits is given up."""


class Budget:
    """Shared by all workers of one engine.

    Parameters
    ----------
    settings : `requests_per_minute`, `max_requests` and `max_total_tokens`.
    where : the model's key in params.yaml, for error messages.
    """

    def __init__(self, settings: HTTPSettings, where: str) -> None:
        self._settings = settings
        self._where = where
        self.sent = 0
        self.tokens = 0
        self._reserved = 0
        self._not_before = 0.0
        self.stopped: EngineError | None = None

    def start(self) -> None:
        """Make what belongs to the running event loop."""
        self.stopped = None
        self._not_before = 0.0
        self._reserved = 0
        self._stopping = asyncio.Event()
        self._settled = asyncio.Event()

    def check(self, requests: int) -> None:
        """Refuse a run that cannot stay within `max_requests`, before anything is sent."""
        cap = self._settings.max_requests
        if cap is not None and self.sent + requests > cap:
            raise EngineError(
                f"{self._where}.settings.max_requests: {requests:,} requests are needed and {cap - self.sent:,} of "
                f"{cap:,} are left; nothing was sent: raise the cap or ask less (see `refusal-stability plan`)"
            )

    def stop(self, error: EngineError) -> None:
        """End the run: nothing more is sent, and all waits end."""
        self.stopped = self.stopped or error
        self._stopping.set()
        self._settled.set()

    async def sleep(self, seconds: float) -> None:
        """Wait, unless the run ends meanwhile."""
        if self.stopped is None:
            try:
                await asyncio.wait_for(self._stopping.wait(), max(0.0, seconds))
            except asyncio.TimeoutError:
                return
        raise Abandoned

    async def pause(self, seconds: float) -> None:
        """Send nothing at all for a while, and wait until that is over."""
        now = asyncio.get_running_loop().time()
        self._not_before = max(self._not_before, now + seconds)
        await self.sleep(self._not_before - now)

    async def admit(self, request: Request) -> int:
        """Wait until a request may be sent; returns the tokens reserved for it (0 without a cap)."""
        loop = asyncio.get_running_loop()
        # Only a cap asks what requests may take.
        capped = self._settings.max_total_tokens is not None
        cost = most_tokens(request) if capped else 0
        if capped:
            await self._reserve(cost)
        while (wait := self._not_before - loop.time()) > 0:
            await self.sleep(wait)
            await self._reserve(cost)
        if self.stopped is not None:
            raise Abandoned
        cap = self._settings.max_requests
        if cap is not None and self.sent >= cap:
            raise self._spent("max_requests", f"{self.sent:,} requests (retries count) were sent")
        if self._settings.requests_per_minute:
            self._not_before = max(self._not_before, loop.time()) + 60 / self._settings.requests_per_minute
        self.sent += 1
        self._reserved += cost
        return cost

    def settle(self, cost: int, tokens: int) -> None:
        """Replace the reservation of a request by what it really took."""
        self._reserved -= cost
        self.tokens += tokens
        self._settled.set()

    async def _reserve(self, cost: int) -> None:
        cap = self._settings.max_total_tokens
        while cap is not None and self.tokens + self._reserved + cost > cap:
            if self.stopped is not None:
                raise Abandoned
            if self._reserved <= 0:
                raise self._spent(
                    "max_total_tokens", f"{self.tokens:,} tokens were used, and the next may take {cost:,}"
                )
            self._settled.clear()
            await self._settled.wait()

    def _spent(self, name: str, how: str) -> EngineError:
        return EngineError(
            f"{self._where}.settings.{name}: the cap of {getattr(self._settings, name):,} is reached: {how}; what was "
            "answered is stored: raise the cap and run the same command again to go on"
        )


def most_tokens(request: Request) -> int:
    """The most tokens that a request can take: a byte is at least a token's worth of text, and all of max_tokens."""
    words = sum(len(m.content.encode("utf-8", "replace")) + TEMPLATE_TOKENS for m in request.messages)
    return words + request.sampling.max_tokens
