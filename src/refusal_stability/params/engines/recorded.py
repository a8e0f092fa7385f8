"""Settings of the engine `recorded`."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Annotated, ClassVar

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, Flag, Text, among, require, rule
from refusal_stability.params.engines.settings import EngineSettings

COLUMNS = (
    "prompt",
    "response",
    "model",
    "temperature",
    "seed",
    "finish_reason",
    "missing_reason",
    "outcome",
    "thinking",
    "turns",
    "unseeded",
)
FILE_NAME = re.compile(r"[^/\\]+")


def is_regular_expression(pattern: str) -> bool:
    """Whether `re` can compile it."""
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


# How an answer begins that is an error which a script wrote down.
FAILED_ANSWER = r"\[ERROR"


@dataclass(config=SECTION)
class RecordedSettings(EngineSettings, engine="recorded"):
    """Where recorded responses lie, and what the source calls things.

    Attributes
    ----------
    layout : how the files are laid out: as this project's, or as the published study's.
    name : the model's name in the source's file names.
    model : the model's name in the source's model column.
    columns : maps our column names to the source's.
    missing : a response that begins with one of these patterns counts as missing.
    labels_only : says that the source has labels by recorded judges but no responses.
    unequal : takes a prompt without a row in a file as not sampled there, instead of as an error.
    whole_conversations : says that the source's column `turns` holds all that precedes a prompt, interventions
        included.
    """

    samples: ClassVar = False

    layout: Annotated[Text, among("project", "published")] = "project"
    name: Text = ""
    model: Text | None = None
    columns: dict[Annotated[Text, among(*COLUMNS)], Text] = field(default_factory=dict)
    missing: list[Annotated[Text, rule(is_regular_expression, "a regular expression")]] = field(
        default_factory=lambda: [FAILED_ANSWER]
    )
    labels_only: Flag = False
    unequal: Flag = False
    whole_conversations: Flag = False

    @property
    def has_responses(self) -> bool:
        """False for a model of which only labels are there."""
        return not self.labels_only

    @property
    def answers_interventions(self) -> bool:
        """Responses to bare prompts are found by last turns, so few-shot turns would pass for a prompt's own."""
        return self.labels_only or self.whole_conversations

    @model_validator(mode="after")
    def _is_named(self) -> RecordedSettings:
        named = self.labels_only or FILE_NAME.fullmatch(self.name)
        require(named, "name", self.name, "the model's name in the source's file names")
        return self
