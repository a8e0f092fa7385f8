"""The whole of `params.yaml`, with the grid and the interventions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Annotated

from pydantic import AfterValidator, model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.adaptive import ChosenRule
from refusal_stability.params.checks import (
    SECTION,
    AtLeast0,
    AtLeast1,
    EachOnce,
    Name,
    Number,
    Temperature,
    Text,
    Whole,
    among,
    require,
    rule,
)
from refusal_stability.params.engines import ModelParams, engine_settings
from refusal_stability.params.engines.settings import EngineSettings
from refusal_stability.params.judges import JudgingParams
from refusal_stability.params.metrics import MetricsParams
from refusal_stability.params.prompts import PromptParams
from refusal_stability.params.reference_models import ReferenceModelParams
from refusal_stability.records import (
    NO_INTERVENTION,
    Condition,
    Intervention,
    Message,
    Prompt,
    Request,
    Sampling,
    sampler_stream,
)

ROLES = ("user", "assistant")
Seed = Annotated[Whole, rule(lambda seed: 0 <= seed < 2**63, "a whole number from 0 to 2^63 - 1")]


@dataclass(config=SECTION)
class TurnParams:
    """One few-shot turn.

    Attributes
    ----------
    role : who speaks in this turn.
    content : the turn's text, word for word.
    """

    role: Annotated[Text, among(*ROLES)]
    content: Text


def _in_turn(turns: list[TurnParams]) -> list[TurnParams]:
    for position, turn in enumerate(turns):
        alternates = turn.role == ROLES[position % 2]
        require(alternates, f"[{position}].role", turn.role, "user and assistant in turn, user first")
    require(len(turns) % 2 == 0, "", f"{len(turns)} turns", "pairs of user, assistant")
    return turns


@dataclass(config=SECTION)
class InterventionParams:
    """What precedes the prompt.

    Attributes
    ----------
    system : the system text that is sent before the prompt.
    turns : example turns of user and assistant that are sent before the prompt.
    """

    system: Text | None = None
    turns: Annotated[list[TurnParams], AfterValidator(_in_turn)] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing precedes the prompt."""
        return self.system is None and not self.turns


def _with_control(interventions: dict[str, InterventionParams]) -> dict[str, InterventionParams]:
    """No intervention at all means the control; every other intervention must be one."""
    for name, intervention in interventions.items():
        if name == NO_INTERVENTION:
            allowed = f"nothing: `{NO_INTERVENTION}` is the control"
            require(intervention.is_empty, name, "a system prompt or turns", allowed)
        else:
            require(not intervention.is_empty, name, {}, "a `system` text, `turns`, or both")
    return interventions or {NO_INTERVENTION: InterventionParams()}


@dataclass(config=SECTION)
class SamplingParams:
    """The grid, and how each token is drawn. With `adaptive`, prompts are sampled by rounds and stop early.

    Attributes
    ----------
    temperatures : each prompt is asked at every one of these temperatures.
    seeds : each prompt is asked with every one of these seeds, at each temperature.
    top_p : tokens are drawn from the likeliest ones that together have this probability.
    top_k : tokens are drawn from this many of the likeliest ones, or from all with 0.
    max_tokens : an answer is cut after this many tokens.
    adaptive : the rule by which a prompt stops early, and how that rule is used.
    """

    temperatures: Annotated[list[Temperature], EachOnce] = field(default_factory=lambda: [0.0, 0.3, 0.7, 1.0])
    seeds: Annotated[list[Seed], EachOnce] = field(default_factory=lambda: [42, 43, 44, 45, 46])
    top_p: Annotated[Number, rule(lambda p: 0 < p <= 1, "a number over 0 and at most 1")] = 1.0
    top_k: AtLeast0 = 0
    max_tokens: AtLeast1 = 512
    adaptive: ChosenRule = field(default_factory=dict)


@dataclass(config=SECTION)
class FileParams:
    """How the study's files are written.

    Attributes
    ----------
    parquet_above_mb : a generation file whose texts take more than this many MB is Parquet instead of CSV.
    """

    parquet_above_mb: AtLeast0 = 100


@dataclass(config=SECTION)
class StudyParams:
    """The whole of `params.yaml`. Only `study` and `models` have no defaults.

    Attributes
    ----------
    study : the study's name, which the report and the runs in MLflow show.
    prompts : which prompts are asked.
    interventions : what precedes each prompt; `none` is the control.
    sampling : the temperatures and seeds, and how tokens are drawn.
    models : the models that are asked, by names of your own.
    judging : the judges that label the responses.
    metrics : thresholds and intervals of the figures.
    reference_models : the embedded models that are trained to check the pipeline.
    files : how the study's files are written.
    """

    study: Name
    prompts: PromptParams = field(default_factory=PromptParams)
    interventions: Annotated[dict[Name, InterventionParams], AfterValidator(_with_control)] = field(
        default_factory=lambda: {NO_INTERVENTION: InterventionParams()}
    )
    sampling: SamplingParams = field(default_factory=SamplingParams)
    models: dict[Name, ModelParams] = field(default_factory=dict)
    judging: JudgingParams = field(default_factory=JudgingParams)
    metrics: MetricsParams = field(default_factory=MetricsParams)
    reference_models: dict[Name, ReferenceModelParams] = field(default_factory=dict)
    files: FileParams = field(default_factory=FileParams)

    @model_validator(mode="after")
    def _judges_know_the_models(self) -> StudyParams:
        if self.models:
            self.judging.check_models(self.models)
        return self

    @model_validator(mode="after")
    def _rounds_have_something_to_decide(self) -> StudyParams:
        if self.sampling.adaptive:
            threshold, grid = self.metrics.threshold, len(self.sampling.temperatures) * len(self.sampling.seeds)
            require(threshold > 0.5, "metrics.threshold", threshold, "with sampling.adaptive, a number over 0.5")
            allowed = "with sampling.adaptive, several temperatures or seeds"
            require(grid > 1, "sampling.seeds", self.sampling.seeds, allowed)
        return self

    @model_validator(mode="after")
    def _turns_before_the_prompt_are_sampled(self) -> StudyParams:
        """A model whose responses stand for bare prompts is refused where an intervention adds turns."""
        few_shot = [name for name, chosen in self.interventions.items() if chosen.turns]
        for name, model in self.models.items() if few_shot else ():
            fits = engine_settings(model).answers_interventions
            why = f"recorded responses stand for bare prompts, and interventions.{few_shot[0]} adds turns"
            require(fits, f"models.{name}.engine", model.engine, f"an engine that samples: {why}")
        return self

    def engines(self) -> Iterator[type[EngineSettings]]:
        """The settings' class of every model's engine, judge models included."""
        judges = (judge.model for judge in self.judging.judges.values())
        return (model.settings_class for model in (*self.models.values(), *judges) if model is not None)

    def shown_name(self, model: str) -> str:
        """A model as figures and tables name it; with its primary judge where the study has several."""
        name = self.models[model].label or model
        primary = {other: self.judging.of(other).primary for other in self.models}
        return name if len(set(primary.values())) == 1 else f"{name} ({primary[model]})"

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

    def requests(self, model: str, prompts: Iterable[Prompt]) -> Iterator[tuple[Condition, Request]]:
        """Every (configuration, request) of one model; a prompt's requests lie side by side, to share its prefix."""
        conditions = list(self.conditions(model))
        interventions = [self.intervention(name) for name in self.interventions]
        chosen = self.sampling
        for prompt in prompts:
            conversations = {intervention.name: intervention.messages(prompt) for intervention in interventions}
            for condition in conditions:
                messages = conversations[condition.intervention]
                temperature, seed = condition.temperature, condition.seed
                stream = sampler_stream(messages, temperature, seed)
                sampling = Sampling(temperature, seed, stream, chosen.top_p, chosen.top_k, chosen.max_tokens)
                yield condition, Request(messages, sampling)
