"""Every public function of the measures documents its parameters and what it returns."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from refusal_stability import measures

FOLDER = Path(measures.__file__).parent
TREES = {file.stem: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.py"))}
FUNCTIONS = {
    f"{module}.{getattr(owner, 'name', '')}.{node.name}": node
    for module, tree in TREES.items()
    for owner in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef)))
    for node in owner.body
    if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_measure_is_documented_in_full(name: str) -> None:
    node = FUNCTIONS[name]
    text = ast.get_docstring(node) or ""
    given = [*node.args.args, *node.args.kwonlyargs, *filter(None, [node.args.vararg])]
    described = text.partition("Parameters\n---")[2].partition("Returns\n---")[0]
    assert not [arg.arg for arg in given if arg.arg != "self" and arg.arg not in described]
    properties = {"property", "cached_property"}
    is_property = any(isinstance(mark, ast.Name) and mark.id in properties for mark in node.decorator_list)
    returns_nothing = isinstance(node.returns, ast.Constant) and node.returns.value is None
    assert "Returns\n---" in text or "Yields\n---" in text or is_property or returns_nothing
