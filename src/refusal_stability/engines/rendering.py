"""What a chat template makes of a conversation: the text that the model really sees.

A template may write today's date, or reject a role. The date is fixed once per run, so that the store's key can hold
it. A rejected conversation costs its own answers only.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from refusal_stability.engines.conversation import folded
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.template_limits import MOST_BYTES, template_limits
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.transformers import TransformersSettings
from refusal_stability.params.engines.vllm import VLLMSettings
from refusal_stability.plain_text import visible_line
from refusal_stability.records import Completion, Message

DATE_FUNCTION = "strftime_now"
TWO_DAYS = ("2001-02-03", "2014-11-15")
TEMPLATE_SECONDS = 20
# Beside ten times the conversation.
MOST_WRITTEN = 1_000_000
PROBES = ((Message("user", "a"),), (Message("system", "a"), Message("user", "a")))


class TemplateRejection(Exception):
    """The template refuses a conversation; the text says why and what to do."""


class ChatTemplate:
    """The chat template of one model under one study's settings.

    Parameters
    ----------
    tokenizer : of transformers; its `chat_template` is used.
    settings : `chat_template_kwargs`, `fold_system` and `template_date`.
    where : the model, for messages.
    """

    def __init__(self, tokenizer: Any, settings: TransformersSettings | VLLMSettings, where: str) -> None:
        self._tokenizer = tokenizer
        self._settings = settings
        self._where = where
        self._has_warned = False
        self._date = settings.template_date or str(_today())
        self._writes_date = DATE_FUNCTION in str(tokenizer.chat_template) and self._differs_by_date()

    @property
    def identity(self) -> dict[str, Any]:
        """What the store's key holds beside the conversation; empty for a plain template with default settings."""
        kwargs = self._settings.chat_template_kwargs
        return ({"chat_template_kwargs": kwargs} if kwargs else {}) | (
            {"template_date": self._date} if self._writes_date else {}
        )

    def render(self, messages: Sequence[Message]) -> str:
        """The text that the model reads, up to where its answer begins.

        Raises
        ------
        EngineError
            The tokenizer has no chat template.
        TemplateRejection
            The template refuses the conversation's roles.
        """
        if self._tokenizer.chat_template is None:
            raise EngineError(
                f"{self._where}: the tokenizer has no chat template; use an instruct model, or save one with "
                "`tokenizer.chat_template = ...`"
            )
        return self._rendered(messages, self._date)

    def warn_of_date(self) -> None:
        """Tell the user, once, that the prompts hold today's date and how to fix it."""
        if self._writes_date and not self._settings.template_date and not self._has_warned:
            self._has_warned = True
            print(
                f"warning: {self._where}: the chat template writes today's date ({self._date}) into every prompt, so "
                f"answers stored on another day are not reused. Set settings.template_date: '{self._date}' to keep it",
                file=sys.stderr,
            )

    def _differs_by_date(self) -> bool:
        """Whether a conversation with or without a system text is rendered differently on two days."""
        try:
            return any(len({self._rendered(chat, date) for date in TWO_DAYS}) > 1 for chat in PROBES)
        except TemplateRejection:
            return True

    def _rendered(self, messages: Sequence[Message], date: str) -> str:
        from jinja2 import TemplateError

        asked = folded(messages) if self._settings.fold_system else messages
        try:
            with _date_is(date), template_limits(TEMPLATE_SECONDS):
                text: str = self._tokenizer.apply_chat_template(
                    [message.identity() for message in asked],
                    tokenize=False,
                    add_generation_prompt=True,
                    **self._settings.chat_template_kwargs,
                )
                # Half a surrogate pair is no text that a tokenizer takes.
                text.encode("utf-8")
        except TimeoutError as error:
            raise EngineError(
                f"{self._where}: the chat template took over {TEMPLATE_SECONDS} s for one conversation; "
                "correct the model's `chat_template`, or use another model"
            ) from error
        except MemoryError as error:
            raise EngineError(
                f"{self._where}: the chat template asked for over {MOST_BYTES >> 30} GiB of memory for one "
                "conversation; correct the model's `chat_template`, or use another model"
            ) from error
        except (
            TemplateError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as e:
            raise TemplateRejection(_rejected(asked, e)) from e
        most = MOST_WRITTEN + 10 * sum(len(message.content) for message in asked)
        if len(text) > most:
            raise EngineError(
                f"{self._where}: the chat template wrote {len(text):,} characters for one conversation; correct the "
                "model's `chat_template`, or use another model"
            )
        return text


def load_tokenizer(model: ModelParams, elsewhere: str | None, where: str) -> Any:
    """A model's tokenizer alone, from the model's path or from another one."""
    from transformers import AutoTokenizer

    path, revision = (elsewhere, None) if elsewhere else (model.path, model.revision)
    tokenizers: Any = AutoTokenizer
    try:
        return tokenizers.from_pretrained(path, revision=revision, trust_remote_code=model.trust_remote_code)
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise EngineError(f"{where}: the tokenizer of {path!r} cannot be loaded: {reason}; check the path") from error


def unasked(reason: str, prompt_tokens: int = 0) -> Completion:
    """What stands for the answer to a prompt that the model cannot be asked."""
    return Completion("", "", prompt_tokens, missing_reason=reason)


def _rejected(messages: Sequence[Message], error: Exception) -> str:
    reason = visible_line(" ".join(str(error).split())[:200])
    remedy = "ask single turns, or use a model whose template takes these roles"
    if any(message.role == "system" for message in messages):
        remedy = "set fold_system: true in the model's settings, or drop the system prompt"
    return f"the chat template rejects the roles {', '.join(m.role for m in messages)} ({reason}); {remedy}"


def _today() -> datetime.date:
    """Today, as transformers tells it to templates."""
    from transformers.utils import chat_template_utils

    clock: Any = getattr(chat_template_utils, "datetime", datetime.datetime)
    today: datetime.date = clock.now().date()
    return today


@contextmanager
def _date_is(date: str) -> Iterator[None]:
    """Templates read the clock of a module of transformers, which stands still meanwhile."""
    from transformers.utils import chat_template_utils

    moment = datetime.datetime.fromisoformat(date)

    class Still(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment

    module: Any = chat_template_utils
    clock = module.datetime
    module.datetime = Still
    try:
        yield
    finally:
        module.datetime = clock
