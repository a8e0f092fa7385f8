"""What the names of columns and files say: `response_t{temperature}`, `{model}.csv`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ANY = "any"
NUMBER = r"\d+(?:[.,]\d+)?"
WHOLE = r"\d+"
TOLD = ("model", "temperature", "repeat")
PLACEHOLDER = re.compile(r"\{(model|temperature|repeat|any)(?::([^{}]+))?\}")


def tells(text: str) -> bool:
    """Whether a text is a template that tells a model, a temperature or a repeat."""
    return any(name != ANY for name, _ in PLACEHOLDER.findall(text))


@dataclass(frozen=True)
class Template:
    """A name with placeholders: `{model}`, `{temperature}`, `{repeat}`, `{any}`, or a choice as `{model:a|b}`."""

    text: str

    @cached_property
    def told(self) -> tuple[str, ...]:
        """What it tells, in the order of the text; a placeholder that stands twice is there twice."""
        return tuple(name for name, _ in PLACEHOLDER.findall(self.text) if name != ANY)

    @cached_property
    def literal(self) -> int:
        """How many letters of it are no placeholder; of two templates that fit a name, the one with more counts."""
        return len(PLACEHOLDER.sub("", self.text))

    def of_name(self, name: str) -> dict[str, str] | None:
        """What a column's name says; None where it is not of this form."""
        found = self._pattern(".+").fullmatch(name)
        return found and found.groupdict()

    def of_path(self, path: str | Path) -> dict[str, str] | None:
        """What the end of a path says, as many folders of it as the template has."""
        end = "/".join(Path(path).parts[-1 - self.text.count("/") :])
        found = self._pattern("[^/]+").fullmatch(end)
        return found and found.groupdict()

    def _pattern(self, text: str) -> re.Pattern[str]:
        forms: Mapping[str, str] = {"model": text, "temperature": NUMBER, "repeat": WHOLE}
        pieces, at = [], 0
        for found in PLACEHOLDER.finditer(self.text):
            name, choices = found[1], found[2]
            pieces.append(re.escape(self.text[at : found.start()]))
            form = "|".join(map(re.escape, choices.split("|"))) if choices else forms.get(name, f"(?:{text})?")
            pieces.append(f"(?:{form})" if name == ANY else f"(?P<{name}>{form})")
            at = found.end()
        return re.compile("".join([*pieces, re.escape(self.text[at:])]), re.DOTALL)
