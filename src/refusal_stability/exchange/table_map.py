"""How a plain table of responses or labels is read: which column holds what. It stands in a YAML file."""

from __future__ import annotations

import math
from dataclasses import field
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BeforeValidator, model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.exchange.logged import LogError
from refusal_stability.params.checks import SECTION, Name, ParamsError, Share, Text, among, one_of, parsed, require
from refusal_stability.records import HARMS

PROMPT_COLUMNS = ("prompt_id", "prompt", "messages", "category", "source", "harm", "language", "intent")
RESPONSE_COLUMNS = ("response", "finish_reason", "missing_reason", "thinking")
TABLE_COLUMNS = (
    *PROMPT_COLUMNS,
    *RESPONSE_COLUMNS,
    "model",
    "temperature",
    "repeat",
    "judge",
    "label",
    "confidence",
    "reasoning",
)
# In a table whose rows hold several repeats, only these stand for all of a row.
ROW_COLUMNS = (*PROMPT_COLUMNS, "model", "temperature")
CONSTANTS = (*PROMPT_COLUMNS[3:], "prompt_id", *RESPONSE_COLUMNS[1:], "model", "temperature", "repeat", "judge")
# Other names that a column is found under without a map.
USUAL_NAMES = {
    "repeat": ("seed", "trial", "trial_idx", "sample", "epoch"),
    "response": ("completion", "output", "answer", "generation"),
    "prompt": ("question", "request", "instruction", "input"),
    "prompt_id": ("id", "question_id"),
    "confidence": ("score_confidence",),
    "reasoning": ("judge_reasoning", "explanation"),
}
NOT_SAMPLED, MISSING = "not sampled", "missing"
Columns = Annotated[list[Text], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


@dataclass(config=SECTION)
class JudgeColumns:
    """Where one judge's labels stand: a column, or one for each repeat of a row.

    A label with a confidence under `at_least` is missing.
    """

    label: Columns
    confidence: Text | None = None
    reasoning: Text | None = None
    at_least: Share = 0.0


@dataclass(config=SECTION)
class TableMap:
    """Our column -> the table's. `constants` gives a column that the table lacks, or an empty cell, one value.

    `responses` names several columns that hold one repeat each; without it, each column of a judge does. `blank` says
    what an empty cell of these means: the prompt was not asked there, or its answer is missing. `judges` names judges
    with columns of their own; a table with columns `judge` and `label` needs none. `labels` and `missing` say what the
    table's labels mean.
    """

    columns: dict[Annotated[Text, among(*TABLE_COLUMNS)], Text] = field(default_factory=dict)
    constants: dict[Annotated[Text, among(*CONSTANTS)], Text | float] = field(default_factory=dict)
    responses: list[Text] = field(default_factory=list)
    blank: Annotated[str, among(NOT_SAMPLED, MISSING)] = NOT_SAMPLED
    judges: dict[Name, JudgeColumns] = field(default_factory=dict)
    labels: dict[Text, Text] = field(default_factory=dict)
    missing: list[Text] = field(default_factory=list)

    @model_validator(mode="after")
    def _labels_fit_responses(self) -> TableMap:
        for name, judge in self.judges.items():
            fits = len(judge.label) == self.repeats_in_a_row
            each = "`responses`" if self.responses else "the judge with most columns"
            require(fits, f"judges.{name}.label", judge.label, f"one column for each column of {each}")
        for where, named in (("columns", self.columns), ("constants", self.constants)):
            for ours in named if self.columns_read is ROW_COLUMNS else ():
                require(
                    ours in ROW_COLUMNS, where, ours, f"{', '.join(ROW_COLUMNS)}, since a row holds several repeats"
                )
        return self

    @model_validator(mode="after")
    def _constants_are_of_their_kind(self) -> TableMap:
        harm, numbers = self.constants.get("harm", HARMS[0]), ("temperature", "repeat")
        require(harm in HARMS, "constants.harm", harm, one_of(HARMS))
        for name in self.constants.keys() & numbers:
            value = self.constants[name]
            require(_is_number(value), f"constants.{name}", value, "a number from 0")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Our columns that are looked for in a table."""
        return ROW_COLUMNS if self.responses or self.repeats_in_a_row > 1 else TABLE_COLUMNS

    @property
    def repeats_in_a_row(self) -> int:
        """How many repeats one row holds."""
        return len(self.responses) or max((len(judge.label) for judge in self.judges.values()), default=1)


def _is_number(value: str | float) -> bool:
    try:
        return 0 <= float(value) < math.inf
    except ValueError:
        return False


def read_table_map(path: Path) -> TableMap:
    """The map that a YAML file holds; raises where a key is wrong."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: not readable as YAML: {' '.join(str(error).split())[:200]}") from error
    try:
        return parsed(TableMap, values)
    except ParamsError as error:
        raise LogError(f"{path}: {error}") from error
