"""Neither lessons nor helpers depend on the local service, but for the few functions that speak to it by name.

By reading the code, and by running lessons where the package is not to be had (tests/foreign_azure.py); all of the
others that can run so are in tests/heavy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import nbformat
import pytest
from lessons import IDS, LESSONS, ROOT, code_cells, read

from course.catalogue import Lesson
from foreign_azure import ForeignAzure, foreign_azure

pytestmark = pytest.mark.slow

PACKAGE = "azureml_local"
# Where there is no service to speak to: on Azure each of these does something else, before it comes to the import.
MAY_IMPORT = {
    ("connection.py", "_connect_to_this_machine"),
    ("connection.py", "second_identity"),
    ("connection.py", "remove_identity"),
    ("connection.py", "preempt"),
    ("connection.py", "spark_is_there"),
    ("connection.py", "kubectl_apply"),
    ("connection.py", "kubernetes_manifests"),
}
# A command that a lesson starts on this machine, where it is asked to.
MAY_NAME = MAY_IMPORT | {("hosts.py", "_command")}
# In the order of the course: what each says there.
LIGHT = {
    "choose_a_vm_size": "",
    "deploy_with_keys": "about 8 minutes, at most 0.02 USD, 0.00 USD so far (0.15 USD an hour)",
}
SECONDS = 300


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield the module's own statements and functions, each with the name of the function at its top level."""
    for node in tree.body:
        yield getattr(node, "name", ""), node


def _imports(node: ast.AST) -> bool:
    return any(
        (isinstance(one, ast.Import) and any(name.name.partition(".")[0] == PACKAGE for name in one.names))
        or (isinstance(one, ast.ImportFrom) and (one.module or "").partition(".")[0] == PACKAGE)
        for one in ast.walk(node)
    )


def _names(node: ast.AST) -> bool:
    """Whether a text that is no documentation names the package, as in ``python -m azureml_local``."""
    documentation = {
        one.body[0].value
        for one in ast.walk(node)
        if isinstance(one, ast.FunctionDef | ast.ClassDef | ast.Module) and isinstance(one.body[0], ast.Expr)
    }
    return any(
        isinstance(one, ast.Constant) and one not in documentation and PACKAGE in str(one.value)
        for one in ast.walk(node)
    )


def _where(folder: str) -> Iterator[tuple[str, str, ast.AST]]:
    for path in sorted((ROOT / "src" / folder).rglob("*.py")):
        for name, node in _functions(ast.parse(path.read_text(encoding="utf-8"))):
            yield path.name, name, node


def test_only_the_functions_that_speak_to_the_local_service_import_it() -> None:
    found = {(file, function) for file, function, node in _where("helpers") if _imports(node)}
    assert found == MAY_IMPORT
    assert not [(file, function) for file, function, node in _where("designer") if _imports(node) or _names(node)]


def test_each_of_them_has_another_way_on_azure_before_it_imports() -> None:
    """``if backend == "azure"`` with a return, or what ``connect`` calls for ``"local"`` only."""
    for file, function, node in _where("helpers"):
        if (file, function) in MAY_IMPORT - {("connection.py", "_connect_to_this_machine")}:
            assert isinstance(node, ast.FunctionDef)
            turns = [
                one.lineno
                for one in node.body
                if isinstance(one, ast.If)
                and ast.unparse(one.test) == "backend == 'azure'"
                and isinstance(one.body[-1], ast.Return)
            ]
            assert turns and turns[0] < min(one.lineno for one in ast.walk(node) if _imports_here(one)), function


def _imports_here(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom) and _imports(node)


def test_nothing_else_names_it() -> None:
    found = {(file, function) for file, function, node in _where("helpers") if _names(node)}
    assert found <= MAY_NAME


@pytest.mark.parametrize("lesson", LESSONS, ids=IDS)
def test_no_lesson_imports_it(lesson: Lesson) -> None:
    """Nor names it, but where the cell asks first whether this machine is meant."""
    for cell in code_cells(read(lesson)):
        tree = ast.parse(cell.source)
        assert not _imports(tree), cell.source
        if _names(tree):
            (asking,) = [one for one in tree.body if isinstance(one, ast.If)]
            assert ast.unparse(asking.test) == "backend == 'local'"
            assert not any(_names(one) for one in tree.body if one is not asking)


@pytest.fixture(scope="module")
def azure() -> Iterator[ForeignAzure]:
    with foreign_azure() as started:
        yield started


def test_the_package_cannot_be_had_there(azure: ForeignAzure) -> None:
    """Otherwise what follows would prove nothing."""
    assert "ModuleNotFoundError: azureml_local is not to be had" in azure.python("import azureml_local").stderr
    refused = azure.python('import helpers; helpers.connect("local")')
    assert refused.returncode == 1 and "ModuleNotFoundError" in refused.stderr


@pytest.mark.parametrize("lesson", [one for one in LESSONS if one.id in LIGHT], ids=list(LIGHT))
def test_a_lesson_runs_where_there_is_only_azure(azure: ForeignAzure, lesson: Lesson) -> None:
    """And says there what long waits take and cost, and what the lesson has cost."""
    said = "".join(_said(azure.assert_passes(lesson, SECONDS), "stderr"))
    assert "Starting Azure ML on this machine" not in said
    assert LIGHT[lesson.id] in said
    assert "The machines of this lesson have cost at most" in said


def _said(notebook: nbformat.NotebookNode, stream: str) -> Iterator[str]:
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.get("name") == stream:
                yield output.text
