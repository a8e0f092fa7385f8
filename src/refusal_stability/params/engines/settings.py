"""What every engine's settings say of the engine, so that nobody else needs to know which engine it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from typing import Annotated, Any, ClassVar

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, Flag, Text, require, rule

ENGINES: dict[str, type[EngineSettings]] = {}


def _is_date(text: str) -> bool:
    try:
        return text == str(date.fromisoformat(text))
    except ValueError:
        return False


# The date that a chat template writes into the prompt, for engines that render it here.
TemplateDate = Annotated[Text, rule(_is_date, "null (today) or a date such as '2026-01-31', in quotes")]


@dataclass(config=SECTION)
class EngineSettings:
    """The settings of an engine that runs on this machine for free; an engine overrides what differs.

    A subclass registers itself under the name that `engine:` takes: `class MySettings(EngineSettings, engine="mine")`.

    Attributes
    ----------
    no_effect : settings that change how the work is done but never what is written.
    model_files : endings of the files that hold a whole model each.
    samples : whether it draws completions; false where they exist already.
    lock_file : the requirements file of the environment that it runs in.
    environment : what the report says of that environment; empty for the project's own.
    bytes_per_token : of English text, in common tokenizers.
    template_tokens : what a chat template adds to a message.
    fold_system : puts the system text at the start of the first user turn, for models without that role.
    thinking_marks : further pairs of marks around thinking, as `[[opening, closing], ...]`.
    chat_template_kwargs : arguments of the chat template, such as `enable_thinking: false`.
    """

    fold_system: Flag = False
    thinking_marks: list[list[Text]] = field(default_factory=list)
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)

    engine: ClassVar[str]
    no_effect: ClassVar[frozenset[str]] = frozenset()
    model_files: ClassVar[tuple[str, ...]] = ()
    samples: ClassVar[bool] = True
    lock_file: ClassVar[str] = "requirements.lock"
    environment: ClassVar[str] = ""
    bytes_per_token: ClassVar[float] = 4
    template_tokens: ClassVar[int] = 8

    def __init_subclass__(cls, engine: str = "") -> None:
        if engine:
            cls.engine = engine
            ENGINES[engine] = cls

    @classmethod
    def from_keys(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The study's `settings` as keys of this class."""
        return settings

    @model_validator(mode="after")
    def _marks_are_pairs(self) -> EngineSettings:
        for position, pair in enumerate(self.thinking_marks):
            fits = len(pair) == 2 and all(map(str.strip, pair)) and pair[0].lower() != pair[1].lower()
            allowed = "a pair of an opening and a closing mark that differ"
            require(fits, f"thinking_marks[{position}]", pair, allowed)
        return self

    @property
    def has_responses(self) -> bool:
        """Whether there are responses to show."""
        return True

    @property
    def token_probabilities(self) -> bool:
        """Whether it gives the probabilities of the tokens that it draws, as far as the settings tell."""
        return False

    @property
    def answers_interventions(self) -> bool:
        """Whether what precedes a prompt can change its response."""
        return True

    def cost(self, prompt_tokens: float, answer_tokens: float) -> float | None:
        """What so many tokens cost, in the currency of the study's prices; None where no price is known."""
        return 0.0

    @property
    def price_note(self) -> str:
        """What `plan` says of the price, where it is not the one that is given."""
        return ""

    def caps(self) -> Mapping[str, int | None]:
        """The most that a run may send: `max_requests` and `max_total_tokens`, None where there is no limit."""
        return {}
