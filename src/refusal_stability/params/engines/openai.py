"""Settings of the engine `openai`: any server that speaks the OpenAI API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import (
    HIDDEN,
    SECTION,
    AtLeast0,
    AtLeast1,
    Flag,
    Number,
    Text,
    among,
    require,
    rule,
)
from refusal_stability.params.engines.settings import EngineSettings

MILLION = 1_000_000
# What vendors ask for a request in a batch, of its price alone.
BATCH_PRICE = 0.5
# OpenAI's limit on one file.
MOST_IN_A_BATCH = 50_000
ADDRESS = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?(\?[^\s@#]*)?")
# Query parameters that hold a secret belong into `query`, by the name of an environment variable.
_SECRET = r"(?:key|token|secret|password|passwd|pwd|sig|signature|code|auth|jwt|bearer|credential|session)s?\d*"
_SECRET_ANYWHERE = "authorization|cookie"
SECRET_NAME = re.compile(rf"{_SECRET_ANYWHERE}|{_SECRET}$", re.IGNORECASE)
SECRET_PARAMETER = re.compile(rf"[?&][^=&]*(?:{_SECRET_ANYWHERE}|{_SECRET}=)", re.IGNORECASE)
# Whatever its name is.
SECRET_VALUE = re.compile(r"(?:bearer|basic|token)\s+\S|(?:sk|gsk|hf|xai|ghp|pplx)[-_]\w|AIza\w", re.IGNORECASE)
# A whole key in a request's body, whose fields may be called anything.
WRITTEN_KEY = re.compile(
    r"bearer\s+\S{8}|AIza[\w-]{20}|(?:(?:sk|gsk|xai|pplx)[-_]|hf_|ghp_)(?=[\w-]*\d)[\w-]{12}", re.IGNORECASE
)
KEY_IN_ADDRESS = re.compile(rf"[/?&=](?:{WRITTEN_KEY.pattern})", re.IGNORECASE)
LOOKS_DRAWN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w./+=-]{16,}")
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


def _has_host(url: str) -> bool:
    """Whether an address names a host and a port that there can be."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        labels = host.rstrip(".").split(".")
        return ":" in host or all(0 < len(label.encode("idna")) < 64 for label in labels)
    except ValueError:
        return False


Address = Annotated[
    Text,
    rule(
        lambda url: ADDRESS.fullmatch(url) and not SECRET_PARAMETER.search(url) and not KEY_IN_ADDRESS.search(url),
        "http(s)://host[:port]/path, no key in it (a secret: settings.query, as {env: NAME})",
        secret=True,
    ),
    rule(_has_host, "an address whose host and port there can be"),
]


def _is_value(value: Any) -> bool:
    """A text or a number; or {env: NAME}, for a secret."""
    if isinstance(value, dict):
        return is_variable(value)
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def is_variable(value: Any) -> bool:
    """Whether a value is {env: NAME}: what the environment variable NAME holds."""
    return isinstance(value, dict) and set(value) == {"env"} and VARIABLE.fullmatch(str(value["env"])) is not None


def _written_key(key: str, name: str, value: Any) -> str | None:
    """The place of the first value in a body that looks like a key; None where there is none."""
    if isinstance(value, dict):
        parts = {f"{key}.{inner}": (str(inner), part) for inner, part in value.items()}
    elif isinstance(value, list):
        parts = {f"{key}[{place}]": (name, part) for place, part in enumerate(value)}
    else:
        text = value if isinstance(value, str) else ""
        looks_so = WRITTEN_KEY.match(text) or (SECRET_NAME.search(name) and LOOKS_DRAWN.fullmatch(text))
        return key if looks_so else None
    return next((found for at, part in parts.items() if (found := _written_key(at, *part))), None)


Value = Annotated[Any, rule(_is_value, "a text, or {env: NAME} with the name of an environment variable", secret=True)]
# What stands here may be a key pasted in the wrong place.
Variable = Annotated[Text, rule(VARIABLE.fullmatch, "the name (capitals) of an environment variable", secret=True)]
A_DAY_S = 86_400
Seconds = Annotated[Number, Field(gt=0, le=A_DAY_S)]
PerMinute = Annotated[Number, Field(ge=0.01, le=1_000_000)]
Price = Annotated[Number, Field(ge=0)]


@dataclass(config=SECTION)
class HTTPSettings(EngineSettings):
    """What every server needs: address, key, pace, caps and prices.

    Attributes
    ----------
    base_url : the server's address, without `/chat/completions`.
    api_key_env : the name of the environment variable that holds the key, which is never a parameter itself.
    concurrency : how many requests are in flight at once.
    timeout_s : how many seconds one whole answer may take.
    max_retries : how often a request is tried again after a fault that may pass.
    requests_per_minute : the most requests that are sent in a minute, retries included.
    max_requests : the most requests that one run may send, retries included.
    max_total_tokens : the most tokens that one run may use, those of prompts included.
    headers : further headers of every request.
    query : further query parameters of the address.
    omit : fields of the request that are never sent, such as `seed`.
    rename : maps our names of a request's fields to the server's.
    extra_body : further fields of every request.
    price_in : the price of a million tokens of prompts outside batches, for `plan`.
    price_out : the price of a million tokens of answers outside batches, for `plan`.
    """

    no_effect: ClassVar = frozenset({
        "api_key_env", "concurrency", "max_requests", "max_retries", "max_total_tokens", "price_in",
        "price_out", "requests_per_minute", "timeout_s",
    })  # fmt: skip

    base_url: Address = "http://127.0.0.1:8000/v1"
    api_key_env: Variable | None = None
    concurrency: Annotated[AtLeast1, Field(le=4096)] = 32
    timeout_s: Seconds = 300.0
    max_retries: Annotated[AtLeast0, Field(le=100)] = 8
    requests_per_minute: PerMinute | None = None
    max_requests: AtLeast1 | None = None
    max_total_tokens: AtLeast1 | None = None
    headers: dict[str, Value] = field(default_factory=dict)
    query: dict[str, Value] = field(default_factory=dict)
    omit: list[Text] = field(default_factory=list)
    rename: dict[str, Text] = field(default_factory=dict)
    extra_body: dict[str, Any] = field(default_factory=dict)
    price_in: Price | None = None
    price_out: Price | None = None

    @model_validator(mode="after")
    def _secrets_come_from_the_environment(self) -> HTTPSettings:
        for key in ("headers", "query"):
            for name, value in getattr(self, key).items():
                secret = SECRET_NAME.search(name) or SECRET_VALUE.match(str(value))
                shown = isinstance(value, dict) or not secret
                require(shown, f"{key}.{name}", HIDDEN, "{env: NAME}, where the environment variable NAME holds it")
        for key in ("extra_body", "chat_template_kwargs"):
            place = _written_key(key, "", getattr(self, key))
            remedy = "in `extra_body`, {env: NAME}, where the environment variable NAME holds it"
            require(place is None, place or key, HIDDEN, remedy)
        return self

    def cost(self, prompt_tokens: float, answer_tokens: float) -> float | None:
        """Tokens times prices; None where a price is not given."""
        if self.price_in is None or self.price_out is None:
            return None
        return (prompt_tokens * self.price_in + answer_tokens * self.price_out) / MILLION

    def caps(self) -> Mapping[str, int | None]:
        """The study's own limits."""
        return {"max_requests": self.max_requests, "max_total_tokens": self.max_total_tokens}


@dataclass(config=SECTION)
class OpenAISettings(HTTPSettings, engine="openai"):
    """Any server that speaks OpenAI's chat completions or Anthropic's Messages.

    Attributes
    ----------
    preset : a vendor, whose settings then stand wherever the study left the default.
    thinking_opened : says that the server's chat template opens thinking, and that the server does not set it apart.
    protocol : which requests the server understands.
    reasoning_effort : the request's field of that name, for models that reason.
    structured : how the server is asked to answer in JSON.
    structured_fallback : how the server is asked where it does not know that way; `none` ends the run.
    batch : sends requests through the vendor's batch endpoints, at half the price and within a day.
    batch_size : the most requests in one batch.
    batch_poll_s : how many seconds pass between two looks at the batches.
    """

    no_effect: ClassVar = HTTPSettings.no_effect | {"batch", "batch_poll_s", "batch_size"}

    preset: Text | None = None
    thinking_opened: Flag = False
    protocol: Annotated[Text, among("chat_completions", "anthropic_messages")] = "chat_completions"
    reasoning_effort: Text | None = None
    structured: Annotated[Text, among("json_schema", "json_object", "prompt")] = "json_schema"
    structured_fallback: Annotated[Text, among("json_object", "prompt", "none")] = "prompt"
    batch: Flag = False
    batch_size: Annotated[AtLeast1, Field(le=MOST_IN_A_BATCH)] = MOST_IN_A_BATCH
    batch_poll_s: Seconds = 60.0

    @property
    def token_probabilities(self) -> bool:
        """Chat completions may list them; Anthropic's Messages do not."""
        return self.protocol == "chat_completions"

    @property
    def price_note(self) -> str:
        """What `plan` says of batches."""
        return "sent in batches: half of price_in and price_out, and answers within a day" if self.batch else ""

    def cost(self, prompt_tokens: float, answer_tokens: float) -> float | None:
        """Tokens times prices, half of it in batches; None where a price is not given."""
        price = super().cost(prompt_tokens, answer_tokens)
        return price * BATCH_PRICE if price is not None and self.batch else price
