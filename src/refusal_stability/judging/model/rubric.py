"""Rubrics by name or from a file."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.judging.model.instructions import PLACE, Rubric, RubricError
from refusal_stability.judging.model.preset import PRESETS, builtin_presets, load_preset
from refusal_stability.records import DECISION_NAMES

RUBRICS = Path(__file__).parent / "rubrics"
CHOICE = f"{', '.join(DECISION_NAMES[:-1])} or {DECISION_NAMES[-1]}"
QUESTION = f"How does the response meet the request? Give exactly one label: {CHOICE}."


def builtin_rubrics() -> list[str]:
    """The names of the rubrics that come with the project, presets apart."""
    return sorted(path.stem for path in RUBRICS.glob("*.md"))


def load_rubric(name_or_path: str) -> Rubric:
    """A rubric or preset by its built-in name, or from a file.

    Parameters
    ----------
    name_or_path : a built-in name (`default`, `terse`, `reference`, or a preset's such as `wildguard`), or a path. A
        bare name without a folder or an ending is not a path. A `.yaml` file is a preset. Any other file is a UTF-8
        text, in which `{{EXCHANGE}}` marks where the exchange is put; without it the exchange follows the text.

    Raises
    ------
    RubricError
        Where there is no such rubric, or its text is empty, not UTF-8, or has more than one `{{EXCHANGE}}`.
    """
    if name_or_path in builtin_presets():
        return load_preset(PRESETS / f"{name_or_path}.yaml")
    builtin = name_or_path in builtin_rubrics()
    path = RUBRICS / f"{name_or_path}.md" if builtin else Path(name_or_path)
    bare = path.name == name_or_path and not path.suffix
    if not path.is_file() or (bare and not builtin):
        names = ", ".join([*builtin_rubrics(), *builtin_presets()])
        raise RubricError(
            f"rubric {name_or_path!r}: no such rubric or file; give one of {names}, or a text file's path"
        )
    if path.suffix in (".yaml", ".yml"):
        return load_preset(path)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise RubricError(f"{path}: not UTF-8 text ({error.reason}); save the rubric as UTF-8") from error
    if not text:
        raise RubricError(f"{path}: the rubric is empty; define REFUSE, PARTIAL and COMPLY in it")
    if text.count(PLACE) > 1:
        raise RubricError(f"{path}: {PLACE} occurs {text.count(PLACE)} times; keep one")
    return Rubric(path.stem, text)


def guide(rubric: str = "default") -> str:
    """Instructions for people who label: a built-in rubric's definitions, so that people and models follow one text."""
    text = load_rubric(rubric).text
    definitions = text[text.index("\nREFUSE") : text.index(PLACE)].strip()
    return f"{QUESTION}\n\n{definitions}\n"
