"""Send requests to one server: connections, budget, pauses, retries, and no secret in any message."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from refusal_stability.engines.http.budget import Budget
from refusal_stability.engines.http.errors import one_line
from refusal_stability.engines.http.said import Fault
from refusal_stability.engines.http.secrets import SHORTEST_IN_ANSWERS, Secrets
from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.engines.openai import HTTPSettings
from refusal_stability.records import Completion, Request

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

LONGEST_BACKOFF_S = 60.0
LONGEST_WAIT_S = 900.0
SAID_AGAIN_S = 10.0
# A server that asks to come back at once, or in the past, is not asked without end.
SHORTEST_WAIT_S, SHORTEST_WAIT_GROWS_TO_S = 0.05, 1.0
MOST_ADAPTATIONS = 10
# Inflated. An answer of a million tokens has a tenth of that.
MOST_BYTES = 32 * 2**20
# What reading an answer of any shape may raise.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Busy(Exception):
    """The server asks for a pause. That is a wait, not a failure."""

    def __init__(self, reason: str, wait: float | None) -> None:
        super().__init__(reason)
        self.wait = wait


class TooLarge(Fault):
    """The answer has no end, or none that is worth to wait for: asking again would bring the same."""


class StillBusy(Fault):
    """The server asked for pauses all the time: waiting as long again helps nobody."""


class Adapted(Exception):
    """A field was left out or renamed, as the server asked: try again at once."""


@dataclass(slots=True)
class Reply:
    """A server's response, without long secrets."""

    status: int
    headers: Mapping[str, str]
    raw: str
    answer: Any


class Transport:
    """One server.

    Parameters
    ----------
    settings : address, key, headers, query, limits.
    path : of the protocol, such as `/chat/completions`.
    auth : the headers that show a key.
    where : the model's key in params.yaml, for error messages.

    Raises
    ------
    EngineError
        From `open`: an environment variable that should hold a secret is empty. From `ask`: nothing listens at the
        address, or a cap is reached.
    """

    def __init__(self, settings: HTTPSettings, path: str, auth: Callable[[str], Mapping[str, str]], where: str) -> None:
        self._settings = settings
        self._where = where
        self._auth = auth
        # Azure's portal shows whole addresses.
        self.path = path
        self.address = settings.base_url.partition("?")[0].rstrip("/").removesuffix(path) + path
        self._proxy = _proxy(self.address)
        self._secrets, self._in_answers = Secrets(), Secrets(SHORTEST_IN_ANSWERS)
        self._said: dict[str, float] = {}
        self.budget = Budget(settings, where)
        self.reached = False
        self._headers: dict[str, str] = {}
        self._query = ""

    def read_secrets(self) -> None:
        """Read the key, and all headers and query parameters that come from the environment."""
        settings = self._settings
        for password in _login(self._proxy or ""):
            self._hide(password)
        key = self._variable("api_key_env", settings.api_key_env) if settings.api_key_env else None
        own = {name: self.value(f"headers.{name}", value) for name, value in settings.headers.items()}
        self._headers = {"Content-Type": "application/json"} | dict(self._auth(key) if key else {}) | own
        written = settings.base_url.partition("?")[2]
        there = {part.partition("=")[0] for part in written.split("&")}
        query = {n: self.value(f"query.{n}", value) for n, value in settings.query.items() if n not in there}
        self._query = "&".join(part for part in (written, urlencode(query)) if part)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold connections open, at most `concurrency` of them."""
        import aiohttp

        self.budget.start()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.concurrency),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
            headers=self._headers,
        ) as self._session:
            yield

    async def ask(
        self, request: Request, body: Callable[[], Mapping[str, Any]], read: Callable[[Reply], Completion]
    ) -> Completion:
        """The completion that `read` makes of the server's reply; `Fault` where the last try failed too."""
        patience = time.monotonic() + LONGEST_WAIT_S
        try:
            return await self._try(request, body, read, patience)
        except (StillBusy, TooLarge):
            raise
        except Fault as fault:
            first = [fault]

        async def once_more() -> Completion:
            if first:
                raise first.pop()
            return await self._try(request, body, read, patience)

        # tenacity takes 26 us a call, a tenth of a whole request: only those that failed once come here. Full jitter:
        # workers that failed together do not come back together.
        retrying = AsyncRetrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, Fault) and not isinstance(error, StillBusy | TooLarge)
            ),
            stop=stop_after_attempt(1 + self._settings.max_retries),
            wait=wait_random_exponential(max=LONGEST_BACKOFF_S, min=SHORTEST_WAIT_S),
            sleep=self.budget.sleep,
            reraise=True,
        )
        return await retrying(once_more)

    async def look(self, address: str) -> Reply:
        """The reply to a GET of an address at this server."""
        url = f"{address}?{self._query}" if self._query else address
        async with self._session.get(url, allow_redirects=False, proxy=self._proxy) as response:
            return self.reply(response.status, response.headers, await body_of(response))

    def clean(self, text: str) -> str:
        """A text without secrets."""
        return self._secrets.cut_from(text)

    def say(self, kind: str, message: str) -> None:
        """Warn, at most every ten seconds for one kind of message."""
        now = time.monotonic()
        if now - self._said.get(kind, -60.0) >= SAID_AGAIN_S:
            self._said[kind] = now
            log.warning("%s: %s", self._where, message)

    async def _try(
        self,
        request: Request,
        body: Callable[[], Mapping[str, Any]],
        read: Callable[[Reply], Completion],
        patience: float,
    ) -> Completion:
        adapted = pauses = 0
        while True:
            try:
                return await self._send(request, written(body()), read)
            except Adapted as said:
                adapted += 1
                if adapted > MOST_ADAPTATIONS:
                    raise EngineError(
                        f"{self._where}: the server rejects one request in {adapted} forms ({said}); correct `omit`, "
                        "`rename` and `extra_body` in the model's settings"
                    ) from said
            except Busy as busy:
                if time.monotonic() > patience:
                    raise StillBusy(f"{busy} (for {LONGEST_WAIT_S / 60:g} minutes)") from busy
                self.say("busy", f"{busy}; waiting as the server asks")
                floor = min(SHORTEST_WAIT_GROWS_TO_S, SHORTEST_WAIT_S * 2**pauses)
                pauses = min(pauses + 1, 10)
                await self.budget.pause(max(floor, 1.0 if busy.wait is None else busy.wait))
            except Fault as fault:
                self.say("fault", f"{fault}; trying again")
                raise

    async def _send(self, request: Request, payload: bytes, read: Callable[[Reply], Completion]) -> Completion:
        import aiohttp

        cost = await self.budget.admit(request)
        tokens = 0
        url = f"{self.address}?{self._query}" if self._query else self.address
        try:
            async with self._session.post(url, data=payload, allow_redirects=False, proxy=self._proxy) as response:
                found = await body_of(response)
            try:
                completion = read(self.reply(response.status, response.headers, found))
            except UNREADABLE as error:
                # Of any shape: it concerns this request only.
                raise Fault(f"the answer cannot be read ({type(error).__name__})") from error
            unsaid = 0 if completion.missing_reason else cost
            tokens = completion.prompt_tokens + completion.completion_tokens or unsaid
            return completion
        except TooLarge:
            tokens = cost
            raise
        except asyncio.TimeoutError as error:
            tokens = cost
            raise Fault(f"no answer within {self._settings.timeout_s:g} s") from error
        except (aiohttp.ClientSSLError, aiohttp.ClientHttpProxyError) as error:
            tokens = cost
            raise EngineError(f"{self._where}.settings.base_url: {self._unsafe(error)}") from error
        except aiohttp.ClientConnectorError as error:
            reason = one_line(self.clean(str(error.os_error)))
            if not self.reached:
                raise EngineError(
                    f"{self._where}.settings.base_url: nothing answers at {self._settings.base_url} ({reason}); start "
                    "the server, or correct the address"
                ) from error
            raise Fault(f"the server is gone ({reason})") from error
        except aiohttp.ClientError as error:
            tokens = cost
            raise Fault(f"the connection broke ({type(error).__name__})") from error
        finally:
            self.budget.settle(cost, tokens)

    def _unsafe(self, error: Exception) -> str:
        """Why no connection was made that can be trusted, and what to do."""
        server, reason = self._settings.base_url, one_line(self.clean(str(error)))
        if (status := getattr(error, "status", None)) is not None:
            return (
                f"the proxy on the way to {server} refuses (HTTP {status}); correct its address and login in the "
                "environment variable https_proxy, or name the server in no_proxy"
            )
        if "certificate" in reason.lower():
            return (
                f"{server} shows a certificate that this machine does not trust ({reason}); install the authority's "
                "certificate (SSL_CERT_FILE names a file of them), or correct the address"
            )
        return f"{server} speaks no TLS ({reason}); begin the address with http://, or correct its port"

    def reply(self, status: int, headers: Mapping[str, str], found: bytes) -> Reply:
        """A response without long secrets."""
        raw = self._in_answers.cut_from(found.decode("utf-8", "replace"))
        try:
            answer = FINITE_JSON.decode(raw.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            answer = None
        return Reply(status, headers, raw, answer)

    def value(self, name: str, value: Any) -> str:
        """The text of a setting; {env: NAME} stands for what the environment variable holds, which no message shows."""
        return self._variable(name, value["env"]) if isinstance(value, dict) else str(value)

    def _variable(self, name: str, variable: str) -> str:
        value = os.environ.get(variable, "").strip()
        if not value:
            raise EngineError(
                f"{self._where}.settings.{name}: the environment variable {variable} is not set; export it with the "
                "server's key before running"
            )
        if not (value.isprintable() and value.isascii()):
            raise EngineError(
                f"{self._where}.settings.{name}: the environment variable {variable} holds a line end or another "
                "character that no header takes; export the key alone"
            )
        self._hide(value)
        return value

    def _hide(self, secret: str) -> None:
        self._secrets.add(secret)
        self._in_answers.add(secret)


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """A body, up to the size at which it is given up."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise TooLarge(f"the answer is larger than {MOST_BYTES >> 20} MiB")
    return b"".join(parts)


def written(body: Mapping[str, Any]) -> bytes:
    """A request's body as JSON."""
    try:
        import orjson

        # A small part of the time of `json`. The environment of vLLM has none.
        return orjson.dumps(body)
    except (ImportError, TypeError):
        # TypeError: half a letter, or a number of more than 64 bits.
        return json.dumps(body).encode()


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


# Infinity and NaN are no JSON, and the store holds none: null, so that no answer is lost for the sake of a count.
# Nor is one lost for a line end that the server did not escape.
FINITE_JSON = json.JSONDecoder(parse_float=_finite, parse_constant=lambda _: None, strict=False)


def _proxy(url: str) -> str | None:
    """The proxy that the environment (`https_proxy`, `no_proxy`, ...) names for an address, or None."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _login(proxy: str) -> list[str]:
    """The password in a proxy's address, as it is written there and as it is meant."""
    password = urlsplit(proxy).password
    return [password, unquote(password)] if password else []
