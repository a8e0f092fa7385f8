"""The whole of `params.yaml`, with the grid and the interventions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from refusal_stability.params.checks import check_name, check_unique, one_of, require
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.judges import JudgingParams
from refusal_stability.params.metrics import MetricsParams
from refusal_stability.params.prompts import PromptParams
from refusal_stability.params.reference_models import ReferenceModelParams
from refusal_stability.records import (
    NO_INTERVENTION,
    Condition,
    Intervention,
    Message,
    Request,
    Sampling,
    sampler_stream,
)

ROLES = ("user", "assistant")


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


def check_interventions(interventions: Mapping[str, InterventionParams], key: str) -> None:
    require(bool(interventions), key, "{}", f"at least one, e.g. `{NO_INTERVENTION}: {{}}`")
    for name, intervention in interventions.items():
        check_name(name, f"{key}.{name}")
        empty = intervention.system is None and not intervention.turns
        if name == NO_INTERVENTION:
            require(empty, f"{key}.{name}", "a system prompt or turns", f"nothing: `{NO_INTERVENTION}` is the control")
        else:
            require(not empty, f"{key}.{name}", "{}", "a `system` text, `turns`, or both")
        for position, turn in enumerate(intervention.turns):
            where = f"{key}.{name}.turns[{position}].role"
            require(turn.role in ROLES, where, turn.role, one_of(ROLES))
            require(turn.role == ROLES[position % 2], where, turn.role, "user and assistant in turn, user first")
        require(len(intervention.turns) % 2 == 0, f"{key}.{name}.turns", "an odd number", "pairs of user, assistant")


def check_sampling(sampling: SamplingParams, key: str) -> None:
    check_unique(sampling.temperatures, f"{key}.temperatures")
    check_unique(sampling.seeds, f"{key}.seeds")
    for temperature in sampling.temperatures:
        require(
            math.copysign(1, temperature) > 0 and temperature <= 5,
            f"{key}.temperatures",
            temperature,
            "numbers from 0 to 5",
        )
    for seed in sampling.seeds:
        require(0 <= seed < 2**63, f"{key}.seeds", seed, "whole numbers from 0 to 2^63 - 1")
    require(0 < sampling.top_p <= 1, f"{key}.top_p", sampling.top_p, "a number over 0 and at most 1")
    require(sampling.top_k >= 0, f"{key}.top_k", sampling.top_k, "0 (off) or a whole number of at least 1")
    require(sampling.max_tokens >= 1, f"{key}.max_tokens", sampling.max_tokens, "a whole number of at least 1")
