"""How a plain table of responses or labels is read: which column holds what. It stands in a YAML file."""

from __future__ import annotations

import math
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.names_that_tell import Template, tells
from refusal_stability.params.checks import (
    SECTION,
    Name,
    ParamsError,
    Share,
    Text,
    among,
    one_of,
    parsed,
    require,
    rule,
)
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
    "judge": ("annotator", "rater", "labeler", "labeller", "grader"),
}
NOT_SAMPLED, MISSING = "not sampled", "missing"
FILES = "a template such as {model}.csv or {model}_t{temperature}.csv"
# A template may stand for these.
SPREAD = (*RESPONSE_COLUMNS, "label", "confidence", "reasoning")
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

    @property
    def names(self) -> list[str]:
        """The table's columns that it names."""
        return [*self.label, *filter(None, (self.confidence, self.reasoning))]


@dataclass(config=SECTION)
class OneTable:
    """Our column -> the table's. `constants` gives a column that the table lacks, or an empty cell, one value.

    `responses` names several columns that hold one repeat each; without it, each column of a judge does. `blank` says
    what an empty cell of these means: the prompt was not asked there, or its answer is missing. `judges` names judges
    with columns of their own; a table with columns `judge` and `label` needs none. A column such as
    `response_t{temperature}` stands for all columns of this form.
    """

    columns: dict[Annotated[Text, among(*TABLE_COLUMNS)], Text] = field(default_factory=dict)
    constants: dict[Annotated[Text, among(*CONSTANTS)], Text | float] = field(default_factory=dict)
    responses: list[Text] = field(default_factory=list)
    blank: Annotated[str, among(NOT_SAMPLED, MISSING)] = NOT_SAMPLED
    judges: dict[Name, JudgeColumns] = field(default_factory=dict)

    @model_validator(mode="after")
    def _labels_fit_responses(self) -> OneTable:
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
    def _constants_are_of_their_kind(self) -> OneTable:
        harm, numbers = self.constants.get("harm", HARMS[0]), ("temperature", "repeat")
        require(harm in HARMS, "constants.harm", harm, one_of(HARMS))
        for name in self.constants.keys() & numbers:
            value = self.constants[name]
            require(_is_number(value), f"constants.{name}", value, "a number from 0")
        return self

    @model_validator(mode="after")
    def _templates_fit(self) -> OneTable:
        told = {tuple(sorted(Template(template).told)) for template in self.templates}
        for ours, theirs in self.columns.items():
            require(ours in SPREAD or not tells(theirs), f"columns.{ours}", theirs, "a column's name")
        named = [*self.columns.values(), *(name for judge in self.judges.values() for name in judge.names)]
        once = [name for name in named if tells(name)]
        shown = ", ".join(once)
        require(len(once) == len(self.templates), "columns", shown, "a template of its own for each of our columns")
        require(len(told) < 2, "columns", shown, "templates that all tell the same")
        require(all(len({*one}) == len(one) for one in told), "columns", shown, "each placeholder once")
        require(not (told and self.responses), "responses", self.responses, "none beside templates: use {repeat}")
        judges = [name for judge in self.judges.values() for name in judge.names]
        require(not told or all(map(tells, judges)), "judges", ", ".join(judges), "templates, as the other columns")
        return self

    @property
    def templates(self) -> dict[str, str]:
        """Each name that stands for several columns -> what they hold."""
        named = {theirs: ours for ours, theirs in self.columns.items()}
        named |= {name: f"judges.{judge}" for judge, at in self.judges.items() for name in at.names}
        return {theirs: ours for theirs, ours in named.items() if tells(theirs)}

    @property
    def columns_of_spread(self) -> tuple[str, ...]:
        """Our columns that are looked for in a table whose columns the templates take."""
        return (*ROW_COLUMNS, "repeat", *(ours for ours, theirs in self.columns.items() if tells(theirs)))

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Our columns that are looked for in a table."""
        return ROW_COLUMNS if self.responses or self.repeats_in_a_row > 1 else TABLE_COLUMNS

    @property
    def repeats_in_a_row(self) -> int:
        """How many repeats one row holds."""
        return len(self.responses) or max((len(judge.label) for judge in self.judges.values()), default=1)


@dataclass(config=SECTION)
class TableMap(OneTable):
    """What is said of all tables of an import, and of single ones.

    `labels` and `missing` say what labels mean. `files` is a template of files' names, such as `{model}.csv`. `tables`
    adds to this map for the tables whose paths fit a pattern, such as `labels*.csv`.
    """

    labels: dict[Text, Text] = field(default_factory=dict)
    missing: list[Text] = field(default_factory=list)
    files: Annotated[Text, rule(lambda text: not text or tells(text), FILES)] = ""
    tables: dict[Text, OneTable] = field(default_factory=dict)

    def of_table(self, path: Path) -> OneTable:
        """The map of one table: what its pattern says and what its name tells go before what is said of all."""
        said: dict[str, Any] = {name: getattr(self, name) for name in ("columns", "constants", "judges")}
        said |= {"responses": self.responses, "blank": self.blank}
        for pattern, own in self.tables.items():
            if path.match(pattern):
                said |= {name: {**said[name], **getattr(own, name)} for name in ("columns", "constants", "judges")}
                said |= {"responses": own.responses or said["responses"]}
                said |= {"blank": MISSING if MISSING in (own.blank, said["blank"]) else NOT_SAMPLED}
        said["constants"] = {**said["constants"], **self.told_by_name(path)}
        return parsed(OneTable, asdict(OneTable()) | said, f"{path}: the map")

    def told_by_name(self, path: str | Path) -> dict[str, str]:
        """What a file's name tells by the template `files`."""
        told = (Template(self.files).of_path(path) if self.files else None) or {}
        return {name: value.replace(",", ".") if name == "temperature" else value for name, value in told.items()}


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
