"""The colours: one for each decision, each cluster and each model, the same in every figure and in the report.

Chosen to stay apart for the common kinds of colour-blindness and, for the decisions, in grey: their lightness (CIE L*)
is 27, 82 and 50. Models differ by marker as well, because eight colours cannot stay apart in grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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

MODEL_COLOURS = ("#332288", "#B07A00", "#1E8A7E", "#AA3377", "#4477AA", "#117733", "#CC5566", "#5F5F5F")
MODEL_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
INTERVENTION_LINES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))

INK = "#222222"
MUTED = "#595959"
RULE = "#767676"
FAINT = "#E3E3E3"
UNSTABLE_FILL = "#F4F1F4"
