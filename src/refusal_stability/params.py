"""`params.yaml` as typed dataclasses: every choice that can change a number, checked once; errors name the key.

The only module that imports OmegaConf.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from refusal_stability.records import (
    NO_INTERVENTION,
    Condition,
    Intervention,
    Message,
    Request,
    Sampling,
    StudyError,
    sampler_stream,
)

PARAMS_FILE = Path("params.yaml")
PROMPT_SOURCES = ("builtin", "beavertails", "advbench", "harmbench", "table")
JUDGE_KINDS = ("model", "rules", "recorded", "trained", "majority")
MAJORITY = "majority"
# A judge's decisions become a column beside these.
NO_JUDGE_NAMES = (
    *("model", "intervention", "temperature", "seed", "prompt_id", "prompt", "response", "label", "n", "item_id"),
    *("people", "all", "distance", "asked", "decisions", "rank", "n_responses"),
)
# What the stage `judge` depends on: DVC notices when a file in these changes.
WATCHED_FOR_JUDGES = ("data/raw", "models/judges", "data/published")
DTYPES = ("auto", "float32", "bfloat16", "float16")
ROLES = ("user", "assistant")
# OmegaConf's names of types in its messages -> words for people.
WORDS_FOR_TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]*")
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
URL_PATTERN = re.compile(r"https?://[^\s/@]+/\S+")


class ParamsError(StudyError):
    """A parameter that cannot be used: names the key, its value and what is allowed."""


@dataclass
class PromptParams:
    """Which prompts are asked. `path` is a local file; without it a benchmark is downloaded (`url` replaces its home).

    `sha256` pins the file's bytes: needed for a download, checked for a local file.
    """

    source: str = "builtin"
    path: str | None = None
    url: str | None = None
    sha256: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    categories: list[str] = field(default_factory=list)
    limit: int | None = None
    per_category: int | None = None
    shuffle_seed: int | None = None


@dataclass
class TurnParams:
    """One few-shot turn."""

    role: str
    content: str


@dataclass
class InterventionParams:
    """What precedes the prompt."""

    system: str | None = None
    turns: list[TurnParams] = field(default_factory=list)


@dataclass
class SamplingParams:
    """The grid, and how each token is drawn."""

    temperatures: list[float] = field(default_factory=lambda: [0.0, 0.3, 0.7, 1.0])
    seeds: list[int] = field(default_factory=lambda: [42, 43, 44, 45, 46])
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512


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


@dataclass
class RecordedLabelSettings:
    """Where recorded labels lie: `models` maps our model names to the source's (file names, or its model column).

    `files` are the tables of layout `table`, under the judge's `path`. `judge` picks one of several judges in them.
    `columns` maps our column names to the source's; a label among `missing` is no decision.
    """

    layout: str = "project"
    files: list[str] = field(default_factory=list)
    judge: str | None = None
    models: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=lambda: ["UNKNOWN", "ERROR"])


@dataclass
class TrainedJudgeSettings:
    """A response whose top probability is under `escalate_below` is handed to the judge that `escalate_to` names."""

    escalate_below: float = 0.0
    escalate_to: str | None = None


JUDGE_SETTINGS: dict[str, type] = {"recorded": RecordedLabelSettings, "trained": TrainedJudgeSettings}
RECORDED_LABEL_LAYOUTS = ("project", "published", "table")
RECORDED_LABEL_COLUMNS = (
    "prompt_id",
    "prompt",
    "response",
    "model",
    "temperature",
    "seed",
    "judge",
    "repeat",
    "label",
    "reasoning",
    "missing_reason",
)


@dataclass
class JudgeParams:
    """One judge. `kind: model` needs `model`; `rubric` is a built-in name or a file.

    `path` is where recorded labels lie, or a trained judge's file; `settings` belong to the kind. A judge `on_call`
    judges only what another hands over.
    """

    kind: str = "rules"
    repeats: int = 1
    model: ModelParams | None = None
    rubric: str = "default"
    temperature: float = 0.0
    max_tokens: int = 128
    path: str | None = None
    on_call: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class JudgingParams:
    """The panel of judges; `primary` names the one whose decisions feed the metrics, or is `majority` of the panel."""

    primary: str = "rules"
    max_missing: float = 0.02
    judges: dict[str, JudgeParams] = field(default_factory=dict)


@dataclass
class MetricsParams:
    """Thresholds, intervals and the seed of the bootstrap."""

    threshold: float = 0.8
    thresholds: list[float] = field(default_factory=lambda: [0.70, 0.75, 0.80, 0.85, 0.90])
    confidence: float = 0.95
    n_resamples: int = 10_000
    seed: int = 0


@dataclass
class ReferenceModelParams:
    """The training of one embedded model; `task` is chat or judge, `profile` names a chat model's planted shares."""

    task: str = "chat"
    profile: str = "steady"
    seed: int = 0
    samples_per_prompt: int = 160
    batch_size: int = 32
    learning_rate: float = 6e-3
    hidden_size: int = 128
    layers: int = 2
    heads: int = 4
    vocabulary: int = 1536


@dataclass
class StudyParams:
    """The whole of `params.yaml`."""

    study: str
    prompts: PromptParams = field(default_factory=PromptParams)
    interventions: dict[str, InterventionParams] = field(default_factory=dict)
    sampling: SamplingParams = field(default_factory=SamplingParams)
    models: dict[str, ModelParams] = field(default_factory=dict)
    judging: JudgingParams = field(default_factory=JudgingParams)
    metrics: MetricsParams = field(default_factory=MetricsParams)
    reference_models: dict[str, ReferenceModelParams] = field(default_factory=dict)

    def intervention(self, name: str) -> Intervention:
        """The named intervention as the records speak of it."""
        chosen = self.interventions[name]
        turns = tuple(Message(t.role, t.content) for t in chosen.turns)
        return Intervention(name, chosen.system, turns)

    def conditions(self, model: str) -> Iterator[Condition]:
        """Every configuration of one model, in the order of the parameters."""
        for intervention in self.interventions:
            for temperature in self.sampling.temperatures:
                for seed in self.sampling.seeds:
                    yield Condition(model, intervention, temperature, seed)

    def requests(self, model: str, prompts: Iterable[str]) -> Iterator[tuple[Condition, Request]]:
        """Every (configuration, request) of one model; a prompt's requests lie side by side, to share its prefix."""
        conditions = list(self.conditions(model))
        chosen = self.sampling
        for prompt in prompts:
            for condition in conditions:
                messages = self.intervention(condition.intervention).messages(prompt)
                temperature, seed = condition.temperature, condition.seed
                stream = sampler_stream(messages, temperature, seed)
                sampling = Sampling(temperature, seed, stream, chosen.top_p, chosen.top_k, chosen.max_tokens)
                yield condition, Request(messages, sampling)


T = TypeVar("T")


def load_params(path: Path = PARAMS_FILE) -> StudyParams:
    """Read and check a study's parameters; raises `ParamsError` naming the first key that is wrong."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if not path.is_file():
        raise ParamsError(f"{path}: no such file; make a study active with `make study NAME=quickstart`")
    try:
        raw = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ParamsError(f"{path}: not readable as YAML: {reason}; compare it with studies/quickstart.yaml") from error
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: expected keys and values, found {type(raw).__name__}")
    params = typed(StudyParams, raw, f"{path}: ")
    if params.judging.primary == MAJORITY:
        params.judging.judges.setdefault(MAJORITY, JudgeParams(kind="majority"))
    check(params, str(path))
    return params


def typed(schema: type[T], values: Mapping[Any, Any], prefix: str) -> T:
    """A plain mapping as the dataclass `schema`; an error gives `prefix` and the key, the value and what is allowed."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    for name, value in values.items():
        _check_key(schema, name, prefix + str(name))
        _check_shape(get_type_hints(schema)[name], value, prefix + name)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(dict(values)))
        result = OmegaConf.to_object(merged)
    except MissingMandatoryValue as error:
        raise ParamsError(f"{prefix}{error.full_key or error.key}: required, but not given") from error
    except OmegaConfBaseException as error:
        reason = str(error.msg or error).splitlines()[0]
        for kind, allowed in WORDS_FOR_TYPES.items():
            if reason.endswith(f"could not be converted to {kind}"):
                reason += f"; allowed: {allowed}"
        raise ParamsError(f"{prefix}{error.full_key or error.key}: {reason}") from error
    assert isinstance(result, schema)
    return result


def _check_key(schema: Any, name: object, key: str) -> None:
    allowed = [f.name for f in fields(schema)]
    if name not in allowed:
        raise ParamsError(f"{key}: unknown key; allowed here: {', '.join(allowed)}")


def _check_shape(kind: Any, value: Any, key: str) -> None:
    """Hold sections, lists and keys against their types, since OmegaConf names no full key for what is wrong there."""
    if isinstance(kind, UnionType):
        if value is None:
            return
        kind = next(k for k in get_args(kind) if k is not NoneType)
    if isinstance(value, str):
        literal = "${" not in value and value != "???"
        _require(
            literal, key, value, "a text without ${ and other than ???, which DVC and OmegaConf take for their own"
        )
    if is_dataclass(kind) or get_origin(kind) is dict:
        _require(isinstance(value, dict), key, value, "a section of keys and values")
        for name, inner in value.items():
            if is_dataclass(kind):
                _check_key(kind, name, f"{key}.{name}")
            _require(isinstance(name, str), f"{key}.{name}", name, "a key that is a text (put it in quotes)")
            _check_shape(
                get_type_hints(kind)[name] if is_dataclass(kind) else get_args(kind)[1], inner, f"{key}.{name}"
            )
    elif get_origin(kind) is list:
        _require(isinstance(value, list), key, value, "a list, like [a, b]")
        for position, inner in enumerate(value):
            _check_shape(get_args(kind)[0], inner, f"{key}[{position}]")
    elif kind is Any and isinstance(value, dict | list):
        _check_shape(dict[str, Any] if isinstance(value, dict) else list[Any], value, key)
    elif isinstance(value, dict | list):
        _require(False, key, value, f"one value of type {kind.__name__}")


def engine_settings(model: ModelParams, where: str) -> Any:
    """A model's `settings` as the dataclass of its engine; `where` names the place in error messages."""
    _require(model.engine in ENGINE_SETTINGS, f"{where}.engine", model.engine, _one_of(ENGINE_SETTINGS))
    settings = dict(model.settings)
    if model.engine == "vllm":
        own = {f.name for f in fields(VLLMSettings)} - {"arguments"}
        settings = {name: value for name, value in settings.items() if name in own} | {
            "arguments": {name: value for name, value in settings.items() if name not in own}
        }
    return typed(ENGINE_SETTINGS[model.engine], settings, f"{where}.settings.")


def judge_settings(judge: JudgeParams, where: str) -> Any:
    """A judge's `settings` as the dataclass of its kind; None for a kind without any."""
    if judge.kind not in JUDGE_SETTINGS:
        _require(not judge.settings, f"{where}.settings", judge.settings, f"nothing for kind `{judge.kind}`")
        return None
    return typed(JUDGE_SETTINGS[judge.kind], judge.settings, f"{where}.settings.")


def watched(path: str) -> bool:
    """Whether DVC notices when a judge's file of this path changes."""
    place = Path(os.path.normpath(Path.cwd() / path))
    return any(place.is_relative_to(Path.cwd() / folder) for folder in WATCHED_FOR_JUDGES)


def check(params: StudyParams, where: str) -> None:
    """Ranges, duplicates and references that types alone cannot hold."""
    _check_name(params.study, f"{where}: study")
    _check_prompts(params.prompts, f"{where}: prompts")
    _check_interventions(params.interventions, f"{where}: interventions")
    _check_sampling(params.sampling, f"{where}: sampling")
    _require(bool(params.models), f"{where}: models", "{}", "at least one model")
    for name, model in params.models.items():
        _check_name(name, f"{where}: models.{name}")
        _check_model(model, f"{where}: models.{name}")
    _check_judging(params.judging, f"{where}: judging", list(params.models))
    _check_metrics(params.metrics, f"{where}: metrics")
    for name, reference in params.reference_models.items():
        _check_name(name, f"{where}: reference_models.{name}")
        _check_reference(reference, f"{where}: reference_models.{name}")


def _require(condition: bool, key: str, value: object, allowed: str) -> None:
    if not condition:
        raise ParamsError(f"{key}: {value!r} is not allowed; allowed: {allowed}")


def _one_of(names: Any) -> str:
    return "one of " + ", ".join(names)


def _check_name(name: object, key: str) -> None:
    _require(
        isinstance(name, str) and NAME_PATTERN.fullmatch(name) is not None,
        key,
        name,
        "a name of lower-case letters, digits, - and _ (it becomes a folder and a DVC stage, which take no dots)",
    )


def _check_unique(values: list[Any], key: str) -> None:
    repeated = sorted({v for v in values if values.count(v) > 1})
    _require(bool(values), key, values, "at least one value")
    _require(not repeated, key, values, f"each value once; repeated: {', '.join(map(str, repeated))}")


def _check_prompts(prompts: PromptParams, key: str) -> None:
    _require(prompts.source in PROMPT_SOURCES, f"{key}.source", prompts.source, _one_of(PROMPT_SOURCES))
    for name in ("limit", "per_category"):
        value = getattr(prompts, name)
        _require(value is None or value >= 1, f"{key}.{name}", value, "null or a whole number of at least 1")
    shuffle_seed = prompts.shuffle_seed
    allowed = "null or a whole number of at least 0"
    _require(shuffle_seed is None or shuffle_seed >= 0, f"{key}.shuffle_seed", shuffle_seed, allowed)
    _check_prompt_file(prompts, key)


def _check_prompt_file(prompts: PromptParams, key: str) -> None:
    builtin, table = prompts.source == "builtin", prompts.source == "table"
    for name in ("path", "url", "sha256"):
        value = getattr(prompts, name)
        _require(value is None or not builtin, f"{key}.{name}", value, "null for source builtin, a file of the project")
        _require(value is None or bool(value.strip()), f"{key}.{name}", value, "null or a text that is not empty")
    _require(not (prompts.path and prompts.url), f"{key}.url", prompts.url, "null beside a path: give one of the two")
    _require(
        not table or bool(prompts.path or prompts.url),
        f"{key}.path",
        prompts.path,
        "a file for source table",
    )
    good_url = prompts.url is None or URL_PATTERN.fullmatch(prompts.url) is not None
    _require(good_url, f"{key}.url", prompts.url, "null or an http(s) address")
    good_digest = prompts.sha256 is None or SHA256_PATTERN.fullmatch(prompts.sha256) is not None
    _require(good_digest, f"{key}.sha256", prompts.sha256, "null or 64 hexadecimal digits, lower case")
    allowed = ("prompt", "category", "source", "id")
    for name, column in prompts.columns.items():
        _require(table, f"{key}.columns", prompts.columns, f"{{}} for source {prompts.source}, whose columns are known")
        _require(name in allowed, f"{key}.columns.{name}", column, f"a key that is {_one_of(allowed)}")
    _require(not table or "prompt" in prompts.columns, f"{key}.columns", prompts.columns, "at least `prompt: <column>`")


def _check_interventions(interventions: Mapping[str, InterventionParams], key: str) -> None:
    _require(bool(interventions), key, "{}", f"at least one, e.g. `{NO_INTERVENTION}: {{}}`")
    for name, intervention in interventions.items():
        _check_name(name, f"{key}.{name}")
        empty = intervention.system is None and not intervention.turns
        if name == NO_INTERVENTION:
            _require(empty, f"{key}.{name}", "a system prompt or turns", f"nothing: `{NO_INTERVENTION}` is the control")
        else:
            _require(not empty, f"{key}.{name}", "{}", "a `system` text, `turns`, or both")
        for position, turn in enumerate(intervention.turns):
            where = f"{key}.{name}.turns[{position}].role"
            _require(turn.role in ROLES, where, turn.role, _one_of(ROLES))
            _require(turn.role == ROLES[position % 2], where, turn.role, "user and assistant in turn, user first")
        _require(len(intervention.turns) % 2 == 0, f"{key}.{name}.turns", "an odd number", "pairs of user, assistant")


def _check_sampling(sampling: SamplingParams, key: str) -> None:
    _check_unique(sampling.temperatures, f"{key}.temperatures")
    _check_unique(sampling.seeds, f"{key}.seeds")
    for temperature in sampling.temperatures:
        _require(
            math.copysign(1, temperature) > 0 and temperature <= 5,
            f"{key}.temperatures",
            temperature,
            "numbers from 0 to 5",
        )
    for seed in sampling.seeds:
        _require(0 <= seed < 2**63, f"{key}.seeds", seed, "whole numbers from 0 to 2^63 - 1")
    _require(0 < sampling.top_p <= 1, f"{key}.top_p", sampling.top_p, "a number over 0 and at most 1")
    _require(sampling.top_k >= 0, f"{key}.top_k", sampling.top_k, "0 (off) or a whole number of at least 1")
    _require(sampling.max_tokens >= 1, f"{key}.max_tokens", sampling.max_tokens, "a whole number of at least 1")


def _check_model(model: ModelParams, key: str) -> None:
    _require(model.engine in ENGINE_SETTINGS, f"{key}.engine", model.engine, _one_of(ENGINE_SETTINGS))
    _require(bool(model.path), f"{key}.path", model.path, "a folder or a Hugging Face model id")
    settings = engine_settings(model, key)
    if isinstance(settings, TransformersSettings):
        _require(settings.dtype in DTYPES, f"{key}.settings.dtype", settings.dtype, _one_of(DTYPES))
        _require(settings.batch_size >= 1, f"{key}.settings.batch_size", settings.batch_size, "at least 1")
    if isinstance(settings, OpenAISettings):
        _check_openai(settings, f"{key}.settings")
    if isinstance(settings, VLLMSettings):
        _check_vllm(settings, f"{key}.settings")
    if isinstance(settings, RecordedSettings):
        _check_recorded(settings, f"{key}.settings")


def _check_vllm(settings: VLLMSettings, key: str) -> None:
    _require(settings.cpu_kvcache_gib >= 1, f"{key}.cpu_kvcache_gib", settings.cpu_kvcache_gib, "at least 1 (GiB)")
    elsewhere = {
        "model": "the model's `path`",
        "revision": "the model's own `revision`",
        "trust_remote_code": "the model's own `trust_remote_code`",
        "seed": "sampling.seeds: every request has a seed of its own",
        "hf_token": "the environment variable HF_TOKEN: a secret is no parameter",
        "arguments": "vLLM's arguments stand in settings themselves",
    }
    for name, place in elsewhere.items():
        _require(name not in settings.arguments, f"{key}.{name}", "(not shown)", f"nothing here; its place: {place}")


def _check_recorded(settings: RecordedSettings, key: str) -> None:
    _require(settings.layout in RECORDED_LAYOUTS, f"{key}.layout", settings.layout, _one_of(RECORDED_LAYOUTS))
    named = re.fullmatch(r"[^/\\]+", settings.name) is not None or settings.labels_only
    _require(named, f"{key}.name", settings.name, "the model's name in the source's file names")
    for name, column in settings.columns.items():
        _require(
            name in RECORDED_COLUMNS, f"{key}.columns.{name}", column, f"a key that is {_one_of(RECORDED_COLUMNS)}"
        )
    for pattern in settings.missing:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ParamsError(f"{key}.missing: {pattern!r} is not a regular expression: {error}") from error


def _check_openai(settings: OpenAISettings, key: str) -> None:
    address = re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", settings.base_url)
    shown = "(not shown)" if "@" in settings.base_url else settings.base_url
    _require(address is not None, f"{key}.base_url", shown, "http(s)://host[:port]/path, no key in it")
    variable = settings.api_key_env
    named = variable is None or re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable) is not None
    # The value may be a key pasted in the wrong place: it is not repeated.
    _require(named, f"{key}.api_key_env", "(not shown)", "the name (capitals) of an environment variable")
    _require(settings.concurrency >= 1, f"{key}.concurrency", settings.concurrency, "at least 1")
    _require(settings.max_retries >= 0, f"{key}.max_retries", settings.max_retries, "at least 0")
    _require(settings.timeout_s > 0, f"{key}.timeout_s", settings.timeout_s, "seconds, over 0")
    for name in ("requests_per_minute", "max_requests", "max_total_tokens"):
        value = getattr(settings, name)
        _require(value is None or value > 0, f"{key}.{name}", value, "null (no limit) or a number over 0")
    for name in ("price_in", "price_out"):
        value = getattr(settings, name)
        _require(value is None or value >= 0, f"{key}.{name}", value, "null or a price per million tokens")
    _require(settings.structured in STRUCTURED, f"{key}.structured", settings.structured, _one_of(STRUCTURED))
    fallbacks = (*STRUCTURED[1:], "none")
    _require(
        settings.structured_fallback in fallbacks,
        f"{key}.structured_fallback",
        settings.structured_fallback,
        _one_of(fallbacks),
    )


def _check_judging(judging: JudgingParams, key: str, models: list[str]) -> None:
    _require(bool(judging.judges), f"{key}.judges", "{}", "at least one judge")
    for name, judge in judging.judges.items():
        where = f"{key}.judges.{name}"
        _check_name(name, where)
        _require(name not in NO_JUDGE_NAMES, where, name, f"a name other than {', '.join(NO_JUDGE_NAMES)}")
        _check_judge(judge, where)
        _require(
            (judge.kind == MAJORITY) == (name == MAJORITY), where, judge.kind, "kind `majority` under that name only"
        )
        settings = judge_settings(judge, where)
        if isinstance(settings, RecordedLabelSettings):
            _check_recorded_labels(settings, f"{where}.settings", models)
        if isinstance(settings, TrainedJudgeSettings):
            _check_trained(settings, f"{where}.settings", name, judging)
    panel = [name for name, judge in judging.judges.items() if not judge.on_call and name != MAJORITY]
    _require(bool(panel), f"{key}.judges", list(judging.judges), "at least one judge that is not on call")
    allowed = [*panel, MAJORITY]
    _require(judging.primary in allowed, f"{key}.primary", judging.primary, _one_of(allowed))
    _require(0 <= judging.max_missing <= 1, f"{key}.max_missing", judging.max_missing, "a share from 0 to 1")
    called = {judge.settings.get("escalate_to") for judge in judging.judges.values()}
    for name, judge in judging.judges.items():
        _require(
            not judge.on_call or name in called,
            f"{key}.judges.{name}.on_call",
            "true",
            "false, or this judge's name as some trained judge's settings.escalate_to: nobody calls it",
        )


def _check_judge(judge: JudgeParams, key: str) -> None:
    _require(judge.kind in JUDGE_KINDS, f"{key}.kind", judge.kind, _one_of(JUDGE_KINDS))
    _require(judge.repeats >= 1, f"{key}.repeats", judge.repeats, "a whole number of at least 1")
    _require(judge.max_tokens >= 1, f"{key}.max_tokens", judge.max_tokens, "a whole number of at least 1")
    _require(0 <= judge.temperature <= 5, f"{key}.temperature", judge.temperature, "a number from 0 to 5")
    if judge.kind == "model":
        if judge.model is None:
            raise ParamsError(f"{key}.model: required for kind `model`: give its engine and path")
        _check_model(judge.model, f"{key}.model")
    else:
        _require(judge.model is None, f"{key}.model", "a model", f"null for kind `{judge.kind}`, which asks no model")
    noticed = f"under {', '.join(WATCHED_FOR_JUDGES)}: DVC notices no change of a file elsewhere"
    named = NAME_PATTERN.fullmatch(judge.rubric) is not None
    _require(
        named or watched(judge.rubric), f"{key}.rubric", judge.rubric, f"a built-in rubric's name, or a file {noticed}"
    )
    if judge.kind == "trained" and judge.path:
        _require(watched(judge.path), f"{key}.path", judge.path, f"a file {noticed}")
    if judge.kind in JUDGE_SETTINGS:
        _require(bool(judge.path), f"{key}.path", judge.path, f"the file or folder of a judge of kind `{judge.kind}`")
    else:
        _require(judge.path is None, f"{key}.path", judge.path, f"null for kind `{judge.kind}`, which reads no file")
    if judge.kind == MAJORITY:
        _require(judge.repeats == 1, f"{key}.repeats", judge.repeats, "1: the panel's majority is taken once")
        _require(not judge.on_call, f"{key}.on_call", judge.on_call, "false: the majority is taken of every response")


def _check_recorded_labels(settings: RecordedLabelSettings, key: str, models: list[str]) -> None:
    _require(
        settings.layout in RECORDED_LABEL_LAYOUTS, f"{key}.layout", settings.layout, _one_of(RECORDED_LABEL_LAYOUTS)
    )
    _require(bool(settings.models), f"{key}.models", "{}", "our model name -> the model's name at the source")
    for ours, theirs in settings.models.items():
        _require(ours in models, f"{key}.models.{ours}", theirs, f"a key that is {_one_of(models)}")
        named = bool(theirs) and (settings.layout == "table" or re.fullmatch(r"[^/\\]+", theirs) is not None)
        _require(named, f"{key}.models.{ours}", theirs, "the model's name at the source")
    for name, column in settings.columns.items():
        allowed = f"a key that is {_one_of(RECORDED_LABEL_COLUMNS)}"
        _require(name in RECORDED_LABEL_COLUMNS, f"{key}.columns.{name}", column, allowed)
    of_table = settings.layout == "table"
    _require(not settings.files or of_table, f"{key}.files", settings.files, "[] unless the layout is `table`")


def _check_trained(settings: TrainedJudgeSettings, key: str, name: str, judging: JudgingParams) -> None:
    below, other = settings.escalate_below, settings.escalate_to
    _require(0 <= below <= 1, f"{key}.escalate_below", below, "a probability from 0 (never) to 1")
    _require(
        (below > 0) == (other is not None), f"{key}.escalate_to", other, "a judge exactly if escalate_below is over 0"
    )
    if other is not None:
        others = [n for n, j in judging.judges.items() if n != name and j.kind not in (MAJORITY, "trained")]
        _require(other in others, f"{key}.escalate_to", other, _one_of(others))
        repeats, theirs = judging.judges[name].repeats, judging.judges[other].repeats
        _require(repeats == theirs, f"{key}.escalate_to", other, f"a judge of {repeats} repeats, as this judge has")


def _check_metrics(metrics: MetricsParams, key: str) -> None:
    for name, values in (("threshold", [metrics.threshold]), ("thresholds", metrics.thresholds)):
        for value in values:
            _require(1 / 3 < value <= 1, f"{key}.{name}", value, "a number over 1/3 and at most 1")
    _check_unique(metrics.thresholds, f"{key}.thresholds")
    _require(0 < metrics.confidence < 1, f"{key}.confidence", metrics.confidence, "a number between 0 and 1")
    _require(metrics.n_resamples >= 100, f"{key}.n_resamples", metrics.n_resamples, "at least 100")
    _require(metrics.seed >= 0, f"{key}.seed", metrics.seed, "a whole number of at least 0")


def _check_reference(reference: ReferenceModelParams, key: str) -> None:
    _require(reference.task in ("chat", "judge"), f"{key}.task", reference.task, "one of chat, judge")
    profiles = ("steady", "wavering")
    _require(reference.profile in profiles, f"{key}.profile", reference.profile, _one_of(profiles))
    for name in ("samples_per_prompt", "batch_size", "hidden_size", "layers", "heads"):
        _require(getattr(reference, name) >= 1, f"{key}.{name}", getattr(reference, name), "at least 1")
    samples, vocabulary = reference.samples_per_prompt, reference.vocabulary
    _require(
        samples % 20 == 0, f"{key}.samples_per_prompt", samples, "multiples of 20: shares are planted in twentieths"
    )
    _require(
        vocabulary >= 320 and vocabulary % 64 == 0,
        f"{key}.vocabulary",
        vocabulary,
        "multiples of 64, from 320 (256 bytes)",
    )
    _require(0 < reference.learning_rate < 1, f"{key}.learning_rate", reference.learning_rate, "a number from 0 to 1")
    _require(reference.seed >= 0, f"{key}.seed", reference.seed, "a whole number of at least 0")
    _require(
        reference.hidden_size % (2 * reference.heads) == 0,
        f"{key}.hidden_size",
        reference.hidden_size,
        "a multiple of twice the number of heads",
    )
