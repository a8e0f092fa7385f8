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

from refusal_stability.params.checks import SECTION, Flag, Sha256, Text, one_of, parsed, require
from refusal_stability.params.engines.settings import ENGINES, EngineSettings

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


@dataclass(config=SECTION)
class ModelParams:
    """One model: which engine answers, from where, and with which settings of that engine.

    Attributes
    ----------
    engine : what runs or calls the model.
    path : a folder, a GGUF file, a Hugging Face model id, or the model's name at a server.
    revision : the branch, tag or commit of the model on the hub; a commit pins it.
    sha256 : the digest that the bytes of a GGUF file must have.
    label : the model's name in figures and tables; null takes its key.
    trust_remote_code : lets the model's repository run its own Python code on this machine.
    settings : the engine's own settings, see below.
    """

    engine: Text = "transformers"
    path: Text = ""
    revision: Text | None = None
    sha256: Sha256 | None = None
    label: Text | None = None
    trust_remote_code: Flag = False
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Whether `path` is a single file that the engine reads a whole model from."""
        return self.path.lower().endswith(self.settings_class.model_files)

    @property
    def settings_class(self) -> type[EngineSettings]:
        """The class of the engine's settings, which says what only the engine knows."""
        return ENGINES[self.engine]

    @model_validator(mode="after")
    def _fits_its_engine(self) -> ModelParams:
        require(self.engine in ENGINES, "engine", self.engine, one_of(ENGINES))
        require(self.path, "path", self.path, "a folder, a GGUF file or a Hugging Face model id")
        may_pin = self.sha256 is None or self.is_file
        require(may_pin, "sha256", self.sha256, "null, unless path is a .gguf file and engine is transformers")
        engine_settings(self)
        return self


def engine_settings(model: ModelParams, where: str = "") -> Any:
    """A model's `settings` as those of its engine; `where` names the model in error messages."""
    schema = model.settings_class
    return parsed(schema, schema.from_keys(model.settings), f"{where}.settings".strip("."))
