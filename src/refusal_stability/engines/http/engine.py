"""The HTTP engine: any server that speaks OpenAI's chat completions or Anthropic's Messages.

It speaks the protocol through aiohttp rather than a vendor's package: on two cores shared with a server that answers
at once the `openai` package managed 138 requests a second, aiohttp 1,645. A study makes tens of thousands of them.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from refusal_stability.engines.finish_reasons import Ending, ending_of
from refusal_stability.engines.http import anthropic_messages, chat_completions
from refusal_stability.engines.http.budget import Abandoned
from refusal_stability.engines.http.error_names import Meaning
from refusal_stability.engines.http.errors import ServerError, one_line, read_error
from refusal_stability.engines.http.presets import with_preset
from refusal_stability.engines.http.request_fields import RequestFields
from refusal_stability.engines.http.said import (
    SETTLED,
    AskedOnceMore,
    Fault,
    NotRead,
    completion,
    is_unknown,
    without_text,
)
from refusal_stability.engines.http.transport import (
    LONGEST_WAIT_S,
    Adapted,
    Busy,
    Reply,
    StillBusy,
    TooLarge,
    Transport,
)
from refusal_stability.engines.listed_tokens import kept_shares, server_tokens
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.thinking_marks import with_marks
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Outcome, Request

PROTOCOLS = {"chat_completions": chat_completions, "anthropic_messages": anthropic_messages}
# What servers say to a system prompt for a model whose template has no system role.
SYSTEM_ROLE = re.compile(
    r"system (?:role|message|prompt|instruction)|developer instruction|roles? must alternate|role\W+system",
    re.IGNORECASE,
)
# Settings that shape a request. They join the identity only where a study sets them, so that older keys stay.
SHAPING = ("omit", "rename", "chat_template_kwargs", "reasoning_effort", "query", "headers")
REJECTED = {"rejected": True, **SETTLED}
# Answers that come so soon after each other are handed on together: the store commits them at once.
TOGETHER_S = 0.002


class Rejected(Exception):
    """One request is rejected for a reason that nobody knows."""


class HTTPEngine:
    """Complete requests at an HTTP server.

    Parameters
    ----------
    model : `path` is the model's name at the server.
    settings : address, key, pace, caps, fields and how JSON is asked for; see `OpenAISettings`.
    where : the model's key in params.yaml, for error messages.

    Raises
    ------
    EngineError
        From `complete`: an environment variable that should hold a secret is empty; nothing listens at `base_url`; the
        account or the settings are at fault (once, and nothing else is sent); the first request is rejected for a
        reason that nobody knows; a cap would be exceeded; or as many requests in a row as are in flight failed or
        were so rejected.

    Notes
    -----
    The first request goes alone, so that a wrong key or model name costs one request. Completions are yielded as they
    finish, and a worker sends its next request only when the caller came back for more: requests in flight and answers
    that the caller has not stored are together never more than `concurrency`. Secrets are in no message, completion or
    log line: the transport cuts them out of whatever the server echoes.
    """

    def __init__(self, model: ModelParams, settings: OpenAISettings, where: str = "model") -> None:
        settings = with_preset(settings, where)
        self._where = where
        self._model = model
        self._settings = settings
        self._protocol = PROTOCOLS[settings.protocol]
        self._fields = RequestFields(settings, where)
        self._transport = Transport(settings, self._protocol.PATH, self._protocol.auth_headers, where)
        self._budget = self._transport.budget
        self._failed_in_a_row = 0
        self._answers: deque[tuple[int, Completion, asyncio.Future[None]]] = deque()
        self._later: asyncio.TimerHandle | None = None
        self.fold_system = settings.fold_system
        self.token_probabilities = settings.token_probabilities
        self.thinking_marks = with_marks(settings.thinking_marks)
        self.identity: Mapping[str, Any] = {
            "engine": "openai",
            "base_url": settings.base_url.rstrip("/"),
            "model": model.path,
            "structured": [settings.structured, settings.structured_fallback],
            "extra_body": settings.extra_body,
        } | {name: value for name in SHAPING if (value := getattr(settings, name))}
        if settings.protocol != "chat_completions":
            self.identity = {**self.identity, "protocol": settings.protocol}
        self.description: Mapping[str, Any] = {
            "engine": "openai",
            "base_url": settings.base_url.rstrip("/"),
            "concurrency": str(settings.concurrency),
        }

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield each request's completion as the server answers; see `Engine.complete`."""
        if not requests:
            return
        self._transport.read_secrets()
        self._fields.fill_in(self._transport.value)
        self._budget.check(len(requests))
        loop = asyncio.new_event_loop()
        try:
            sending = loop.create_task(self._send_all(requests))
            while not sending.done():
                self._wake = loop.create_future()
                sending.add_done_callback(self._signal)
                # The loop runs only while the caller waits for an answer: that is what bounds memory.
                loop.run_until_complete(self._wake)
                sending.remove_done_callback(self._signal)
                if self._later is not None:
                    self._later.cancel()
                while self._answers:
                    position, answer, kept = self._answers.popleft()
                    yield position, answer
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

    def opened_thinking(self, messages: Sequence[Message]) -> str:
        """The mark of thinking that every prompt leaves open, where the study says so; see `Engine`."""
        return self.thinking_marks[0][0] if self._settings.thinking_opened else ""

    def close(self) -> None:
        """Connections are closed at the end of `complete`; nothing is left to release."""

    def _signal(self, _: object = None) -> None:
        if not self._wake.done():
            self._wake.set_result(None)

    async def _send_all(self, requests: Sequence[Request]) -> None:
        async with self._transport.open():
            todo = iter(enumerate(requests))
            await self._work([next(todo)])
            await asyncio.gather(*(self._work(todo) for _ in range(self._settings.concurrency)))
        if self._budget.stopped is not None:
            raise self._budget.stopped

    async def _work(self, todo: Iterable[tuple[int, Request]]) -> None:
        loop = asyncio.get_running_loop()
        for position, request in todo:
            if self._budget.stopped is not None:
                return
            try:
                answer = await self._answer(request)
            except EngineError as error:
                # Workers that are under way finish what they sent: it is paid for.
                self._budget.stop(error)
                return
            except Abandoned:
                return
            kept = loop.create_future()
            self._answers.append((position, answer, kept))
            # The other half of the workers keeps the server busy meanwhile.
            if 2 * len(self._answers) >= self._settings.concurrency:
                self._signal()
            elif len(self._answers) == 1:
                self._later = loop.call_later(TOGETHER_S, self._signal)
            await kept

    async def _answer(self, request: Request) -> Completion:
        try:
            try:
                answer = await self._ask(request)
            except AskedOnceMore as first:
                answer = await self._ask(request, first.structured)
        except AskedOnceMore as last:
            answer = without_text(Outcome.UNANSWERED, str(last))
        except (StillBusy, TooLarge) as error:
            return self._given_up(str(error))
        except Fault as fault:
            return self._given_up(f"{fault} (tries: {1 + self._settings.max_retries})")
        except Rejected as error:
            return self._given_up(str(error))
        self._failed_in_a_row = 0
        return answer

    async def _ask(self, request: Request, structured: str | None = None) -> Completion:
        sent: dict[str, Any] = {}
        used = ""

        def body() -> Mapping[str, Any]:
            nonlocal sent, used
            used, sent = self._written(request, structured)
            return sent

        return await self._transport.ask(
            request, body, lambda reply: self._completion_of(reply, request, used, sent, self._fields.seeded(sent))
        )

    def _written(self, request: Request, structured: str | None = None) -> tuple[str, dict[str, Any]]:
        """How JSON is asked for, and the body of a request."""
        used = structured or self._fields.structured
        return used, self._fields.written(
            self._protocol.body(self._model.path, request.messages, request, used), request
        )

    def _completion_of(
        self, reply: Reply, request: Request, used: str, sent: Mapping[str, Any], seeded: bool
    ) -> Completion:
        """What a reply means: a completion, or an exception that says whether to ask again."""
        error = read_error(reply.status, reply.headers, reply.answer, reply.raw)
        if error is None:
            return self._read(reply, request, {"structured": used if request.schema else None, "unseeded": not seeded})
        # A status of 4xx may come with a completion that a filter or a refusal ended.
        if error.meaning is None and (found := self._explained(reply)):
            return found
        return self._refused(error.cleaned(self._transport.clean), sent, request)

    def _read(self, reply: Reply, request: Request, details: Mapping[str, Any]) -> Completion:
        if self._protocol.blocked(reply.answer):
            self._transport.reached = True
            return without_text(Outcome.BLOCKED, "the server's content filter blocked the prompt", SETTLED)
        try:
            said = self._protocol.read(reply.answer)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            kind = reply.headers.get("Content-Type", "no content type")
            raise NotRead(f"the answer ({kind}) is not a chat completion") from error
        if is_unknown(said):
            self._transport.say(
                f"finish reason {one_line(str(said.reason))}",
                f"unknown finish reason {one_line(str(said.reason))!r}: such answers are kept as whole ones; check "
                "that they are",
            )
        try:
            tokens = server_tokens(said.tokens) if request.readout is not None else None
            ended = "length" if ending_of(said.reason) is Ending.LENGTH else "stop"
            shares = kept_shares(tokens, said.text or "", ended, request.readout, self.thinking_marks)
            answer = completion(said, {**details, **shares})
        except AskedOnceMore:
            self._transport.reached = True
            raise
        self._transport.reached = True
        return answer

    def _explained(self, reply: Reply) -> Completion | None:
        """The outcome that a completion within an error states."""
        try:
            said = self._protocol.read(reply.answer)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            return None
        ended = ending_of(said.reason) in (Ending.FILTER, Ending.REFUSAL) or said.refusal
        return completion(said, {}) if ended else None

    def _refused(self, error: ServerError, sent: Mapping[str, Any], request: Request) -> Completion:
        """What an error means: a completion without text, or an exception."""
        meaning = error.meaning
        if meaning is Meaning.BLOCKED:
            return without_text(Outcome.BLOCKED, str(error), SETTLED)
        has_system = any(message.role == "system" for message in request.messages)
        if meaning in (Meaning.INVALID, None) and has_system and SYSTEM_ROLE.search(error.text):
            advice = "set fold_system: true in the model's settings, or drop the system prompt"
            return without_text(Outcome.UNANSWERED, f"{error}; {advice}", REJECTED)
        if meaning is Meaning.INVALID:
            return without_text(Outcome.UNANSWERED, str(error), REJECTED)
        if meaning is Meaning.NOT_JSON:
            raise AskedOnceMore(str(error), "prompt")
        if meaning in (Meaning.BUSY, Meaning.PASSING):
            if error.wait is not None and error.wait > LONGEST_WAIT_S:
                raise EngineError(
                    f"{self._where}: the server asks to wait {error.wait:,.0f} s ({error}); run the same command after "
                    "that"
                )
            if meaning is Meaning.BUSY or error.wait is not None:
                raise Busy(str(error), error.wait)
            raise Fault(str(error))
        if meaning in (Meaning.ACCOUNT, Meaning.SETUP):
            raise EngineError(f"{self._where}{self._remedy(error)}")
        if self._fields.adapt(error, sent, request):
            raise Adapted(str(error))
        if self._transport.reached:
            raise Rejected(str(error))
        raise EngineError(
            f"{self._where}: {self._settings.base_url} rejects the first request ({error}); correct the model's "
            "`path`, its `settings` (`omit`, `rename`, `extra_body`) or `sampling` accordingly"
        )

    def _given_up(self, reason: str) -> Completion:
        self._failed_in_a_row += 1
        if not self._transport.reached or self._failed_in_a_row > self._settings.concurrency:
            raise EngineError(
                f"{self._where}.settings.base_url: {self._settings.base_url} keeps failing: {reason}; what was "
                "answered is stored: check the server, then run the same command again"
            )
        return without_text(Outcome.UNANSWERED, reason, {"passing": True})

    def _remedy(self, error: ServerError) -> str:
        """The rest of an error that ends the run: parameter, what is wrong, what to do."""
        server, variable, status = self._settings.base_url, self._settings.api_key_env, error.status
        if error.meaning is Meaning.ACCOUNT and status in (401, 403):
            # A 403 may come from a firewall or tell why the account is shut out.
            said = str(error) if status == 403 else f"HTTP {status}"
            named = f"the key in the environment variable {variable}" if variable else "a request without a key"
            return (
                f".settings.api_key_env: {server} rejects {named} ({said}); give the name of a variable that "
                "holds a key valid for this server and model, then run the same command again"
            )
        if error.meaning is Meaning.ACCOUNT:
            return (
                f": the account or its key has no quota left or is not valid ({error}); top it up or correct the key, "
                "then run the same command again: what was answered is stored"
            )
        if status == 407:
            return (
                f": the proxy on the way to {server} wants a login (HTTP 407); give it in the environment variable "
                "https_proxy (http_proxy for an http:// address), or name the server in no_proxy"
            )
        if 300 <= status < 400:
            return (
                f".settings.base_url: {server} redirects elsewhere (HTTP {status}); the key is not sent after it: give "
                "the final address"
            )
        return (
            f": {self._transport.address} has no model {self._model.path!r}, or is no chat endpoint ({error}); correct "
            "`path` (the model's name at the server) or `settings.base_url` (it mostly ends in /v1)"
        )
