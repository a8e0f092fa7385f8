"""Section `models`: which engine answers, and its settings.

Every module of this package holds the settings of one engine; a new engine needs no more than its own module here.
"""

from __future__ import annotations

from dataclasses import field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, Flag, Text, one_of, parsed, require
from refusal_stability.params.engines.settings import ENGINES, EngineSettings

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


@dataclass(config=SECTION)
class ModelParams:
    """One model: which engine answers, from where, and with which settings of that engine."""

    engine: Text = "transformers"
    path: Text = ""
    revision: Text | None = None
    label: Text | None = None
    trust_remote_code: Flag = False
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def settings_class(self) -> type[EngineSettings]:
        """The class of the engine's settings, which says what only the engine knows."""
        return ENGINES[self.engine]

    @model_validator(mode="after")
    def _fits_its_engine(self) -> ModelParams:
        require(self.engine in ENGINES, "engine", self.engine, one_of(ENGINES))
        require(self.path, "path", self.path, "a folder or a Hugging Face model id")
        engine_settings(self)
        return self


def engine_settings(model: ModelParams, where: str = "") -> Any:
    """A model's `settings` as those of its engine; `where` names the model in error messages."""
    schema = model.settings_class
    return parsed(schema, schema.from_keys(model.settings), f"{where}.settings".strip("."))
