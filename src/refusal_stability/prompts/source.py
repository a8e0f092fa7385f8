"""What a prompt source is, and the register that each source enters under its own name.

A source is one file in `prompts/sources/`. Its function is marked with `@prompt_source(name, ...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from refusal_stability.params.prompts import PromptParams
from refusal_stability.records import Prompt, StudyError


class PromptSourceError(StudyError):
    """A prompt source that cannot be used: names the file or parameter, what was wrong, and the remedy."""


Reader = Callable[[Path, PromptParams], list[Prompt]]


@dataclass(frozen=True)
class PromptSource:
    """One registered source.

    Attributes
    ----------
    read : the prompts of a file; a source that comes with the project gets an empty path.
    url : where the file is downloaded from unless the study names one.
    limit : how many prompts a study takes where its parameters say nothing about size.
    has_file : whether the study may name a file.
    has_columns : whether the study names the columns.
    """

    read: Reader
    url: str | None = None
    limit: int | None = None
    has_file: bool = True
    has_columns: bool = False


REGISTER: dict[str, PromptSource] = {}


def prompt_source(
    name: str,
    *,
    url: str | None = None,
    limit: int | None = None,
    has_file: bool = True,
    has_columns: bool = False,
) -> Callable[[Reader], Reader]:
    """Register the function below as the reader of the source `name`; see `PromptSource`."""

    def registered(read: Reader) -> Reader:
        assert name not in REGISTER or REGISTER[name].read.__module__ == read.__module__, f"{name}: registered twice"
        REGISTER[name] = PromptSource(read, url, limit, has_file, has_columns)
        return read

    return registered
