"""Section `models`: which engine answers, and each engine's settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

from refusal_stability.params.checks import ParamsError, one_of, require, typed

DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class TransformersSettings:
    """Settings of the transformers engine. `batch_size` is in rows; `device` auto takes CUDA where there is one."""

    dtype: str = "auto"
    device: str = "auto"
    batch_size: int = 128


@dataclass
class VLLMSettings:
    """Settings of the vLLM engine: two of our own; every other key is an argument of vLLM's `EngineArgs`."""

    batch_invariant: bool = False
    cpu_kvcache_gib: int = 1
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class OpenAISettings:
    """Settings of the HTTP engine. The key is never a parameter: `api_key_env` names its environment variable."""

    base_url: str = "http://127.0.0.1:8000/v1"
    api_key_env: str | None = None
    concurrency: int = 32
    timeout_s: float = 300.0
    max_retries: int = 8
    requests_per_minute: float | None = None
    max_requests: int | None = None
    max_total_tokens: int | None = None
    structured: str = "json_schema"
    structured_fallback: str = "prompt"
    extra_body: dict[str, Any] = field(default_factory=dict)
    price_in: float | None = None
    price_out: float | None = None


@dataclass
class RecordedSettings:
    """Where recorded responses lie: `name` is the model in the source's file names, `model` in its model column.

    `columns` maps our column names to the source's; a response that begins with a pattern of `missing` is none.
    `labels_only`: the source has labels by recorded judges but no responses.
    """

    layout: str = "project"
    name: str = ""
    model: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=lambda: [r"\[ERROR"])
    labels_only: bool = False


ENGINE_SETTINGS: dict[str, type] = {
    "transformers": TransformersSettings,
    "vllm": VLLMSettings,
    "openai": OpenAISettings,
    "recorded": RecordedSettings,
}
RECORDED_LAYOUTS = ("project", "published")
RECORDED_COLUMNS = ("prompt", "response", "model", "temperature", "seed", "finish_reason", "missing_reason")
STRUCTURED = ("json_schema", "json_object", "prompt")


@dataclass
class ModelParams:
    """One model: which engine answers, from where, and with which engine settings (checked per engine)."""

    engine: str = "transformers"
    path: str = ""
    revision: str | None = None
    label: str | None = None
    trust_remote_code: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


def engine_settings(model: ModelParams, where: str) -> Any:
    """A model's `settings` as the dataclass of its engine; `where` names the place in error messages."""
    require(model.engine in ENGINE_SETTINGS, f"{where}.engine", model.engine, one_of(ENGINE_SETTINGS))
    settings = dict(model.settings)
    if model.engine == "vllm":
        own = {f.name for f in fields(VLLMSettings)} - {"arguments"}
        settings = {name: value for name, value in settings.items() if name in own} | {
            "arguments": {name: value for name, value in settings.items() if name not in own}
        }
    return typed(ENGINE_SETTINGS[model.engine], settings, f"{where}.settings.")


def check_model(model: ModelParams, key: str) -> None:
    require(model.engine in ENGINE_SETTINGS, f"{key}.engine", model.engine, one_of(ENGINE_SETTINGS))
    require(bool(model.path), f"{key}.path", model.path, "a folder or a Hugging Face model id")
    settings = engine_settings(model, key)
    if isinstance(settings, TransformersSettings):
        require(settings.dtype in DTYPES, f"{key}.settings.dtype", settings.dtype, one_of(DTYPES))
        require(settings.batch_size >= 1, f"{key}.settings.batch_size", settings.batch_size, "at least 1")
    if isinstance(settings, OpenAISettings):
        _check_openai(settings, f"{key}.settings")
    if isinstance(settings, VLLMSettings):
        _check_vllm(settings, f"{key}.settings")
    if isinstance(settings, RecordedSettings):
        _check_recorded(settings, f"{key}.settings")


def _check_vllm(settings: VLLMSettings, key: str) -> None:
    require(settings.cpu_kvcache_gib >= 1, f"{key}.cpu_kvcache_gib", settings.cpu_kvcache_gib, "at least 1 (GiB)")
    elsewhere = {
        "model": "the model's `path`",
        "revision": "the model's own `revision`",
        "trust_remote_code": "the model's own `trust_remote_code`",
        "seed": "sampling.seeds: every request has a seed of its own",
        "hf_token": "the environment variable HF_TOKEN: a secret is no parameter",
        "arguments": "vLLM's arguments stand in settings themselves",
    }
    for name, place in elsewhere.items():
        require(name not in settings.arguments, f"{key}.{name}", "(not shown)", f"nothing here; its place: {place}")


def _check_recorded(settings: RecordedSettings, key: str) -> None:
    require(settings.layout in RECORDED_LAYOUTS, f"{key}.layout", settings.layout, one_of(RECORDED_LAYOUTS))
    named = re.fullmatch(r"[^/\\]+", settings.name) is not None or settings.labels_only
    require(named, f"{key}.name", settings.name, "the model's name in the source's file names")
    for name, column in settings.columns.items():
        require(name in RECORDED_COLUMNS, f"{key}.columns.{name}", column, f"a key that is {one_of(RECORDED_COLUMNS)}")
    for pattern in settings.missing:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ParamsError(f"{key}.missing: {pattern!r} is not a regular expression: {error}") from error


def _check_openai(settings: OpenAISettings, key: str) -> None:
    address = re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", settings.base_url)
    shown = "(not shown)" if "@" in settings.base_url else settings.base_url
    require(address is not None, f"{key}.base_url", shown, "http(s)://host[:port]/path, no key in it")
    variable = settings.api_key_env
    named = variable is None or re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable) is not None
    # The value may be a key pasted in the wrong place: it is not repeated.
    require(named, f"{key}.api_key_env", "(not shown)", "the name (capitals) of an environment variable")
    require(settings.concurrency >= 1, f"{key}.concurrency", settings.concurrency, "at least 1")
    require(settings.max_retries >= 0, f"{key}.max_retries", settings.max_retries, "at least 0")
    require(settings.timeout_s > 0, f"{key}.timeout_s", settings.timeout_s, "seconds, over 0")
    for name in ("requests_per_minute", "max_requests", "max_total_tokens"):
        value = getattr(settings, name)
        require(value is None or value > 0, f"{key}.{name}", value, "null (no limit) or a number over 0")
    for name in ("price_in", "price_out"):
        value = getattr(settings, name)
        require(value is None or value >= 0, f"{key}.{name}", value, "null or a price per million tokens")
    require(settings.structured in STRUCTURED, f"{key}.structured", settings.structured, one_of(STRUCTURED))
    fallbacks = (*STRUCTURED[1:], "none")
    require(
        settings.structured_fallback in fallbacks,
        f"{key}.structured_fallback",
        settings.structured_fallback,
        one_of(fallbacks),
    )
