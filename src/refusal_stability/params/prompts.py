"""Section `prompts`: which prompts are asked. Which sources there are, the room `prompts` knows."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Annotated

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, AtLeast0, AtLeast1, Text, among, require, rule

SHA256 = re.compile(r"[0-9a-f]{64}")
URL = re.compile(r"https?://[^\s/@]+/\S+")


@dataclass(config=SECTION)
class PromptParams:
    """Which prompts are asked. `path` is a local file; without it a benchmark is downloaded (`url` replaces its home).

    `sha256` pins the file's bytes. A download must be pinned; a local file may be.
    """

    source: Text = "builtin"
    path: Annotated[Text, rule(str.strip, "null or a text that is not empty")] | None = None
    url: Annotated[Text, rule(URL.fullmatch, "null or an http(s) address")] | None = None
    sha256: Annotated[Text, rule(SHA256.fullmatch, "null or 64 hexadecimal digits, lower case")] | None = None
    columns: dict[Annotated[Text, among("prompt", "category", "source", "id")], Text] = field(default_factory=dict)
    categories: list[Text] = field(default_factory=list)
    limit: AtLeast1 | None = None
    per_category: AtLeast1 | None = None
    shuffle_seed: AtLeast0 | None = None

    @model_validator(mode="after")
    def _one_file(self) -> PromptParams:
        require(not (self.path and self.url), "url", self.url, "null beside a path: give one of the two")
        return self
