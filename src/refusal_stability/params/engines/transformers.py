"""Settings of the engine `transformers`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, AtLeast1, Text, among
from refusal_stability.params.engines.settings import EngineSettings, TemplateDate


@dataclass(config=SECTION)
class TransformersSettings(EngineSettings, engine="transformers"):
    """A model that runs in this process.

    Attributes
    ----------
    dtype : the number format of the weights; `auto` takes the model's own.
    device : where the model runs; `auto` takes CUDA where there is one.
    batch_size : how many answers are drawn together.
    template_date : the date that the chat template writes into the prompt.
    """

    no_effect: ClassVar = frozenset({"batch_size", "device"})
    model_files: ClassVar = (".gguf",)

    dtype: Annotated[Text, among("auto", "float32", "bfloat16", "float16")] = "auto"
    device: Text = "auto"
    batch_size: AtLeast1 = 128
    template_date: TemplateDate | None = None

    @property
    def token_probabilities(self) -> bool:
        """It computes them."""
        return True
