"""Read the study's prompts from the source that `prompts.source` names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from refusal_stability.files import DOWNLOADS
from refusal_stability.params.checks import one_of, require
from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts import sources
from refusal_stability.prompts.download import check_digest, fetched
from refusal_stability.prompts.keywords import built_in_keywords, by_keywords
from refusal_stability.prompts.selection import balanced, in_categories, merge_repeats, shuffled
from refusal_stability.prompts.source import REGISTER, PromptSource, PromptSourceError
from refusal_stability.records import Prompt


def registered_sources() -> Mapping[str, PromptSource]:
    """Every source by its name, after loading each file of `prompts/sources/`."""
    for module in pkgutil.iter_modules(sources.__path__, f"{sources.__name__}."):
        importlib.import_module(module.name)
    return REGISTER


def load_prompts(params: PromptParams, tell: Callable[[str], None] = lambda _: None) -> list[Prompt]:
    """The prompts that a study asks, in order; `tell` gets one line for each kind of prompt that was left out.

    The steps run in this order: read, merge repeats, categorise, keep the chosen categories, shuffle, balance, cut. A
    balanced or cut set is thus drawn from the shuffled one.
    """
    source = chosen_source(params)
    prompts = in_source(source, params, tell)
    if params.categorise is not None:
        prompts = by_keywords(prompts, params.keywords or built_in_keywords())
    if params.categories:
        prompts = in_categories(prompts, params.categories)
    if params.shuffle_seed is not None:
        prompts = shuffled(prompts, params.shuffle_seed)
    if params.per_category is not None:
        prompts = balanced(prompts, params.per_category)
    limit = params.limit
    if limit is None and params.per_category is None:
        limit = source.limit
    return prompts[:limit]


def chosen_source(params: PromptParams) -> PromptSource:
    """The source that the study names, once its parameters are checked against it."""
    known = registered_sources()
    require(params.source in known, "prompts.source", params.source, one_of(sorted(known)))
    source = known[params.source]
    for name in ("path", "url", "sha256"):
        allowed = f"null for source {params.source}, which comes with the project"
        require(source.has_file or getattr(params, name) is None, f"prompts.{name}", getattr(params, name), allowed)
    named = params.path or params.url or source.url or not source.has_file
    require(bool(named), "prompts.path", params.path, f"a file for source {params.source}")
    allowed = f"{{}} for source {params.source}, whose columns are known"
    require(source.has_columns or not params.columns, "prompts.columns", params.columns, allowed)
    for name in params.values:
        allowed = f"a column of `prompts.columns`: {', '.join(params.columns) or 'none'}"
        require(name in params.columns, f"prompts.values.{name}", params.values[name], allowed)
    return source


def in_source(source: PromptSource, params: PromptParams, tell: Callable[[str], None]) -> list[Prompt]:
    """Every prompt of the source, each once."""
    path = source_file(source, params) if source.has_file else Path()
    prompts = with_defaults(distinct(source.read(path, params), tell), params.defaults)
    if not prompts:
        raise PromptSourceError(f"{path}: no prompt in it; check that it is the file that prompts.source names")
    return prompts


def with_defaults(prompts: list[Prompt], defaults: Mapping[str, str]) -> list[Prompt]:
    """The prompts with the study's defaults for what their source leaves empty."""
    return [
        replace(
            prompt,
            harm=prompt.harm or defaults.get("harm", ""),
            language=prompt.language or defaults.get("language", ""),
            intent=prompt.intent or defaults.get("intent", ""),
        )
        for prompt in prompts
    ]


def source_file(source: PromptSource, params: PromptParams) -> Path:
    """The file to read: the local one, or the download, each with its digest checked where one is given."""
    if params.path is not None:
        path = Path(params.path)
        if params.sha256 is not None and path.exists():
            check_digest(path, params.sha256)
        return path
    return fetched(params.url or source.url or "", params.sha256, DOWNLOADS)


def distinct(prompts: list[Prompt], tell: Callable[[str], None]) -> list[Prompt]:
    """The prompts without empty and repeated ones, which published files contain."""
    full = [p for p in prompts if p.text.strip()]
    merged = merge_repeats(full)
    for count, what in ((len(prompts) - len(full), "empty"), (len(full) - len(merged), "repeated")):
        if count:
            tell(f"{count} {what} prompt{'s' if count > 1 else ''} left out")
    return merged
