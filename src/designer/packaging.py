"""An inference graph as a web service: a folder to register as one model, and one with the code that serves it.

    <folder>/model/    graph.json and assets/: the trained models and transformations, and data that no request brings
    <folder>/code/     score.py, the components' modules, swagger2.json and swagger3.json
    <folder>/conda.yml what it needs to run

They are deployed with ordinary calls of the SDK, see ``Package``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designer import conda, openapi
from designer.contract import contract, nodes_of, value_of
from designer.declarations import Declaration, Library
from designer.downloads import download
from designer.errors import GraphError, Problem
from designer.graph import FromInput, Graph
from designer.rewriting.realtime import INPUT
from designer.samples import sample

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

RUNTIME = Path(__file__).parent / "runtime"
MODULES = "designer_modules"
SCORE = "score.py"
GRAPH, ASSETS = "graph.json", "assets"
PARTS = MODEL, CODE, CONDA = "model", "code", "conda.yml"


class PackageError(Exception):
    """A web service cannot be packaged: something is missing, or it does not score its own example."""


@dataclass(frozen=True)
class Package:
    """A web service's files.

    They are registered and deployed so, with an image for inference such as
    ``mcr.microsoft.com/azureml/minimal-py311-inference``::

        model = ml_client.models.create_or_update(Model(name="flights", path=package.model))
        ManagedOnlineDeployment(
            model=model,
            code_configuration=CodeConfiguration(code=package.code, scoring_script="score.py"),
            environment=Environment(image=IMAGE, conda_file=package.conda_file),
            ...)

    Args:
        folder: where they lie.
    """

    folder: Path

    @property
    def model(self) -> str:
        """The folder to register as a model."""
        return str(self.folder / MODEL)

    @property
    def code(self) -> str:
        """The folder with the code."""
        return str(self.folder / CODE)

    @property
    def conda_file(self) -> str:
        """What it needs to run."""
        return str(self.folder / CONDA)

    @cached_property
    def contract(self) -> dict[str, Any]:
        """What it takes and gives: the content of ``graph.json``."""
        return json.loads(Path(self.model, GRAPH).read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    @property
    def example(self) -> dict[str, Any]:
        """A request that it answers: the first row of the data that the graph was made with."""
        return openapi.example_request(self.contract)


def package(
    graph: Graph,
    folder: str | Path,
    ml_client: MLClient | None = None,
    *,
    data: Mapping[str, str | Path] | None = None,
    folders: Sequence[str | Path] = (),
) -> Package:
    """Write the files of a web service, and have it score its example.

    Args:
        graph: a real-time inference graph: with a Web Service Input and a Web Service Output.
        folder: where to write; a package that is there is replaced once the new one has scored its example.
        ml_client: the workspace that holds what the graph's inputs name.
        data: local folders for inputs of the graph, by their names; the others are fetched from the workspace.
        folders: where a learner's own components lie, as for ``load_components``; needed where the graph was read from
            a job, which does not know that.

    Raises:
        GraphError: the graph is none for a web service, or what an input names is not there.
        PackageError: something is missing; or the web service does not score its example.
    """
    target = Package(Path(folder).resolve())
    _refuse_others(target)
    target.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.folder, prefix=".package-") as scratch:
        made = Package(Path(scratch))
        places = _Places(graph, ml_client, data or {}, Path(scratch, "data"))
        described = contract(graph, _samples(graph, places))
        for name in _assets(described):
            shutil.copytree(places.of(name), Path(made.model, ASSETS, name))
        _write(made, described, _components(graph, described, Library(*folders)))
        for name in PARTS:
            _replace(target.folder / name, made.folder / name)
    return target


def _write(made: Package, described: dict[str, Any], components: Sequence[Declaration]) -> None:
    """Write what a package has beside its assets, and have it score its example."""
    _write_json(Path(made.model, GRAPH), described)
    _copy_code(components, Path(made.code))
    conda.write(components, Path(made.conda_file))
    described["outputs"] = _with_answers(made, described)
    _write_json(Path(made.model, GRAPH), described)
    _write_json(Path(made.code, "swagger2.json"), openapi.version_2(described))
    _write_json(Path(made.code, "swagger3.json"), openapi.version_3(described))


def _refuse_others(target: Package) -> None:
    """Raise PackageError where the folder has files of these names that are no package's: they are not replaced."""
    is_package = Path(target.model, GRAPH).is_file() and Path(target.code, MODULES).is_dir()
    there = [name for name in PARTS if (target.folder / name).exists()]
    if there and not is_package:
        raise PackageError(f"{target.folder} has {there[0]!r}, which is no package's: choose another folder.")


def _replace(old: Path, new: Path) -> None:
    if old.is_dir():
        shutil.rmtree(old)
    new.replace(old)


class _Places:
    """Local folders with what the inputs of a graph name, each fetched once."""

    def __init__(
        self, graph: Graph, ml_client: MLClient | None, given: Mapping[str, str | Path], scratch: Path
    ) -> None:
        self._graph = graph
        self._ml_client = ml_client
        self._scratch = scratch
        self._found = {name: Path(place) for name, place in given.items()}

    def of(self, name: str) -> Path:
        """Return the folder for an input."""
        if name not in self._found:
            wanted = self._graph.inputs[name]
            if self._ml_client is None:
                raise PackageError(
                    f"Input {name!r} is {wanted.path}: hand over ml_client, or data={{{name!r}: folder}}."
                )
            self._found[name] = download(self._ml_client, name, wanted, self._scratch / name)
        return self._found[name]


def _samples(graph: Graph, places: _Places) -> dict[str, dict[str, Any]]:
    """Return what the sample of each Web Service Input says."""
    samples = {}
    for name, node in nodes_of(graph, INPUT).items():
        binding = node.bindings.get("dataset")
        if not isinstance(binding, FromInput):
            raise GraphError(Problem("The sample has to be an input of the graph.", name, "dataset"))
        samples[name] = sample(places.of(binding.name), value_of(node, "label_column"))
    return samples


def _assets(described: Mapping[str, Any]) -> list[str]:
    sources = [source for node in described["nodes"] for source in node["inputs"].values()]
    return list(dict.fromkeys(source["asset"] for source in sources if "asset" in source))


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def _components(graph: Graph, described: Mapping[str, Any], library: Library) -> list[Declaration]:
    """Return the components that a service runs, as they are declared in a file where there is one."""
    by_module = {one.module: one for one in library.values()}
    used = [graph.nodes[node["name"]].component for node in described["nodes"]]
    return [one if one.path else by_module.get(one.module, one) for one in used]


def _copy_code(components: Iterable[Declaration], code: Path) -> None:
    """Copy our modules, those beside the declarations of a learner's own components, and the scoring script."""
    shutil.copytree(RUNTIME, code, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(RUNTIME / MODULES / "serving" / SCORE, code / SCORE)
    for component in components:
        file = "/".join(component.module.split(".")[:-1]) + ".py"
        if component.path and (component.path.parent / file).is_file():
            for beside in component.path.parent.glob("*.py"):
                shutil.copy(beside, code / beside.name)
        elif not (RUNTIME / MODULES / file).is_file():
            raise PackageError(f"{component.display_name}: {file} is missing. In which of the folders=[...] is it?")


def _with_answers(made: Package, described: Mapping[str, Any]) -> dict[str, Any]:
    """Score the example in a process that has nothing but the package; return the outputs with what came of it.

    Raises:
        PackageError: it cannot be scored.
    """
    command = [sys.executable, "-m", f"{MODULES}.serving", made.model, "format=classic", "details=true"]
    finished = subprocess.run(  # noqa: S603 - the package that was just written
        command,
        input=json.dumps(_classic(openapi.example_request(described))),
        env={**os.environ, "PYTHONPATH": made.code, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=made.code,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise PackageError(f"The service does not score its own example: {_why(finished)}")
    tables = {name: one["value"] for name, one in json.loads(finished.stdout).items()}
    return {name: {**one, **_answered(tables[name])} for name, one in described["outputs"].items()}


def _why(finished: subprocess.CompletedProcess[str]) -> str:
    """Return why an example was not scored: what was answered; and where that says it is in the log, the log."""
    answered = json.loads(finished.stdout)["error"] if finished.stdout else {"code": 500, "message": ""}
    log = f"\n{finished.stderr.strip()}" if answered["code"] == 500 else ""
    return f"{answered['message']}{log}"


def _classic(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request in the format ``classic``."""
    tables = {
        name: {"ColumnNames": list(rows[0]), "Values": [list(row.values()) for row in rows]}
        for name, rows in request["Inputs"].items()
    }
    return {**request, "Inputs": tables}


def _answered(table: Mapping[str, Any]) -> dict[str, Any]:
    names = table["ColumnNames"]
    return {
        "columns": [{"name": name, "type": kind} for name, kind in zip(names, table["ColumnTypes"], strict=True)],
        "example": [dict(zip(names, row, strict=True)) for row in table["Values"]],
    }
