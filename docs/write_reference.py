"""Write `parameters.md` and `commands.md` from the code, as `make docs` does; `--check` fails where they differ."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from annotated_types import Ge, Gt

from refusal_stability.cli import app
from refusal_stability.params.engines.settings import ENGINES
from refusal_stability.params.judge_kinds import JUDGE_KINDS
from refusal_stability.params.study import StudyParams

DOCS = Path(__file__).resolve().parent
NAMES = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", Any: "anything"}
PARAMETERS_HEAD = """# Parameters

Every key of `params.yaml`: what it means, what it takes and its default. `make docs` writes this page from the code. A
key that is left out takes its default. An unknown key, or a value that does not fit, is an error that names the key.
`<name>` is a name of your own.
"""
COMMANDS_HEAD = """# Commands

Every command of `refusal-stability`. `make docs` writes this page from the code. `make` lists the targets that call
them. The Tab key can [complete commands and options](running.md#complete-commands-with-the-tab-key).
"""


def parameters() -> str:
    """The page of parameters: the study's sections, then the settings of each engine and each kind of judge."""
    parts = [PARAMETERS_HEAD]
    place: dict[type, str] = {}
    for section, key in sections(StudyParams, ""):
        if section in place:
            parts.append(f"## `{key}`\n\nThe same keys as `{place[section]}`.\n")
        else:
            parts.append(section_text(f"`{key}`" if key else "The study", section))
        place.setdefault(section, key)
    for name, settings in sorted(ENGINES.items()):
        parts.append(section_text(f"`models.<name>.settings` of `engine: {name}`", settings))
    for name, kind in sorted(JUDGE_KINDS.items()):
        parts.append(section_text(f"`judging.judges.<name>.settings` of `kind: {name}`", kind))
    return "\n".join(parts)


def sections(section: type, key: str) -> Iterator[tuple[type, str]]:
    """A section and those within it, each with its key."""
    yield section, key
    hints = get_type_hints(section)
    for field in fields(section):  # type: ignore[arg-type]
        inner, mark = held(hints[field.name])
        if inner is not None:
            yield from sections(inner, f"{key}.{field.name}{mark}".lstrip("."))


def held(hint: Any) -> tuple[type | None, str]:
    """The section that a key holds, if any, and what stands behind the key: `.<name>` for many, `[]` for a list."""
    hint = bare(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return hint, ""
    if get_origin(hint) in (dict, list):
        inner = bare(get_args(hint)[-1])
        if isinstance(inner, type) and is_dataclass(inner):
            return inner, ".<name>" if get_origin(hint) is dict else "[]"
    return None, ""


def section_text(title: str, section: type) -> str:
    """A section's heading, what its class says of it, and a row for each key."""
    hints = get_type_hints(section, include_extras=True)
    said = documented(section)[0].strip()
    meant = meanings(section)
    if unsaid := {field.name for field in fields(section)} - meant.keys():  # type: ignore[arg-type]
        sys.exit(f"{section.__name__}: say under Attributes of its docstring what these mean: {', '.join(unsaid)}")
    rows = [
        f"| `{field.name}` | {meant[field.name]} | {takes(hints[field.name])} | {default(field)} |"
        for field in fields(section)  # type: ignore[arg-type]
    ]
    table = ["| key | meaning | takes | default |", "|---|---|---|---|", *rows] if rows else ["No settings."]
    return "\n".join([f"## {title}", "", said, "", *table, ""])


def documented(section: type) -> tuple[str, str]:
    """What a section's class says of itself, and its list of attributes."""
    text = inspect.cleandoc(section.__doc__ or "")
    said, _, attributes = text.partition("\nAttributes\n----------\n")
    return said, attributes


def meanings(section: type) -> dict[str, str]:
    """Attribute -> its sentence, from the lines `name : sentence` of a section's class and those it inherits from."""
    found: dict[str, str] = {}
    for part in reversed(section.__mro__):
        if is_dataclass(part):
            for entry in re.split(r"\n(?=\w)", documented(part)[1]):
                name, _, words = entry.partition(" : ")
                if words:
                    found[name] = one_line(words[0].upper() + words[1:])
    return found


def takes(hint: Any) -> str:
    """What a key takes, in words; a check's own words where it has some."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        said = [words for words in map(check_words, hint.__metadata__) if words]
        return said[-1] if said else takes(parts[0])
    if origin in (Union, UnionType):
        words = [takes(part) for part in parts if part is not NoneType]
        null = NoneType in parts and not words[0].startswith("null")
        return ("null or " if null else "") + " or ".join(words)
    if origin is list:
        return f"list of: {takes(parts[0])}"
    if origin is dict:
        names = takes(parts[0])
        keys = f"keys: {names}" if names.startswith("one of") else "keys of your own"
        return f"{keys}; values: {takes(parts[1])}"
    if isinstance(hint, type) and is_dataclass(hint):
        return "a section, see below"
    return NAMES.get(hint, str(getattr(hint, "__name__", hint)))


def check_words(check: Any) -> str:
    if isinstance(check, Ge | Gt):
        return f"a number over {check.gt}" if isinstance(check, Gt) else f"a whole number, at least {check.ge}"
    inner = getattr(check, "metadata", None)
    if inner:
        return next(filter(None, map(check_words, inner)), "")
    func = getattr(check, "func", None)
    words = func.__doc__ if getattr(func, "__qualname__", "").startswith("rule.") else ""
    return (words or "").replace("|", "\\|")


def bare(hint: Any) -> Any:
    while get_origin(hint) is Annotated or NoneType in get_args(hint):
        hint = get_args(hint)[0]
    return hint


def default(field: Field[Any]) -> str:
    """A key's default, as YAML has it."""
    if field.default_factory is not MISSING:
        made = field.default_factory()
        return "the section's own" if "Params(" in str(made) else f"`{made}`"
    if field.default is MISSING:
        return "required"
    values = {None: "`null`", True: "`true`", False: "`false`", "": "empty"}
    known = values.get(field.default) if isinstance(field.default, bool | str | None) else None
    return known or f"`{field.default}`"


def commands() -> str:
    """The page of commands."""
    return "\n".join([COMMANDS_HEAD, *command_texts(typer.main.get_command(app), "refusal-stability")])


def command_texts(command: Any, name: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        for part, found in sorted(inner.items()):
            yield from command_texts(found, f"{name} {part}")
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join([name, *(usage_of(argument) for argument in arguments)])
    yield f"## {name.partition(' ')[2]}\n\n{one_line(command.help)}\n\n```sh\n{usage}\n```\n"
    rows = [(f"`{usage_of(p)}`", p) for p in arguments] + [(f"`{', '.join(p.opts)}`", p) for p in options]
    if rows:
        said = [f"| {shown} | {one_line(getattr(p, 'help', ''))} |" for shown, p in rows]
        yield "\n".join(["| argument or option | meaning |", "|---|---|", *said, ""])


def usage_of(argument: Any) -> str:
    shown = (argument.metavar or argument.name.upper()) + ("..." if argument.nargs != 1 else "")
    return shown if argument.required else f"[{shown}]"


def one_line(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").strip().replace("|", "\\|").replace("<", "&lt;")


PAGES = {"parameters.md": parameters, "commands.md": commands}

if __name__ == "__main__":
    stale = []
    for file, written in PAGES.items():
        text = written().rstrip() + "\n"
        if "--check" in sys.argv and (DOCS / file).read_text() != text:
            stale.append(file)
        elif "--check" not in sys.argv:
            (DOCS / file).write_text(text)
    if stale:
        sys.exit(f"docs/{', docs/'.join(stale)}: not what the code says; run `make docs`")
