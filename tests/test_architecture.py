"""The import rules, and each DVC stage's `deps` held against the modules that the stage really imports."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
PACKAGE = "refusal_stability"
MODULES = {
    ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted((SOURCE / PACKAGE).rglob("*.py"))
}
# Who may import which part of the project; `artifacts`, `params` and `records` are open to all but those below them.
MAY_IMPORT = {
    "records": set(),
    "params": {"records"},
    "artifacts": {"records", "params"},
    "measures": {"records"},
    "prompt_sources": set(),
    "engines": set(),
    "reference_model": {"engines", "judging", "prompt_sources"},
    "judging": {"engines", "measures", "spreadsheets"},
    "label_grid": {"measures"},
    "sides": set(),
    "spreadsheets": set(),
    "figures": set(),
    "report": set(),
    "published": {"measures", "report"},
    "run_plans": {"judging", "spreadsheets"},
    "tracking": {"engines", "run_plans"},
    "explorer": {"figures", "spreadsheets"},
    "stages": {
        "engines",
        "explorer",
        "figures",
        "judging",
        "label_grid",
        "measures",
        "prompt_sources",
        "published",
        "reference_model",
        "report",
        "run_plans",
        "sides",
        "tracking",
    },
    "cli": {"stages"},
}
OPEN = {"records", "params", "artifacts"}
ONLY_IN = {
    "omegaconf": {"params"},
    "mlflow": {"tracking"},
    "vllm": {"engines.vllm"},
    "openai": {"engines.openai"},
    "streamlit": {"explorer.app", "explorer.session", "stages.explore"},
}
HEAVY = {"torch", "transformers", "mlflow", "vllm", "openai", "matplotlib", "seaborn", "sklearn", "statsmodels", "dvc"}


@cache
def imports(module: str, top_level_only: bool = False) -> frozenset[str]:
    """Dotted names that a module imports; with `top_level_only`, only what runs when it is imported."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(MODULES[module].read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        is_type_checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not (top_level_only and (is_type_checking or is_function)):
            pending.extend(ast.iter_child_nodes(node))
    return frozenset(found)


def own_imports(module: str) -> set[str]:
    """The project's modules that a module imports, packages' `__init__` included."""
    own = {name for name in imports(module) if name in MODULES}
    return own | {parent for name in own for parent in MODULES if name.startswith(f"{parent}.")}


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


def part(module: str) -> str:
    """The part of the project that a module belongs to, e.g. `engines`."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [m for m in MODULES if m != PACKAGE])
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    here = part(module).split("_review")[0]
    allowed = MAY_IMPORT[here] | {here}
    if here not in OPEN:
        allowed |= OPEN if here != "measures" else {"records"}
    wrong = {n for n in own_imports(module) if part(n) and part(n).split("_review")[0] not in allowed}
    assert not wrong, f"{module} imports {sorted(wrong)}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith(f"{PACKAGE}.stages.")])
def test_no_stage_imports_another(module: str) -> None:
    others = {n for n in own_imports(module) if n.startswith(f"{PACKAGE}.stages.") and n != module}
    assert not others


@pytest.mark.parametrize("module", MODULES)
def test_a_guarded_library_is_imported_only_where_it_belongs(module: str) -> None:
    here = module.removeprefix(f"{PACKAGE}.")
    for library, places in ONLY_IN.items():
        if any(name.split(".")[0] == library for name in imports(module)):
            assert here in places or here.split("_review")[0] in places, f"{module} imports {library}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_are_imported_inside_the_function_that_needs_them(module: str) -> None:
    heavy = {name.split(".")[0] for name in imports(module, top_level_only=True)} & HEAVY
    assert not heavy, f"{module} imports {sorted(heavy)} when it is imported"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith(f"{PACKAGE}.measures")])
def test_measures_see_neither_paths_nor_parameters(module: str) -> None:
    forbidden = {"pathlib", "os", "mlflow", "matplotlib", f"{PACKAGE}.params", f"{PACKAGE}.artifacts"}
    assert not imports(module) & forbidden


# Streamlit runs these itself; whoever else imports them would load it without need.
PAGES = {f"{PACKAGE}.explorer.app", f"{PACKAGE}.explorer.session"}


@pytest.mark.parametrize("module", [m for m in MODULES if m not in PAGES])
def test_only_the_explorers_pages_load_streamlit(module: str) -> None:
    assert "streamlit" not in {name.split(".")[0] for name in imports(module, top_level_only=True)}
    assert not own_imports(module) & PAGES


def test_records_need_nothing_but_the_standard_library() -> None:
    import sys

    assert {name.split(".")[0] for name in imports(f"{PACKAGE}.records")} <= sys.stdlib_module_names | {"__future__"}


def stages() -> dict[str, dict[str, object]]:
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in graph.items()}


@pytest.mark.parametrize("stage", sorted(stages()))
def test_a_dvc_stage_depends_on_every_module_that_it_imports(stage: str) -> None:
    definition = stages()[stage]
    command = str(definition["cmd"]).split()[1].replace("-", "_")
    dependencies = [d for d in definition["deps"] if str(d).startswith("src/")]  # type: ignore[union-attr]
    needed = {
        str(MODULES[name].relative_to(ROOT))
        for name in reachable(f"{PACKAGE}.stages.{command}")
        if MODULES[name].read_text().strip() and name not in (PACKAGE, f"{PACKAGE}.stages")
    }
    missing = {file for file in needed if not any(file == d or file.startswith(f"{d}/") for d in dependencies)}
    assert not missing, f"dvc.yaml: stage {stage}: deps lack {sorted(missing)}"
    idle = {d for d in dependencies if not any(file == d or file.startswith(f"{d}/") for file in needed)}
    assert not idle, f"dvc.yaml: stage {stage}: deps name {sorted(idle)}, which the stage never imports"


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {"utils", "common", "helpers", "misc"} & {name.split(".")[-1] for name in MODULES}


def test_the_files_beside_the_code_reach_the_wheel() -> None:
    tomllib = pytest.importorskip("tomllib")
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][PACKAGE]
    endings = {Path(p).suffix for p in patterns}
    data = {f for f in (SOURCE / PACKAGE).rglob("*") if f.is_file() and f.suffix not in (".py", ".pyc")}
    assert {f.suffix for f in data} <= endings
