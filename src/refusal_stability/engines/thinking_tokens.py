"""Thinking in a model's tokens: a mark that the prompt leaves open, and special tokens that a decoder must keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refusal_stability.engines.rendering import ChatTemplate, TemplateRejection
from refusal_stability.engines.thinking_marks import Marks
from refusal_stability.records import Message

CHANNEL_TOKENS = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>", "<|call|>")


def opened_thinking(template: ChatTemplate, messages: Sequence[Message], marks: Marks) -> str:
    """The opening mark that a rendered prompt ends with, or nothing: the answer then begins within thinking."""
    try:
        end = template.render(messages).rstrip()
    except TemplateRejection:
        return ""
    return next((opening for opening, _ in marks if end.endswith(opening)), "")


def marking_tokens(tokenizer: Any, marks: Marks) -> frozenset[int]:
    """Special tokens that a decoder must keep, since they tell thinking from answer."""
    names = {*CHANNEL_TOKENS, *(mark for pair in marks for mark in pair)}
    found = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=False)
    added: Mapping[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
    special = {number: token.content for number, token in added.items() if token.special} | {n: t for t, n in found}
    return frozenset(number for number, token in special.items() if token in names)


def decoded(tokenizer: Any, tokens: Sequence[int], kept: frozenset[int]) -> str:
    """The text of tokens without special ones, but for those that mark thinking."""
    if kept:
        added: Mapping[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
        dropped = {*tokenizer.all_special_ids, *(number for number, token in added.items() if token.special)} - kept
        tokens = [token for token in tokens if token not in dropped]
    text: str = tokenizer.decode(tokens, skip_special_tokens=not kept, clean_up_tokenization_spaces=False)
    return text
