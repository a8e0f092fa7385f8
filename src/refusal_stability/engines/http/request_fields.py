"""The fields of a request as one server wants them: the study's settings, and what the server's errors ask for."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Set
from typing import Any

from refusal_stability.engines.http.errors import ServerError
from refusal_stability.engines.listed_tokens import ALTERNATIVES, FEWER_ALTERNATIVES
from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.engines.openai import OpenAISettings, is_variable
from refusal_stability.records import Request

log = logging.getLogger(__name__)

_FIT = (
    "supported|permitted|allowed|accepted|available|valid|recogni[sz]ed|implemented|enabled|applicable|expected|"
    "configurable|compatible|defined"
)
REJECTED = re.compile(
    r"unknown|unrecogni[sz]ed|unsupported|unexpected|forbidden|deprecated|disallow|incompatible|mutually exclusive|"
    rf"(?:not|n't) (?:\w+ ){{0,2}}(?:{_FIT})|extra (?:inputs|fields)|additional propert|"
    r"(?:not|n't) (?:support|accept|allow|permit|recogni[sz]e)|cannot (?:both )?be|can't be|cannot find|"
    r"(?:must|should|may) not be (?:set|specified|provided|used|present)|be (?:omitted|removed|unset)|no such|"
    r"invalid (?:parameter|field|argument|option|key|property)|only the default|only one|may only be|"
    r"only \S{1,20} (?:is|are) (?:allowed|supported|accepted)|no longer|use '?max_",
    re.IGNORECASE,
)
# What may be left out, the least harm first.
MAY_GO = ("top_k", "top_p", "seed", "temperature")
OFF = {"top_k", "top_p"}
LAST = "temperature"
TOP = "top_logprobs"
LISTING = (TOP, "logprobs")
TOKEN_FIELDS = ("max_tokens", "max_completion_tokens")
STRUCTURED = re.compile(r"response_format|json_schema|json_object|guided|structured|grammar|schema")


class RequestFields:
    """How requests are written for one server.

    Parameters
    ----------
    settings : `omit`, `rename`, `extra_body`, `chat_template_kwargs`, `reasoning_effort` and how JSON is asked for.
    where : the model's key in params.yaml, for warnings.

    Notes
    -----
    A field that the server rejects by name is left out where that changes nothing that the study asked for: `top_k` 0,
    `top_p` 1, a temperature of 1, a judge's temperature. Without `seed` the repeats are still independent draws, but
    they cannot be repeated: the engine says so.
    """

    def __init__(self, settings: OpenAISettings, where: str) -> None:
        self._where = where
        self._fallback = settings.structured_fallback
        self._never_sent = frozenset(settings.omit)
        self._rejected: set[str] = set()
        self._renamed = dict(settings.rename)
        self._own = settings.extra_body
        self._extra = dict(settings.extra_body)
        if settings.chat_template_kwargs:
            self._extra["chat_template_kwargs"] = dict(settings.chat_template_kwargs)
        if settings.reasoning_effort:
            self._extra["reasoning_effort"] = settings.reasoning_effort
        self._rejected_token_fields: set[str] = set()
        self._fewer_alternatives = False
        self.structured = settings.structured

    def fill_in(self, value_of: Callable[[str, Mapping[str, str]], str]) -> None:
        """Put what `value_of(place, {env: NAME})` gives wherever `extra_body` names an environment variable."""
        self._extra |= {name: _filled(f"extra_body.{name}", value, value_of) for name, value in self._own.items()}

    def seeded(self, sent: Mapping[str, Any]) -> bool:
        """Whether a body that was sent has a seed."""
        return self._renamed.get("seed", "seed") in sent

    def written(self, body: dict[str, Any], request: Request) -> dict[str, Any]:
        """A body as this server wants it; raises EngineError where that is not what the study asks for."""
        if self._fewer_alternatives and TOP in body:
            body = body | {TOP: FEWER_ALTERNATIVES}
        if not (self._never_sent or self._rejected or self._renamed):
            return body | self._extra if self._extra else body
        for name in self._rejected - self._never_sent:
            if name in body and not self._may_omit(name, request):
                raise EngineError(
                    f"{self._where}: the server rejects the field `{name}`, and without it {body[name]} would not be "
                    f"what is measured; ask for what the server does anyway (`sampling`), or take another server"
                )
        left_out = self._never_sent | self._rejected
        sent = {self._renamed.get(name, name): body[name] for name in body if name not in left_out}
        return sent | self._extra

    def adapt(self, error: ServerError, sent: Mapping[str, Any], request: Request) -> bool:
        """Learn from an error what to leave out or rename in a body that was sent; false where nothing may be done."""
        said = " ".join((error.text, *error.names))
        if request.readout is not None and _first_named(said, (*LISTING, *MAY_GO)) in LISTING:
            return self._lists_fewer(said, sent)
        # What `extra_body` sends, only the study can take back.
        own = sent.keys() - self._extra.keys()
        named = {name for name in MAY_GO if (at := self._renamed.get(name, name)) in own and _names(said, at)}
        if not REJECTED.search(said):
            # Some servers name a range that has no place for "off".
            named &= OFF | ({LAST} if _judges(request) else set())
        elif self._rename_token_field(said, own):
            return True
        # Another worker may have learned it while this request was under way.
        learned = bool(named & self._rejected)
        for name in MAY_GO:
            if name in named - self._rejected and self._may_omit(name, request) and not (learned and name == LAST):
                self._omit(name)
                learned = True
        return learned or self._weaken_structure(said, request)

    def _lists_fewer(self, said: str, sent: Mapping[str, Any]) -> bool:
        """Ask for fewer alternatives to a token; raises EngineError where that was of no use."""
        if sent.get(TOP) == ALTERNATIVES and TOP not in self._extra:
            # Another worker may have learned it while this request was under way.
            self._fewer_alternatives = True
            return True
        raise EngineError(
            f"{self._where}: the server gives no token probabilities ({said.strip()[:200]}), which the judge's "
            "settings.confidence: tokens asks for; set that to repeats (with `repeats: 3`, say), or take another server"
        )

    def _may_omit(self, name: str, request: Request) -> bool:
        sampling = request.sampling
        return {
            "seed": True,
            "top_k": sampling.top_k == 0,
            "top_p": sampling.top_p == 1,
            # A judge's temperature is no part of what is measured; a model's is.
            "temperature": _judges(request) or sampling.temperature == 1,
        }.get(name, False)

    def _omit(self, name: str) -> None:
        self._rejected.add(name)
        if name in ("seed", LAST):
            consequence = "; repeats are unseeded draws, which no rerun reproduces" if name == "seed" else ""
            log.warning(
                "%s: the server rejects the field `%s`; requests go without it%s", self._where, name, consequence
            )

    def _rename_token_field(self, said: str, sent: Set[str]) -> bool:
        used = next((name for name in TOKEN_FIELDS if name in sent), None)
        if used is None:
            return False
        other = TOKEN_FIELDS[1 - TOKEN_FIELDS.index(used)]
        if not (_names(said, used) or _names(said, other)):
            return False
        if self._renamed.get("max_tokens", "max_tokens") == other:
            return True
        if other in self._rejected_token_fields:
            return False
        self._rejected_token_fields.add(used)
        self._renamed["max_tokens"] = other
        return True

    def _weaken_structure(self, said: str, request: Request) -> bool:
        weaker = self._fallback not in ("none", self.structured) and self.structured != "prompt"
        if request.schema is None or not STRUCTURED.search(said) or not weaker:
            return False
        log.warning(
            "%s: the server rejects structured output (%s); falling back to `%s`",
            self._where,
            said.strip()[:200] or "no reason",
            self._fallback,
        )
        self.structured = self._fallback
        return True


def _judges(request: Request) -> bool:
    return request.judges or request.schema is not None


def _filled(place: str, value: Any, value_of: Callable[[str, Mapping[str, str]], str]) -> Any:
    if is_variable(value):
        return value_of(place, value)
    if isinstance(value, dict):
        return {name: _filled(f"{place}.{name}", part, value_of) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(f"{place}[{n}]", part, value_of) for n, part in enumerate(value)]
    return value


def _names(said: str, field: str) -> bool:
    """Whether a text names a field."""
    return _first_named(said, (field,)) is not None


def _first_named(said: str, fields: Collection[str]) -> str | None:
    """The field that a text names first: those behind it may be a list of what is allowed."""
    found = re.search(rf"(?<![A-Za-z0-9_])(?:{'|'.join(map(re.escape, fields))})(?![A-Za-z0-9_])", said)
    return found and found[0]
