"""What each kind of judge needs, and the settings that it takes."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, Flag, Share, Text, among, one_of, require

JUDGE_KINDS: dict[str, type[JudgeSettings]] = {}
# What the stage `judge` depends on: DVC notices when a file in these changes.
WATCHED_FOR_JUDGES = ("data/raw", "models/judges", "data/published")
RECORDED_LABEL_COLUMNS = (
    "prompt_id", "prompt", "response", "model", "intervention", "temperature", "seed",
    "judge", "repeat", "label", "reasoning", "missing_reason", "confidence",
)  # fmt: skip
FILE_NAME = re.compile(r"[^/\\]+")


def watched(path: str) -> bool:
    """Whether DVC notices when a judge's file of this path changes."""
    place = Path(os.path.normpath(Path.cwd() / path))
    return any(place.is_relative_to(Path.cwd() / folder) for folder in WATCHED_FOR_JUDGES)


@dataclass(config=SECTION)
class JudgeSettings:
    """The settings of a kind of judge, and what else that kind needs; a kind overrides what differs.

    A subclass registers itself under the name that `kind:` takes: `class Mine(JudgeSettings, kind="mine")`.

    Attributes
    ----------
    needs_model : whether it asks a model; any other kind takes none.
    reads : what its `path` names; empty for a kind that reads no file.
    must_be_watched : whether `path` must lie where DVC notices a change.
    languages : those that it reads; empty where it reads any, or nobody knows.
    judges_any_text : whether it can judge a response that is not of the study.
    recorded : whether its labels exist already, so that equal texts may have unequal ones.
    """

    kind: ClassVar[str]
    needs_model: ClassVar[bool] = False
    reads: ClassVar[str] = ""
    must_be_watched: ClassVar[bool] = False
    languages: ClassVar[tuple[str, ...]] = ()
    judges_any_text: ClassVar[bool] = True
    recorded: ClassVar[bool] = False

    def __init_subclass__(cls, kind: str = "") -> None:
        if kind:
            cls.kind = kind
            JUDGE_KINDS[kind] = cls

    @property
    def repeats_for_confidence(self) -> int:
        """How many repeats it takes to give a confidence."""
        return 1

    @property
    def needs_token_probabilities(self) -> bool:
        """Whether its model's engine must give them."""
        return False

    @property
    def hands_over_to(self) -> str | None:
        """The judge that decides what this one is not sure of."""
        return None

    def check_models(self, models: Collection[str], key: str) -> None:
        """Refuse settings that name a model that the study does not have; `key` is where they do so."""


@dataclass(config=SECTION)
class ConfidentJudgeSettings(JudgeSettings):
    """What any judge that gives a confidence takes.

    Attributes
    ----------
    escalate_below : a label with less confidence than this is handed over to another judge.
    escalate_to : the judge that decides what is handed over.
    """

    escalate_below: Share = 0.0
    escalate_to: Text | None = None

    @property
    def hands_over_to(self) -> str | None:
        """The second judge of the cascade."""
        return self.escalate_to

    @model_validator(mode="after")
    def _both_or_none(self) -> ConfidentJudgeSettings:
        both = (self.escalate_below > 0) == (self.escalate_to is not None)
        require(both, "escalate_to", self.escalate_to, "a judge exactly if escalate_below is over 0")
        return self


@dataclass(config=SECTION)
class RuleJudgeSettings(ConfidentJudgeSettings, kind="rules"):
    """The rules give a confidence with each label, so they can hand over to another judge."""

    languages: ClassVar = ("en",)


@dataclass(config=SECTION)
class ModelJudgeSettings(ConfidentJudgeSettings, kind="model"):
    """How the answer of a judge model is read, and where its confidence comes from.

    Attributes
    ----------
    prose : accepts a verdict with prose around its one JSON object.
    confidence : the share of its repeats that agree (`repeats`), or the probability of the label (`tokens`).
    """

    needs_model: ClassVar = True

    prose: Flag = True
    confidence: Annotated[Text, among("repeats", "tokens")] = "repeats"

    @property
    def needs_token_probabilities(self) -> bool:
        """Its confidence comes from them where the study says so."""
        return self.confidence == "tokens"

    @property
    def repeats_for_confidence(self) -> int:
        """One verdict says nothing of how steady the judge is."""
        return 1 if self.confidence == "tokens" else 2


@dataclass(config=SECTION)
class RecordedLabelSettings(JudgeSettings, kind="recorded"):
    """Where recorded labels lie, and what the source calls things.

    Attributes
    ----------
    layout : how the files are laid out: as this project's, as the published study's, or as tables.
    files : the tables of layout `table`, under the judge's `path`.
    judge : the judge whose labels are taken, where the tables hold several.
    models : maps our model names to the source's, in its file names or its model column.
    columns : maps our column names to the source's.
    constants : one value for each column that the source lacks.
    labels : maps the source's labels to decisions.
    missing : the source's labels that mean that there is no decision.
    judged_once : says that equal texts were labelled once, so that equal labels tell nothing about the judge's noise.
    """

    reads: ClassVar = "the file or folder of recorded labels"
    judges_any_text: ClassVar = False
    recorded: ClassVar = True

    layout: Annotated[Text, among("project", "published", "table")] = "project"
    files: list[Text] = field(default_factory=list)
    judge: Text | None = None
    models: dict[Text, Text] = field(default_factory=dict)
    columns: dict[Annotated[Text, among(*RECORDED_LABEL_COLUMNS)], Text] = field(default_factory=dict)
    constants: dict[Text, Text] = field(default_factory=dict)
    labels: dict[Text, Text] = field(default_factory=dict)
    missing: list[Text] = field(default_factory=lambda: ["UNKNOWN", "ERROR"])
    judged_once: Flag = False

    @model_validator(mode="after")
    def _fits_its_layout(self) -> RecordedLabelSettings:
        of_table = self.layout == "table"
        for ours, theirs in self.models.items():
            named = theirs if of_table else FILE_NAME.fullmatch(theirs)
            require(named, f"models.{ours}", theirs, "the model's name at the source")
        require(not self.files or of_table, "files", self.files, "[] unless the layout is `table`")
        return self

    def check_models(self, models: Collection[str], key: str) -> None:
        """Only models of the study can have labels."""
        require(self.models, key, self.models, "our model name -> the model's name at the source")
        for ours, theirs in self.models.items():
            require(ours in models, f"{key}.{ours}", theirs, f"a key that is {one_of(models)}")


@dataclass(config=SECTION)
class TrainedJudgeSettings(ConfidentJudgeSettings, kind="trained"):
    """The classes' probabilities are its confidence."""

    reads: ClassVar = "the file of a trained judge"
    must_be_watched: ClassVar = True


@dataclass(config=SECTION)
class PeopleSettings(JudgeSettings, kind="people"):
    """No settings: a person fills in the labels of the file that `path` names."""

    reads: ClassVar = "the review file that a person fills in"
    must_be_watched: ClassVar = True
    judges_any_text: ClassVar = False


@dataclass(config=SECTION)
class MajoritySettings(JudgeSettings, kind="majority"):
    """No settings: the majority of the panel is counted once, and never handed over."""

    judges_any_text: ClassVar = False
