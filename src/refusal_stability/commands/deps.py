"""Write the source files that each DVC stage imports into `deps` of dvc.yaml.

DVC does not follow Python imports. The list of files comes from the import graph, function-level imports included, so
that a change reruns exactly the stages that can notice it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import refusal_stability
from refusal_stability.files import atomic_write
from refusal_stability.records import StudyError

PACKAGE = "refusal_stability"
SOURCE = Path(refusal_stability.__file__).parent
STAGE_FILE = Path("dvc.yaml")
# These read parameters by value: data/params tells DVC when one changes, so that a new parameter reruns none of them.
BY_VALUE = ("train-reference", "prompts", "generate", "judge")
# What a module reads from its own folder when it runs: DVC must notice a change of these too.
DATA_SUFFIXES = (".csv", ".css", ".j2", ".js", ".json", ".md", ".mplstyle", ".ttf", ".yaml")


@cache
def modules() -> Mapping[str, Path]:
    """Every module of the project: dotted name -> file."""
    names = {}
    for file in sorted(SOURCE.rglob("*.py")):
        dotted = ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts)
        names[dotted.removesuffix(".__init__")] = file
    return names


@cache
def imported_names(module: str, top_level_only: bool = False) -> frozenset[str]:
    """Dotted names that a module imports; with `top_level_only`, only those imported when the module loads.

    A module that mentions a package's `__path__` loads whatever lies in the package.
    """
    found: set[str] = set()
    packages = {"__path__": module}
    searched: set[str] = set()
    pending: list[ast.AST] = [ast.parse(modules()[module].read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
            packages |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and node.attr == "__path__" and isinstance(node.value, ast.Name):
            searched.add(node.value.id)
        elif isinstance(node, ast.Name) and node.id == "__path__":
            searched.add(node.id)
        is_type_checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not (top_level_only and (is_type_checking or is_function)):
            pending.extend(ast.iter_child_nodes(node))
    folders = tuple(f"{packages[name]}." for name in searched if name in packages)
    return frozenset(found | {name for name in modules() if name.startswith(folders)})


def own_imports(module: str, top_level_only: bool = False) -> set[str]:
    """The project's modules that a module imports, with the packages that they lie in."""
    own = {name for name in imported_names(module, top_level_only) if name in modules()}
    return own | {parent for name in own for parent in modules() if name.startswith(f"{parent}.")}


def reachable(module: str) -> set[str]:
    """The project's modules that running a module may import, itself included."""
    seen: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(own_imports(name))
    return seen


def stage_sources(command: str) -> list[str]:
    """The source files that the stage behind `refusal-stability <command>` depends on, as paths for dvc.yaml, sorted.

    A data file of the package (a template, a rubric, a table) counts for every module in its folder, or in the folder
    above where it lies in one of its own.
    """
    module = f"{PACKAGE}.stages.{command.replace('-', '_')}"
    if module not in modules():
        raise StudyError(f"{STAGE_FILE}: `refusal-stability {command}` has no module {module}; add it under stages/")
    files = {modules()[name] for name in reachable(module)}
    files = {file for file in files if file.read_text(encoding="utf-8").strip()}
    folders = {file.parent for file in files if file.parent != SOURCE}
    for data in SOURCE.rglob("*"):
        if data.suffix in DATA_SUFFIXES and (data.parent in folders or data.parent.parent in folders):
            files.add(data)
    if command in BY_VALUE:
        files = {f for f in files if not f.is_relative_to(SOURCE / "params") or f.name == "study.py"}
    root = SOURCE.parent.parent
    return sorted(file.relative_to(root).as_posix() for file in files if file != SOURCE / "__init__.py")


def with_deps(graph: Mapping[str, Any]) -> list[str]:
    """Put the current source files into each stage of a parsed dvc.yaml; returns the changed stages."""
    changed = []
    for name, stage in graph["stages"].items():
        definition = stage.get("do", stage)
        command = str(definition["cmd"]).split()[1]
        others = [dep for dep in definition["deps"] if not str(dep).startswith("src/")]
        wanted = sorted([*others, *stage_sources(command)])
        if list(definition["deps"]) != wanted:
            definition["deps"][:] = wanted
            changed.append(str(name))
    return changed


def run(check: bool = False) -> None:
    """Rewrite dvc.yaml where a stage's source files are out of date; with `check`, only say so and fail."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    graph = yaml.load(STAGE_FILE.read_text(encoding="utf-8"))
    changed = with_deps(graph)
    if check and changed:
        raise StudyError(f"{STAGE_FILE}: deps of {', '.join(changed)} are out of date; run `make deps`")
    if changed:
        with atomic_write(STAGE_FILE) as file:
            yaml.dump(graph, file)
    print(f"{STAGE_FILE}: " + (f"new deps for {', '.join(changed)}" if changed else "deps are up to date"))
