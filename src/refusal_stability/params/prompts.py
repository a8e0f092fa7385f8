"""Section `prompts`: which prompts are asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from refusal_stability.params.checks import one_of, require

COLUMNS = ("prompt", "category", "source", "id")
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
URL_PATTERN = re.compile(r"https?://[^\s/@]+/\S+")


@dataclass
class PromptParams:
    """Which prompts are asked. `path` is a local file; without it a benchmark is downloaded (`url` replaces its home).

    `sha256` pins the file's bytes: needed for a download, checked for a local file.
    """

    source: str = "builtin"
    path: str | None = None
    url: str | None = None
    sha256: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    categories: list[str] = field(default_factory=list)
    limit: int | None = None
    per_category: int | None = None
    shuffle_seed: int | None = None


def check_prompts(prompts: PromptParams, key: str) -> None:
    for name in ("limit", "per_category"):
        value = getattr(prompts, name)
        require(value is None or value >= 1, f"{key}.{name}", value, "null or a whole number of at least 1")
    shuffle_seed = prompts.shuffle_seed
    allowed = "null or a whole number of at least 0"
    require(shuffle_seed is None or shuffle_seed >= 0, f"{key}.shuffle_seed", shuffle_seed, allowed)
    _check_prompt_file(prompts, key)


def _check_prompt_file(prompts: PromptParams, key: str) -> None:
    for name in ("path", "url", "sha256"):
        value = getattr(prompts, name)
        require(value is None or bool(value.strip()), f"{key}.{name}", value, "null or a text that is not empty")
    require(not (prompts.path and prompts.url), f"{key}.url", prompts.url, "null beside a path: give one of the two")
    good_url = prompts.url is None or URL_PATTERN.fullmatch(prompts.url) is not None
    require(good_url, f"{key}.url", prompts.url, "null or an http(s) address")
    good_digest = prompts.sha256 is None or SHA256_PATTERN.fullmatch(prompts.sha256) is not None
    require(good_digest, f"{key}.sha256", prompts.sha256, "null or 64 hexadecimal digits, lower case")
    for name, column in prompts.columns.items():
        require(name in COLUMNS, f"{key}.columns.{name}", column, f"a key that is {one_of(COLUMNS)}")
