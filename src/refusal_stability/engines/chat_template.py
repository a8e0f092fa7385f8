"""What a chat template makes of a conversation, and what becomes of special tokens that mark thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refusal_stability.engines.answers import Marks
from refusal_stability.engines.conversation import folded
from refusal_stability.params.engines.settings import EngineSettings
from refusal_stability.records import Message

CHANNEL_TOKENS = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>", "<|call|>")


def rendered(tokenizer: Any, messages: Sequence[Message], settings: EngineSettings) -> str:
    """A conversation as the model sees it, up to where its answer begins."""
    shown = folded(messages) if settings.fold_system else messages
    chat = [{"role": m.role, "content": m.content} for m in shown]
    text: str = tokenizer.apply_chat_template(
        chat, tokenize=False, add_generation_prompt=True, **settings.chat_template_kwargs
    )
    return text


def opened_thinking(prompt: str, marks: Marks) -> str:
    """The opening mark that a rendered prompt ends with, or nothing: the answer then begins within thinking."""
    end = prompt.rstrip()
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


def shaping(settings: EngineSettings) -> dict[str, Any]:
    """The settings that shape a prompt, where a study sets them: part of the store's key."""
    names = ("chat_template_kwargs", "fold_system")
    return {name: value for name in names if (value := getattr(settings, name))}
