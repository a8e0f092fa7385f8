"""Section `sampling.adaptive`: when a prompt has enough samples."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import (
    SECTION,
    AtLeast0,
    AtLeast1,
    Number,
    Share,
    Text,
    among,
    require,
    rule,
)

ADAPTIVE_RULES = ("population", "each_prompt", "agreement")
SAMPLE_ORDERS = TURNS, HOTTEST_FIRST, RANDOM = ("turns", "hottest_first", "random")
# The first is the rule's own. A bound needs seeds in random order, and what the rule assumes of temperatures.
ORDERS_OF = {"population": (TURNS,), "each_prompt": (RANDOM,), "agreement": (HOTTEST_FIRST, TURNS, RANDOM)}
PREDICTIONS_IN = "data/raw/"


@dataclass(config=SECTION)
class AdaptiveParams:
    """How a rule of adaptive sampling is used.

    Attributes
    ----------
    alpha : bounds the error of a certificate, as the rule defines it.
    audit : the share of prompts that are sampled in full, to check the rule.
    budget : the most samples, as a share of the grid.
    batch : the fewest samples that a round asks for, where that many are left.
    order : the order in which a prompt's samples are taken; null leaves it to the rule.
    seed : fixes which prompts are audited, and a random order.
    predictions : a table that `refusal-stability predict` wrote, with each prompt's chance of being unstable.
    """

    alpha: Annotated[Number, rule(lambda alpha: 0 < alpha < 0.5, "a number between 0 and 0.5")] = 0.05
    audit: Share = 0.1
    budget: Annotated[Number, rule(lambda share: 0 < share <= 1, "a number over 0 and at most 1")] | None = None
    batch: AtLeast1 = 64
    order: Annotated[Text, among(*SAMPLE_ORDERS)] | None = None
    seed: AtLeast0 = 0
    predictions: (
        Annotated[
            Text,
            rule(
                lambda path: path.startswith(PREDICTIONS_IN) and ".." not in path,
                f"null, or a file under {PREDICTIONS_IN}: DVC notices no change of a file elsewhere",
            ),
        ]
        | None
    ) = None


Rule = Annotated[Text, among(*ADAPTIVE_RULES)]


def _rule_given(value: object) -> object:
    """Refuse an empty section: DVC cannot read it."""
    require(value is not None, "", value, "a rule, such as {population: {}}. Delete the key to sample full grids")
    return value


def _check_rules(chosen: dict[str, AdaptiveParams]) -> dict[str, AdaptiveParams]:
    """At most one rule, in an order that it can be used in."""
    require(len(chosen) <= 1, "", ", ".join(chosen), "one rule")
    for name, settings in chosen.items():
        allowed = f"null or {' or '.join(ORDERS_OF[name])}: the rule's bound needs that order"
        require(settings.order in (None, *ORDERS_OF[name]), f"{name}.order", settings.order, allowed)
        unused = name == "population" or settings.predictions is None
        require(unused, f"{name}.predictions", settings.predictions, "null: only the rule population starts from them")
    return chosen


ChosenRule = Annotated[dict[Rule, AdaptiveParams], BeforeValidator(_rule_given), AfterValidator(_check_rules)]


def order_of(name: str, settings: AdaptiveParams) -> str:
    """In which order a rule takes a prompt's samples."""
    return settings.order or ORDERS_OF[name][0]
