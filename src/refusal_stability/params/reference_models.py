"""Section `reference_models`: how the embedded models are trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, AtLeast0, AtLeast1, Number, Text, Whole, among, require, rule


@dataclass(config=SECTION)
class ReferenceModelParams:
    """The training of one embedded model.

    Attributes
    ----------
    task : whether the model learns to answer prompts or to judge responses.
    profile : which planted shares of decisions a chat model learns.
    seed : fixes the training's random draws.
    samples_per_prompt : how many training conversations there are for each prompt.
    batch_size : how many conversations a training step takes.
    learning_rate : the optimiser's learning rate.
    hidden_size : the width of the network.
    layers : how many layers the network has.
    heads : how many attention heads a layer has.
    vocabulary : how many tokens the tokenizer has.
    """

    task: Annotated[Text, among("chat", "judge")] = "chat"
    profile: Annotated[Text, among("steady", "wavering")] = "steady"
    seed: AtLeast0 = 0
    samples_per_prompt: Annotated[
        AtLeast1, rule(lambda n: n % 20 == 0, "multiples of 20: shares are planted in twentieths")
    ] = 160
    batch_size: AtLeast1 = 32
    learning_rate: Annotated[Number, rule(lambda rate: 0 < rate < 1, "a number between 0 and 1")] = 6e-3
    hidden_size: AtLeast1 = 128
    layers: AtLeast1 = 2
    heads: AtLeast1 = 4
    vocabulary: Annotated[Whole, rule(lambda n: n >= 320 and n % 64 == 0, "multiples of 64, from 320 (256 bytes)")] = (
        1536
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> ReferenceModelParams:
        fits = self.hidden_size % (2 * self.heads) == 0
        require(fits, "hidden_size", self.hidden_size, "a multiple of twice the number of heads")
        return self
