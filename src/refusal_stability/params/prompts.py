"""Section `prompts`: which prompts are asked. Which sources there are, the room `prompts` knows."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, AtLeast0, AtLeast1, Sha256, Text, among, one_of, require, rule
from refusal_stability.records import HARMS

COLUMNS = ("prompt", "messages", "category", "source", "id")
# What a prompt may say about itself, beside its category.
ABOUT = ("harm", "language", "intent")
URL = re.compile(r"https?://[^\s/@]+/\S+")


def _is_address(text: str) -> bool:
    try:
        return URL.fullmatch(text) is not None and bool(urlsplit(text).hostname)
    except ValueError:
        return False


Word = Annotated[Text, rule(str.strip, "a word or phrase")]


@dataclass(config=SECTION)
class PromptParams:
    """Which prompts are asked.

    Attributes
    ----------
    source : where the prompts come from: `builtin`, a benchmark, or `table` for a file of your own.
    path : the local file with the prompts; without it, a benchmark other than `builtin` is downloaded.
    url : the address to download the benchmark from, in place of its home.
    sha256 : the digest that the file's bytes must have; a download needs one.
    columns : maps our column names to the table's.
    values : translates the table's words for harm, language and intent into ours.
    defaults : what an empty harm, language or intent counts as.
    categorise : lets the words of a prompt decide its categories, in place of the source.
    keywords : categories of your own with their keywords, in place of the project's twelve.
    categories : keeps the prompts that have at least one of these categories.
    limit : keeps only the first so many prompts.
    per_category : keeps at most this many prompts of each category.
    shuffle_seed : puts the prompts into a random order that this number fixes.
    """

    source: Text = "builtin"
    path: Annotated[Text, rule(str.strip, "null or a text that is not empty")] | None = None
    url: Annotated[Text, rule(_is_address, "null or an http(s) address")] | None = None
    sha256: Sha256 | None = None
    columns: dict[Annotated[Text, among(*COLUMNS, *ABOUT)], Text] = field(default_factory=dict)
    values: dict[Annotated[Text, among(*ABOUT)], dict[Text, Text]] = field(default_factory=dict)
    defaults: dict[Annotated[Text, among(*ABOUT)], Text] = field(default_factory=dict)
    categorise: Annotated[Text, among("keywords")] | None = None
    keywords: dict[Text, Annotated[list[Word], rule(len, "at least one keyword")]] = field(default_factory=dict)
    categories: list[Text] = field(default_factory=list)
    limit: AtLeast1 | None = None
    per_category: AtLeast1 | None = None
    shuffle_seed: AtLeast0 | None = None

    @model_validator(mode="after")
    def _known_harm_and_one_file(self) -> PromptParams:
        harms = [self.defaults.get("harm", ""), *self.values.get("harm", {}).values()]
        for harm in harms:
            require(harm in ("", *HARMS), "defaults.harm" if harm == harms[0] else "values.harm", harm, one_of(HARMS))
        used = self.categorise == "keywords" or not self.keywords
        require(used, "keywords", list(self.keywords), "{} without `categorise: keywords`")
        require(not (self.path and self.url), "url", self.url, "null beside a path: give one of the two")
        return self
