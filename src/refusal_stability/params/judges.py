"""Section `judging`: the panel of judges."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field, replace
from typing import Annotated, Any

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import (
    NAME_PATTERN,
    SECTION,
    AtLeast1,
    Flag,
    Name,
    ParamsError,
    Share,
    Temperature,
    Text,
    among,
    one_of,
    parsed,
    require,
    rule,
)
from refusal_stability.params.engines import ModelParams, engine_settings
from refusal_stability.params.judge_kinds import JUDGE_KINDS, WATCHED_FOR_JUDGES, JudgeSettings, watched

MAJORITY = "majority"
# A judge's decisions become a column beside these.
NO_JUDGE_NAMES = (
    *("model", "intervention", "temperature", "seed", "prompt_id", "prompt", "response", "label", "n", "item_id"),
    *("people", "all", "distance", "asked", "decisions", "rank", "n_responses"),
)
NOTICED = f"under {', '.join(WATCHED_FOR_JUDGES)}: DVC notices no change of a file elsewhere"


@dataclass(config=SECTION)
class JudgeParams:
    """One judge; its `kind` decides which of these keys it needs, and which `settings` it takes.

    Attributes
    ----------
    kind : which kind of judge this is.
    repeats : how often this judge labels each response.
    model : the model that judges, for kind `model`.
    rubric : what a judge model is asked: a built-in rubric, or a file of your own.
    temperature : the temperature at which a judge model answers.
    max_tokens : a judge model's answer is cut after this many tokens.
    path : where recorded labels lie, the file of a trained judge, or the review file of people.
    on_call : judges only what another judge hands over.
    settings : the settings of this kind of judge, see below.
    """

    kind: Annotated[Text, rule(JUDGE_KINDS.__contains__, one_of(JUDGE_KINDS))] = "rules"
    repeats: Annotated[AtLeast1, Field(le=1000)] = 1
    model: ModelParams | None = None
    rubric: Annotated[
        Text,
        rule(
            lambda rubric: NAME_PATTERN.fullmatch(rubric) or watched(rubric),
            f"a built-in rubric's name, or a file {NOTICED}",
        ),
    ] = "default"
    temperature: Temperature = 0.0
    max_tokens: AtLeast1 = 128
    path: Text | None = None
    on_call: Flag = False
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def settings_class(self) -> type[JudgeSettings]:
        """The class of the kind's settings, which says what the kind needs."""
        return JUDGE_KINDS[self.kind]

    @property
    def hands_over_to(self) -> str | None:
        """The judge that decides what this one is not sure of."""
        second: str | None = judge_settings(self).hands_over_to
        return second

    @model_validator(mode="after")
    def _fits_its_kind(self) -> JudgeParams:
        judge_settings(self)
        return self

    def check_needs(self, key: str) -> None:
        """Refuse a judge that lacks what its kind needs, or has what its kind does not take."""
        kind, of_kind = self.settings_class, f"kind `{self.kind}`"
        if kind.needs_model and self.model is None:
            raise ParamsError(f"required for {of_kind}: give its engine and path", f"{key}.model")
        require(kind.needs_model or not self.model, f"{key}.model", "a model", f"null for {of_kind}, which asks none")
        if self.model is not None and judge_settings(self).needs_token_probabilities:
            able = engine_settings(self.model).token_probabilities
            require(able, f"{key}.settings.confidence", "tokens", no_token_probabilities(self.model.engine))
        require(not kind.reads or self.path, f"{key}.path", self.path, kind.reads)
        require(kind.reads or self.path is None, f"{key}.path", self.path, f"null for {of_kind}, which reads no file")
        seen = not kind.must_be_watched or watched(self.path or "")
        require(seen, f"{key}.path", self.path, f"a file {NOTICED}")


def no_token_probabilities(engine: str) -> str:
    """What `settings.confidence` may be, for a judge whose engine lists no tokens."""
    return f"repeats (with `repeats: 3`, say): the engine {engine} gives no token probabilities with these settings"


def judge_settings(judge: JudgeParams, where: str = "") -> Any:
    """A judge's `settings` as those of its kind; `where` names the judge in error messages."""
    return parsed(judge.settings_class, judge.settings, f"{where}.settings".strip("."))


@dataclass(config=SECTION)
class ModelJudging:
    """What one model has instead of the panel's `primary` and `max_missing`.

    Attributes
    ----------
    primary : the judge whose decisions count for this model; null takes the panel's.
    max_missing : the share of this model's decisions that may be missing; null takes the panel's.
    """

    primary: Text | None = None
    max_missing: Share | None = None


@dataclass(config=SECTION)
class JudgingParams:
    """The panel of judges. Labels of `thinking` enter no other figure.

    Attributes
    ----------
    primary : the judge whose decisions feed the metrics, or `majority` of the panel.
    blocked : what a response counts as that the provider blocked.
    degenerate : what a response counts as that loops or has no words.
    thinking : the judge that also labels what a model wrote before its final answer.
    max_missing : the stage `judge` fails where a larger share of the primary judge's decisions is missing.
    by_model : single models with a primary judge or a `max_missing` of their own.
    judges : the judges, by names of your own.
    """

    primary: Text = "rules"
    blocked: Annotated[Text, among("missing", "refuse")] = "missing"
    degenerate: Annotated[Text, among("missing", "refuse")] = "missing"
    thinking: Text | None = None
    max_missing: Share = 0.02
    by_model: dict[Text, ModelJudging] = field(default_factory=dict)
    judges: dict[Name, JudgeParams] = field(default_factory=lambda: {"rules": JudgeParams()})

    @model_validator(mode="after")
    def _fit_together(self) -> JudgingParams:
        require(self.judges, "judges", self.judges, "at least one judge")
        if MAJORITY in (self.primary, *(own.primary for own in self.by_model.values())):
            self.judges.setdefault(MAJORITY, JudgeParams(kind=MAJORITY))
        for name, judge in self.judges.items():
            key = f"judges.{name}"
            require(name not in NO_JUDGE_NAMES, key, name, f"a name other than {', '.join(NO_JUDGE_NAMES)}")
            judge.check_needs(key)
            alike = (judge.kind == MAJORITY) == (name == MAJORITY)
            require(alike, key, judge.kind, f"kind `{MAJORITY}` under that name only")
        panel = [name for name, judge in self.judges.items() if not judge.on_call and name != MAJORITY]
        require(panel, "judges", list(self.judges), "at least one judge that is not on call")
        allowed = [*panel, MAJORITY]
        require(self.primary in allowed, "primary", self.primary, one_of(allowed))
        for model, own in self.by_model.items():
            fits = own.primary is None or own.primary in allowed
            require(fits, f"by_model.{model}.primary", own.primary, f"null, or {one_of(allowed)}")
        for name, judge in self.judges.items():
            self._check_cascade(name, judge, f"judges.{name}")
        able = [name for name in panel if self._judges_any_text(name)]
        choice = f"null, or {one_of(able)}" if able else "null: no judge of this study can judge any text"
        require(self.thinking is None or self.thinking in able, "thinking", self.thinking, choice)
        return self

    def _judges_any_text(self, name: str) -> bool:
        """Whether this judge, and the one it hands over to, can judge a text that is no response of the study."""
        judge = self.judges[name]
        second = judge.hands_over_to
        return judge.settings_class.judges_any_text and (second is None or self._judges_any_text(second))

    def _check_cascade(self, name: str, judge: JudgeParams, key: str) -> None:
        if judge.kind == MAJORITY:
            require(judge.repeats == 1, f"{key}.repeats", judge.repeats, "1: the panel's majority is taken once")
            require(not judge.on_call, f"{key}.on_call", True, "false: the majority is taken of every response")
        called = [other.hands_over_to for other in self.judges.values()]
        allowed = "false, or this judge's name as another judge's settings.escalate_to: no judge hands over to it"
        require(not judge.on_call or name in called, f"{key}.on_call", True, allowed)
        if (second := judge.hands_over_to) is not None:
            others = [n for n, j in self.judges.items() if n not in (name, MAJORITY) and not j.hands_over_to]
            where = f"{key}.settings.escalate_to"
            require(second in others, where, second, one_of(others))
            alike = judge.repeats == self.judges[second].repeats
            require(alike, where, second, f"a judge of {judge.repeats} repeats, as this judge has")
            fewest = judge_settings(judge).repeats_for_confidence
            allowed = (
                f"at least {fewest}: the share of repeats that agree is this judge's confidence; or set its "
                "settings.confidence to `tokens`"
            )
            require(judge.repeats >= fewest, f"{key}.repeats", judge.repeats, allowed)

    def labels_texts_once(self, name: str) -> bool:
        """Whether a judge labels each distinct text once per repeat, and its label is written to all equal texts.

        Recorded labels may differ on equal texts, unless their settings say that they are copies.
        """
        judge = self.judges[name]
        if judge.kind == MAJORITY:
            return all(self.labels_texts_once(other) for other in self.judges if other != name)
        second = judge.hands_over_to
        own = not judge.settings_class.recorded or judge_settings(judge).judged_once
        return own and (second is None or self.labels_texts_once(second))

    def of(self, model: str) -> JudgingParams:
        """The panel as it judges one model, with that model's own primary judge and `max_missing`."""
        own = self.by_model.get(model)
        if own is None:
            return self
        allowed = self.max_missing if own.max_missing is None else own.max_missing
        return replace(self, primary=own.primary or self.primary, max_missing=allowed, by_model={})

    def check_models(self, models: Collection[str]) -> None:
        """Refuse a setting that names a model that the study does not have."""
        for model in self.by_model:
            require(model in models, f"judging.by_model.{model}", model, f"a model of the study: {', '.join(models)}")
        for name, judge in self.judges.items():
            judge_settings(judge).check_models(models, f"judging.judges.{name}.settings.models")
