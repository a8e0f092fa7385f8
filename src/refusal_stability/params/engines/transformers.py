"""Settings of the engine `transformers`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, AtLeast1, Text, among
from refusal_stability.params.engines.settings import EngineSettings, TemplateDate


@dataclass(config=SECTION)
class TransformersSettings(EngineSettings, engine="transformers"):
    """`batch_size` is in rows. `device: auto` takes CUDA where there is one. `template_date: null` is today."""

    no_effect: ClassVar = frozenset({"batch_size", "device"})
    model_files: ClassVar = (".gguf",)

    dtype: Annotated[Text, among("auto", "float32", "bfloat16", "float16")] = "auto"
    device: Text = "auto"
    batch_size: AtLeast1 = 128
    template_date: TemplateDate | None = None
