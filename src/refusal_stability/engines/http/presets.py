"""Settings that a vendor's server needs, by the vendor's name: one short YAML file each, beside this module."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import yaml

from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.engines.openai import OpenAISettings

FOLDER = Path(__file__).with_name("presets")


def preset_names() -> list[str]:
    """Every preset."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def has_address(preset: str) -> bool:
    """Whether a preset says where the server is. One that nobody knows is refused elsewhere."""
    file = FOLDER / f"{preset}.yaml"
    return preset not in preset_names() or "base_url" in yaml.safe_load(file.read_text(encoding="utf-8"))


def with_preset(settings: OpenAISettings, where: str) -> OpenAISettings:
    """The settings with those of their preset filled in wherever the study left the default."""
    if settings.preset is None:
        return settings
    if settings.preset not in preset_names():
        known = ", ".join(preset_names())
        raise EngineError(f"{where}.settings.preset: {settings.preset!r} is not a preset; one of {known}")
    given = yaml.safe_load((FOLDER / f"{settings.preset}.yaml").read_text(encoding="utf-8"))
    return replace(settings, **{name: _filled(settings, name, value) for name, value in given.items()})


def _filled(settings: OpenAISettings, name: str, value: Any) -> Any:
    own = getattr(settings, name)
    if isinstance(value, dict):
        return {**value, **own}
    if isinstance(value, list):
        return [*own, *(item for item in value if item not in own)]
    field = next(f for f in fields(settings) if f.name == name)
    return value if field.default is not MISSING and own == field.default else own
