"""Read the study's prompts from their source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from refusal_stability.files import DOWNLOADS
from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts import advbench, beavertails, harmbench
from refusal_stability.prompts.builtin import builtin_prompts
from refusal_stability.prompts.download import check_digest, fetched
from refusal_stability.prompts.rows import PromptSourceError
from refusal_stability.prompts.selection import balanced, in_categories, merge_repeats, shuffled
from refusal_stability.prompts.table import table_prompts
from refusal_stability.records import Prompt

BENCHMARKS: dict[str, tuple[Callable[[Path], list[Prompt]], str]] = {
    advbench.NAME: (advbench.advbench_prompts, advbench.URL),
    beavertails.NAME: (beavertails.beavertails_prompts, beavertails.URL),
    harmbench.NAME: (harmbench.harmbench_prompts, harmbench.URL),
}


# The size of the published design; only where the study says nothing about size itself.
DEFAULT_LIMITS = {beavertails.NAME: 876}


def load_prompts(params: PromptParams, tell: Callable[[str], None] = lambda _: None) -> list[Prompt]:
    """The prompts that a study asks, in order; `tell` hears in one line each what was merged or left out.

    Read, merge repeats, keep the wanted categories, shuffle, balance, cut: in this order, so that a balanced or cut
    set is drawn from the shuffled one.
    """
    prompts = in_source(params, tell)
    if params.categories:
        prompts = in_categories(prompts, params.categories)
    if params.shuffle_seed is not None:
        prompts = shuffled(prompts, params.shuffle_seed)
    if params.per_category is not None:
        prompts = balanced(prompts, params.per_category)
    limit = params.limit
    if limit is None and params.per_category is None:
        limit = DEFAULT_LIMITS.get(params.source)
    return prompts[:limit]


def in_source(params: PromptParams, tell: Callable[[str], None]) -> list[Prompt]:
    """Every prompt of the source, each once."""
    if params.source == "builtin":
        return builtin_prompts()
    path = source_file(params)
    if params.source == "table":
        prompts = table_prompts(path, params.columns)
    else:
        parse, _ = BENCHMARKS[params.source]
        prompts = distinct(parse(path), tell)
    if not prompts:
        raise PromptSourceError(f"{path}: no prompt in it; check that it is the file that prompts.source names")
    return prompts


def source_file(params: PromptParams) -> Path:
    """The file to read: the local one, or the download, each with its digest checked where one is given."""
    if params.path is not None:
        path = Path(params.path)
        if params.sha256 is not None and path.exists():
            check_digest(path, params.sha256)
        return path
    url = params.url if params.url is not None else BENCHMARKS[params.source][1]
    return fetched(url, params.sha256, DOWNLOADS)


def distinct(prompts: list[Prompt], tell: Callable[[str], None]) -> list[Prompt]:
    """A benchmark's prompts without empty and repeated ones, which published files do hold."""
    full = [p for p in prompts if p.text.strip()]
    merged = merge_repeats(full)
    for count, what in ((len(prompts) - len(full), "empty"), (len(full) - len(merged), "repeated")):
        if count:
            tell(f"{count} {what} prompt{'s' if count > 1 else ''} left out")
    return merged
