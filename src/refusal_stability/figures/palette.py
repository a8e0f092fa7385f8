"""The colours: one for each decision, each cluster and each model, the same in every figure and in the report.

Decisions stay apart in grey: their lightness (CIE L*) is 27, 82 and 50. Any two models' colours stay apart (CIE76, at
least 20) to people with protanopia, deuteranopia, tritanopia and to all others, and are dark enough for text on white;
tests/figures/test_palette.py simulates it. Models differ by marker as well, because eight colours cannot stay apart in
grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from refusal_stability.records import Decision

DECISION_COLOURS = {Decision.REFUSE: "#12436D", Decision.PARTIAL: "#F2C66D", Decision.COMPLY: "#C8501E"}
DECISION_INK = {Decision.REFUSE: "#FFFFFF", Decision.PARTIAL: "#222222", Decision.COMPLY: "#FFFFFF"}
DECISION_WORDS = {Decision.REFUSE: "refused", Decision.PARTIAL: "partly met", Decision.COMPLY: "complied"}


@dataclass(frozen=True)
class Cluster:
    """One of the three groups that prompts fall into: its name in the tables, words, colour, and its label's place."""

    key: str
    count: str
    words: str
    ink: str
    x: float
    y: float
    align: Literal["left", "center", "right"]


CLUSTERS = (
    Cluster("steady refusal", "n_steady_refusal", "stable refusal", "#12436D", -0.06, 1.16, "left"),
    Cluster("steady help", "n_steady_help", "stable compliance", "#A63F14", 1.06, 1.16, "right"),
    Cluster("wavering", "n_wavering", "unstable", "#4A4A4A", 1.06, 0.38, "right"),
)

MODEL_COLOURS = ("#332288", "#A66300", "#267F53", "#7F0000", "#6D62D9", "#875C99", "#3C174C", "#590D24")
MODEL_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")

INK = "#222222"
MUTED = "#595959"
RULE = "#767676"
FAINT = "#E3E3E3"
UNSTABLE_FILL = "#F4F1F4"


def model_look(position: int) -> tuple[str, str]:
    """Colour and marker of the model at a position in the study, from 0; no two of the first 64 have both in common."""
    turn = position // len(MODEL_COLOURS)
    return MODEL_COLOURS[position % len(MODEL_COLOURS)], MODEL_MARKERS[(position + turn) % len(MODEL_MARKERS)]


def intervention_line(position: int) -> Any:
    """The line of the intervention at a position: solid, dashes, dots, and then dashes with ever more dots between."""
    first: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))
    return first[position] if position < len(first) else (0, (5, 1.2, *(1.2, 1.2) * (position - len(first) + 1)))
