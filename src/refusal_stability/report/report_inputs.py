"""All that a report is written from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_stability.params.study import StudyParams
from refusal_stability.report.content import Picture
from refusal_stability.report.versions import Ran
from refusal_stability.tables.columns import POOLED
from refusal_stability.tables.layout import Shown, words
from refusal_stability.tables.metrics import ESTIMATED_TABLES
from refusal_stability.tables.number_format import Row

if TYPE_CHECKING:
    import pandas as pd

LONGEST_PROMPT = 400
SUMMARY_PICTURE = "flip_rate"
ESTIMATE_MARK = " (estimated)"
ESTIMATED_FIGURE = "Estimates of the full grid; intervals are beta intervals over prompts."


def caption_of(caption: str, tables: Iterable[str], params: StudyParams) -> str:
    """The caption of a figure of some metric tables, which says where these hold estimates."""
    if not params.sampling.adaptive or not any(name in ESTIMATED_TABLES for name in tables):
        return caption
    return f"{caption.replace('bootstrap intervals', 'intervals')} {ESTIMATED_FIGURE}"


@dataclass(frozen=True)
class ReportInputs:
    """The study's parameters, prompts, metric tables (those that exist), figures and names.

    Attributes
    ----------
    params_text : the parameter file, word for word.
    labels : (model, intervention) -> the name that figures and report use.
    ran : the versions that the study ran with.
    """

    params: StudyParams
    params_text: str
    prompts: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, Picture]
    labels: Mapping[tuple[str, str], str]
    ran: tuple[Ran, ...]

    @property
    def kind_of_interval(self) -> str:
        """What to call an interval over prompts: those of estimates are not resampled."""
        return "intervals" if self.params.sampling.adaptive else "bootstrap intervals"

    def rows(self, name: str) -> list[Row]:
        """The rows of a metric table in its own order; none where the table is absent."""
        records = self.tables[name].to_dict("records") if name in self.tables else []
        return [{str(column): value for column, value in row.items()} for row in records]

    @property
    def has_benign(self) -> bool:
        """Whether a benign prompt has a decision, so that safety and over-refusal are told apart."""
        return any(row["n_benign"] for row in self.rows("aggregate_by_model"))

    def label(self, row: Row, side: str = "") -> str:
        """The name of the model (under its intervention) that a row is about."""
        model, intervention = row[f"model{side}"], row[f"intervention{side}"]
        if model == POOLED:
            return "all models"
        return self.labels.get((model, intervention), f"{model} + {intervention}")

    @property
    def who(self) -> Shown:
        """The column that names a row's model, and marks a row of estimates."""
        return words("Model", lambda row: f"{self.label(row)}{ESTIMATE_MARK if row.get('estimated') else ''}")

    @property
    def quoted_prompt(self) -> Shown:
        """The column that quotes a row's prompt, a long one cut; an ellipsis stands for earlier turns."""
        asked = zip(self.prompts["prompt"], self.prompts["turns"], strict=True)
        shown = [f"… {text}" if turns else text for text, turns in asked]
        texts: dict[str, str] = dict(zip(self.prompts["prompt_id"], map(_cut, shown), strict=True))
        return words("Prompt", lambda row: texts.get(str(row["prompt_id"]), str(row["prompt_id"])), "verbatim")

    def show(self, section: str) -> tuple[Picture, ...]:
        """The figures of a section, in the gallery's order; the summary's is shown there only."""
        mine = (picture for picture in self.pictures.values() if picture.section == section)
        return tuple(picture for picture in mine if picture.name != SUMMARY_PICTURE)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_PROMPT else f"{text[: LONGEST_PROMPT - 1]}…"
