"""The HTTP engine: any server that speaks OpenAI's chat completions - vLLM, llama.cpp, Ollama, or a vendor.

It speaks the protocol through aiohttp rather than the `openai` package: on two cores shared with a server that answers
at once the package managed 138 requests a second, aiohttp 1,645, and a study makes tens of thousands of small ones.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from refusal_stability.engines.http.budget import Abandoned, Pace
from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Outcome, Request, outcome_of

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

LONGEST_BACKOFF_S = 60.0
LONGEST_RETRY_AFTER_S = 900.0
# A server may refuse one prompt for what it says or for its length; that is this prompt's fate, not the run's.
PER_REQUEST_CODES = ("content_filter", "content_policy_violation", "context_length_exceeded", "string_above_max_length")
PASSING_STATUSES = (408, 409, 425, 429)
FINISH_REASONS = {"length": "length", "max_tokens": "length"}


class Fault(Exception):
    """A try that failed in a way that may pass: the request is tried again."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Busy(Fault):
    """The server says that it has enough: not a failure, only a wait."""


class Refused(Exception):
    """The server will never answer this request; the others are not concerned."""


class Adapted(Exception):
    """The server rejected a field that can be left out or put otherwise: try again at once, without it."""


class OpenAIEngine:
    """Complete requests at an OpenAI-compatible chat-completions endpoint.

    Parameters
    ----------
    model : `path` is the model's name at the server.
    settings : address, key, pace, caps and how JSON is asked for; see `OpenAISettings`.
    where : the model's key in params.yaml, for error messages.

    Raises
    ------
    EngineError
        From `complete`: the environment variable that should hold the key is empty; nothing listens at `base_url`; the
        server rejects the key, the model or the first request (once, and nothing else is sent); a cap would be passed;
        or as many requests in a row as are in flight ran out of retries.

    Notes
    -----
    The first request goes alone, so that a wrong key or model name costs one request. Completions are yielded as they
    finish, and a worker sends its next request only when the caller came back for more: requests in flight and answers
    that the caller has not stored are together never more than `concurrency`. The key is in no message, completion or
    log line: 401 and 403 answers are not quoted, and the key is cut out of whatever else the server echoes.
    """

    def __init__(self, model: ModelParams, settings: OpenAISettings, where: str = "model") -> None:
        self._where = where
        self._model = model
        self._settings = settings
        self._key: str | None = None
        self._url = settings.base_url.rstrip("/") + "/chat/completions"
        self._proxy = _proxy(self._url)
        self._pace = Pace(settings, where)
        self._structured = settings.structured
        self._tokens_field = "max_tokens"
        self._send_top_k = True
        self._reached = False
        self._failed_in_a_row = 0
        self._said: dict[str, float] = {}
        self._answers: deque[tuple[int, Completion, asyncio.Future[None]]] = deque()
        self.identity: Mapping[str, Any] = {
            "engine": "openai",
            "base_url": settings.base_url.rstrip("/"),
            "model": model.path,
            "structured": [settings.structured, settings.structured_fallback],
            "extra_body": settings.extra_body,
        }
        self.description: Mapping[str, Any] = {
            "engine": "openai",
            "base_url": settings.base_url.rstrip("/"),
            "concurrency": str(settings.concurrency),
        }

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield each request's completion as the server answers; see `Engine.complete`."""
        if not requests:
            return
        self._key = self._read_key()
        self._pace.check(len(requests))
        loop = asyncio.new_event_loop()
        try:
            sending = loop.create_task(self._send_all(requests))
            while not sending.done():
                self._wake = loop.create_future()
                sending.add_done_callback(self._signal)
                # The loop runs only while the caller waits for an answer: that is what bounds memory.
                loop.run_until_complete(self._wake)
                sending.remove_done_callback(self._signal)
                while self._answers:
                    position, completion, kept = self._answers.popleft()
                    yield position, completion
                    # Only now may the worker send its next: a kill costs `concurrency` answers and no more.
                    kept.set_result(None)
            sending.result()
        finally:
            sending.cancel()
            loop.run_until_complete(asyncio.gather(sending, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            self._answers.clear()

    def ready(self) -> int:
        """How many answers `complete` yields next without waiting for the server."""
        return len(self._answers)

    def close(self) -> None:
        """Connections are closed at the end of `complete`; nothing is left to release."""

    def _signal(self, _: object = None) -> None:
        if not self._wake.done():
            self._wake.set_result(None)

    async def _send_all(self, requests: Sequence[Request]) -> None:
        import aiohttp

        self._pace.start()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.concurrency),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
            headers=headers,
        ) as session:
            todo = iter(enumerate(requests))
            await self._work(session, [next(todo)])
            await asyncio.gather(*(self._work(session, todo) for _ in range(self._settings.concurrency)))
        if self._pace.stopped is not None:
            raise self._pace.stopped

    async def _work(self, session: aiohttp.ClientSession, todo: Iterable[tuple[int, Request]]) -> None:
        for position, request in todo:
            if self._pace.stopped is not None:
                return
            try:
                completion = await self._answer(session, request)
            except EngineError as error:
                # Workers that are under way finish what they sent: it is paid for.
                self._pace.stop(error)
                return
            except Abandoned:
                return
            kept = asyncio.get_running_loop().create_future()
            self._answers.append((position, completion, kept))
            self._signal()
            await kept

    async def _answer(self, session: aiohttp.ClientSession, request: Request) -> Completion:
        failures = 0
        while True:
            try:
                completion = await self._try(session, request)
            except Refused as refusal:
                return Completion("", "", missing_reason=str(refusal))
            except Fault as fault:
                failures += 1
                if failures > self._settings.max_retries:
                    return self._given_up(fault)
                # Full jitter: workers that failed together do not come back together.
                await self._pace.sleep(random.uniform(0, min(LONGEST_BACKOFF_S, 0.5 * 2**failures)))
            else:
                self._failed_in_a_row = 0
                return completion

    def _given_up(self, fault: Fault) -> Completion:
        self._failed_in_a_row += 1
        if not self._reached or self._failed_in_a_row > self._settings.concurrency:
            raise EngineError(
                f"{self._where}.settings.base_url: {self._settings.base_url} keeps failing: {fault}; what was answered "
                "is stored: see to the server, then run the same command again"
            )
        reason = f"{fault} (tries: {1 + self._settings.max_retries})"
        return Completion("", "", missing_reason=reason, details={"passing": True})

    async def _try(self, session: aiohttp.ClientSession, request: Request) -> Completion:
        patience = time.monotonic() + LONGEST_RETRY_AFTER_S
        while True:
            try:
                return await self._send(session, request)
            except Adapted:
                continue
            except Busy as busy:
                if time.monotonic() > patience:
                    raise Fault(str(busy)) from busy
                self._say("busy", f"{busy}; waiting as the server asks")
                await self._pace.pause(1.0 if busy.retry_after is None else busy.retry_after)
            except Fault as fault:
                self._say("fault", f"{fault}; trying again")
                raise

    async def _send(self, session: aiohttp.ClientSession, request: Request) -> Completion:
        import aiohttp

        payload = self._payload(request)
        cost = await self._pace.admit(request)
        tokens = cost
        try:
            async with session.post(self._url, data=payload, allow_redirects=False, proxy=self._proxy) as response:
                body = await response.read()
            completion = self._read(response.status, response.headers, body, request)
            tokens = completion.prompt_tokens + completion.completion_tokens or cost
        except asyncio.TimeoutError as error:
            raise Fault(f"no answer within {self._settings.timeout_s:g} s") from error
        except aiohttp.ClientConnectorError as error:
            tokens = 0
            if not self._reached:
                raise EngineError(
                    f"{self._where}.settings.base_url: nothing answers at {self._settings.base_url} "
                    f"({self._clean(str(error.os_error))}); start the server, or correct the address"
                ) from error
            raise Fault(f"the server is gone ({self._clean(str(error.os_error))})") from error
        except aiohttp.ClientError as error:
            raise Fault(f"the connection broke ({type(error).__name__})") from error
        except (Fault, Refused, Adapted, EngineError):
            tokens = 0
            raise
        finally:
            self._pace.settle(cost, tokens)
        self._reached = True
        return completion

    def _payload(self, request: Request) -> bytes:
        sampling = request.sampling
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        body: dict[str, Any] = {
            "model": self._model.path,
            "messages": messages,
            "temperature": sampling.temperature,
            "seed": sampling.stream,
            # Always said: left out, a server would take the model's own defaults.
            "top_p": sampling.top_p,
            self._tokens_field: sampling.max_tokens,
        }
        if self._send_top_k:
            body["top_k"] = sampling.top_k
        if request.schema is not None:
            if self._structured == "json_schema":
                schema = {"name": "answer", "strict": True, "schema": dict(request.schema)}
                body["response_format"] = {"type": "json_schema", "json_schema": schema}
            else:
                messages[-1]["content"] += (
                    "\n\nAnswer with one JSON object and nothing else. It must satisfy this JSON schema:\n"
                    + str(request.schema_text())
                )
            if self._structured == "json_object":
                body["response_format"] = {"type": "json_object"}
        return json.dumps(body | self._settings.extra_body).encode()

    def _read(self, status: int, headers: Mapping[str, str], raw: bytes, request: Request) -> Completion:
        text = raw.decode("utf-8", "replace")
        if self._key and self._key in text:
            text = text.replace(self._key, "[key]")
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if status != 200:
            self._refuse(status, headers, answer if isinstance(answer, dict) else {"error": text}, request)
        try:
            return self._completion(answer, request)
        except (TypeError, KeyError, IndexError, AttributeError) as error:
            kind = headers.get("Content-Type", "no content type")
            raise Fault(f"the answer ({kind}) is not a chat completion") from error

    def _completion(self, answer: Any, request: Request) -> Completion:
        choice = answer["choices"][0]
        message = choice["message"]
        usage = answer.get("usage") or {}
        # A vendor's structured output puts a refusal beside the content; the refusal is what the model said.
        said = [message[name] for name in ("content", "refusal") if message.get(name) is not None]
        text = next((part for part in said if part), "")
        if not isinstance(text, str):
            raise TypeError("content is not a text")
        details = {"model": answer.get("model"), "system_fingerprint": answer.get("system_fingerprint"), "usage": usage}
        if request.schema is not None:
            details["structured"] = self._structured
        reason = choice.get("finish_reason")
        missing = None if said else f"the answer has no content (finish reason: {self._clean(str(reason))})"
        finish = FINISH_REASONS.get(reason, "stop")
        outcome = Outcome.REFUSED if message.get("refusal") else outcome_of(finish, missing)
        if reason == "content_filter":
            missing, outcome = "the server's content filter cut the answer", Outcome.BLOCKED
        return Completion(
            "" if missing else text,
            "" if missing else finish,
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
            missing,
            {name: value for name, value in details.items() if value},
            outcome=outcome,
        )

    def _refuse(self, status: int, headers: Mapping[str, str], answer: Mapping[str, Any], request: Request) -> None:
        """Raise what a status other than 200 means: a fault that may pass, a refused request, or the end of the run."""
        error = answer.get("error", answer)
        said = self._clean(str(error.get("message", "") if isinstance(error, dict) else error))
        code = str(error.get("code") or error.get("type") or "") if isinstance(error, dict) else ""
        told = f"HTTP {status}" + (f": {said}" if said else "")
        if status in (401, 403, 404) or 300 <= status < 400 or code == "insufficient_quota":
            raise EngineError(f"{self._where}{self._remedy(status, told)}")
        if status in PASSING_STATUSES or status >= 500:
            wait = _retry_after(headers)
            if wait is not None and wait > LONGEST_RETRY_AFTER_S:
                raise EngineError(
                    f"{self._where}: the server asks to wait {wait:,.0f} s ({told}); run the same command after that"
                )
            raise Busy(told, wait) if status == 429 or wait is not None else Fault(told)
        if self._adapt(said, request):
            raise Adapted
        if self._reached or code in PER_REQUEST_CODES:
            raise Refused(told)
        raise EngineError(
            f"{self._where}: {self._settings.base_url} rejects the first request ({told}); correct the model's `path`, "
            "its `settings` or `sampling` accordingly"
        )

    def _remedy(self, status: int, told: str) -> str:
        """The rest of an error that concerns the whole run: parameter, what is wrong, what to do."""
        server, variable = self._settings.base_url, self._settings.api_key_env
        if status in (401, 403):
            named = f"the key in the environment variable {variable}" if variable else "a request without a key"
            return (
                f".settings.api_key_env: {server} rejects {named} (HTTP {status}); give the name of a variable that "
                "holds a key valid for this server and model"
            )
        if status == 404:
            return (
                f": {self._url} has no model {self._model.path!r}, or is no chat endpoint ({told}); correct `path` "
                "(the model's name at the server) or `settings.base_url` (it mostly ends in /v1)"
            )
        if status < 400:
            return (
                f".settings.base_url: {server} redirects elsewhere (HTTP {status}); the key is not sent after it: give "
                "the final address"
            )
        return f": the account has no quota left ({told}); top it up, then run the same command again"

    def _adapt(self, said: str, request: Request) -> bool:
        """Give up a field that the server's message names, where that changes nothing that the study asked for."""
        if self._send_top_k and "top_k" in said and request.sampling.top_k == 0:
            self._send_top_k = False
            return True
        if self._tokens_field == "max_tokens" and "max_completion_tokens" in said:
            self._tokens_field = "max_completion_tokens"
            return True
        names = re.search(r"response_format|json_schema|json_object|guided|structured|grammar|schema", said)
        fallback = self._settings.structured_fallback
        if request.schema is None or not names or fallback in ("none", self._structured):
            return False
        if self._structured == "prompt":
            return False
        log.warning(
            "%s: the server rejects structured output (%s): falling back to `%s`",
            self._where,
            said or "no reason",
            fallback,
        )
        self._structured = fallback
        return True

    def _read_key(self) -> str | None:
        variable = self._settings.api_key_env
        if variable is None:
            return None
        key = os.environ.get(variable, "").strip()
        if not key:
            raise EngineError(
                f"{self._where}.settings.api_key_env: the environment variable {variable} is not set; export it with "
                "the server's key before running"
            )
        return key

    def _clean(self, text: str) -> str:
        """A server's words for one line of an error message: without the key, short, printable."""
        shown = text.replace(self._key, "[key]") if self._key else text
        shown = " ".join("".join(c if c.isprintable() else " " for c in shown).split())
        return shown if len(shown) <= 200 else shown[:200] + "..."

    def _say(self, kind: str, message: str) -> None:
        now = time.monotonic()
        if now - self._said.get(kind, -60.0) >= 10:
            self._said[kind] = now
            log.warning("%s: %s", self._where, message)


def _proxy(url: str) -> str | None:
    """The proxy that the environment (`https_proxy`, `no_proxy`, ...) asks for at this address, or None."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: `Retry-After` as seconds or as a date, or None."""
    value = headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
