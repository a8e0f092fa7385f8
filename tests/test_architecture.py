"""The import rules of docs/architecture.md, and dvc.yaml's `deps` held against the import graph."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from refusal_stability.commands.deps import (
    DATA_SUFFIXES,
    PACKAGE,
    SOURCE,
    imported_names,
    modules,
    own_imports,
    reachable,
    with_deps,
)
from refusal_stability.tables.metrics import METRIC_TABLES

ROOT = Path(__file__).resolve().parent.parent
MODULES = modules()
# What each room may import beside itself and the rooms that are open to all.
OPEN = {"readout", "records", "files", "params", "tables", "progress", "plain_text", "processes", "local_port"}
MAY_IMPORT: dict[str, set[str]] = {
    "readout": set(),
    "records": {"readout"},
    "files": {"records"},
    "params": {"records", "files"},
    "tables": {"records", "files", "params"},
    "progress": set(),
    "plain_text": set(),
    "processes": {"records"},
    "local_port": {"records"},
    "command_errors": set(),
    "dvc_files": set(),
    "stage_inputs": set(),
    "measures": {"records", "tables"},
    "prompts": set(),
    "engines": set(),
    "reference_model": {"engines", "judging", "prompts"},
    "judging": {"engines", "measures"},
    "study": {"measures"},
    "rounds": {"engines", "judging", "measures", "study"},
    "review": {"judging", "tracking"},
    "judge_report": {"judging", "measures", "review", "report"},
    "figures": set(),
    "report": set(),
    "tracking": {"engines", "judging"},
    "workload": {"engines", "judging", "prompts"},
    "exchange": {"engines", "judging", "prompts", "study"},
    "replication": {"engines", "exchange", "judging", "measures", "report", "study"},
    "explorer": {"figures", "review", "study"},
}
WIRING = {"stages", "commands"}
ONLY_IN = {
    "omegaconf": {"params.load"},
    "mlflow": {"tracking.server", "tracking.mlflow_log", "review.mlflow_queue"},
    "vllm": {"engines.vllm"},
    "streamlit": {"explorer.app", "explorer.labelling", "explorer.prompt_list", "explorer.session", "commands.explore"},
    "ray": {"engines.ray_cluster"},
}
HEAVY = {"torch", "transformers", "mlflow", "vllm", "ray", "aiohttp", "matplotlib", "seaborn", "sklearn", "statsmodels"}
HEAVY |= {"dvc"}
# Tables of data: lists of phrases may be long.
LONG_FILES = {"judging/rules/phrases.py", "tables/columns.py"}
MOST_LINES = 350


def room(module: str) -> str:
    """The room that a module belongs to, e.g. `engines`."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [m for m in MODULES if m != PACKAGE])
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    here = room(module)
    rooms = {room(name) for name in own_imports(module)} - {here, ""}
    if here == "cli":
        allowed = WIRING | OPEN | {"command_errors", "stage_inputs"}
    elif here in WIRING:
        allowed = set(MAY_IMPORT)
    elif here in OPEN or here == "measures":
        allowed = MAY_IMPORT[here]
    else:
        allowed = MAY_IMPORT[here] | OPEN
    assert rooms <= allowed, f"{module} imports {sorted(rooms - allowed)}"


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in WIRING])
def test_no_stage_or_command_imports_another(module: str) -> None:
    others = {n for n in own_imports(module) if room(n) in WIRING and n.count(".") > 1 and n != module}
    assert not others


def test_no_modules_import_each_other_in_a_circle_lazily_or_not() -> None:
    graph = {m: {n for n in imported_names(m) if n in MODULES and n != m} for m in MODULES}
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for name in sorted(graph[module]):
                walk(name, (*path, module))
            done.add(module)

    for module in MODULES:
        walk(module, ())


@pytest.mark.parametrize("module", MODULES)
def test_a_guarded_library_is_imported_only_where_it_belongs(module: str) -> None:
    here = module.removeprefix(f"{PACKAGE}.")
    for library, places in ONLY_IN.items():
        if any(name.split(".")[0] == library for name in imported_names(module)):
            assert here in places, f"{module} imports {library}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_are_imported_inside_the_function_that_needs_them(module: str) -> None:
    heavy = {name.split(".")[0] for name in imported_names(module, top_level_only=True)} & HEAVY
    assert not heavy, f"{module} imports {sorted(heavy)} when it is imported"


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "measures"])
def test_measures_see_neither_paths_nor_parameters(module: str) -> None:
    forbidden = {"pathlib", "os", "mlflow", "matplotlib", f"{PACKAGE}.params", f"{PACKAGE}.files", "typer"}
    assert not imported_names(module) & forbidden


@pytest.mark.parametrize("module", MODULES)
def test_no_module_uses_anothers_privates(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    taken = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE)
        for alias in node.names
        if alias.name.startswith("_")
    }
    names = {
        (alias.asname or alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if f"{node.module}.{alias.name}" in MODULES
    }
    taken |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    }
    assert not taken, f"{module} uses {sorted(taken)}"


# Streamlit runs these itself; whoever else imports them would load it without need.
PAGES = {f"{PACKAGE}.explorer.{name}" for name in ("app", "labelling", "prompt_list", "session")}


@pytest.mark.parametrize("module", [m for m in MODULES if m not in PAGES])
def test_only_the_explorers_pages_load_streamlit(module: str) -> None:
    assert "streamlit" not in {name.split(".")[0] for name in imported_names(module, top_level_only=True)}
    assert not own_imports(module) & PAGES


def test_records_need_nothing_but_the_standard_library() -> None:
    assert own_imports(f"{PACKAGE}.records") - {PACKAGE, f"{PACKAGE}.records"} == {f"{PACKAGE}.readout"}
    outside = {n.split(".")[0] for name in ("records", "readout") for n in imported_names(f"{PACKAGE}.{name}")}
    assert outside - {PACKAGE} <= sys.stdlib_module_names


def test_deps_in_dvc_yaml_are_what_the_stages_import() -> None:
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert not with_deps(graph), "dvc.yaml is out of date: run `make deps`"


@pytest.mark.parametrize("stage", ["train_reference", "prompts", "generate", "judge"])
def test_pages_runs_and_metric_columns_rerun_nothing_that_costs(stage: str) -> None:
    rooms = {room(name) for name in reachable(f"{PACKAGE}.stages.{stage}")}
    assert not rooms & {"report", "tracking", "review", "judge_report", "figures", "explorer", "measures"}
    assert f"{PACKAGE}.tables.columns" not in reachable(f"{PACKAGE}.stages.{stage}")


@pytest.mark.parametrize("module", MODULES)
def test_a_file_stays_short(module: str) -> None:
    file = MODULES[module]
    if file.relative_to(SOURCE).as_posix() not in LONG_FILES:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "stages"])
def test_a_stage_is_a_thin_entry(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 65


# A stage or command is `run`. What a room reads is `read`. A table's builder, its figure and its section bear its name.
SHARED_NAMES = {"run", "main", "read", *METRIC_TABLES}


def test_no_public_name_is_defined_in_two_rooms() -> None:
    rooms: dict[str, set[str]] = {}
    for module, file in MODULES.items():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            # What the command line calls a command is not a name of the code.
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and room(module) != "cli":
                rooms.setdefault(node.name, set()).add(room(module))
    assert not {name: sorted(places) for name, places in rooms.items() if len(places) > 1 and name not in SHARED_NAMES}


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {"utils", "common", "helpers", "misc"} & {name.split(".")[-1] for name in MODULES}


def test_the_architecture_page_names_files_that_are_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w./]+/[\w.]*)`", page) if not name.startswith(("data/", "reports/"))}
    assert len(named) > 40
    assert not {name for name in named if not (SOURCE / name).exists() and not (ROOT / name).exists()}


def test_the_files_beside_the_code_reach_the_wheel() -> None:
    tomllib = pytest.importorskip("tomllib")
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][PACKAGE]
    endings = {Path(p).suffix for p in patterns}
    data = {f for f in SOURCE.rglob("*") if f.is_file() and f.suffix not in (".py", ".pyc")}
    assert {f.suffix for f in data} <= endings
    assert {f.suffix for f in data} <= {*DATA_SUFFIXES, ".txt", ".html"}
