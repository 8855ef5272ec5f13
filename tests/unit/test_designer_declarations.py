"""Every component's declaration fits its function, its command, and what azure-ai-ml takes for a component.

Truth: the functions' signatures (registry.inputs_of), azure-ai-ml's own load_component, and the shell.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import typing
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from azure.ai.ml import load_component
from designer_modules import registry

from designer.declarations import (
    ANY,
    DATASET,
    IMAGES,
    MODEL,
    OUR_COMPONENTS,
    TRANSFORMATION,
    UNTRAINED,
    Declaration,
    Library,
    declaration,
)
from designer.reading import dumped

DECLARATIONS = list(Library().values())
PORT_TYPES = {
    DATASET: "uri_folder",
    UNTRAINED: "uri_folder",
    IMAGES: "uri_folder",
    ANY: "uri_folder",
    MODEL: "custom_model",
    TRANSFORMATION: "custom_model",
}
KEPT_AS = {
    DATASET: {"Dataset"},
    UNTRAINED: {"UntrainedModel", "UntrainedNetwork"},
    MODEL: {"TrainedModel", "TrainedNetwork"},
    TRANSFORMATION: {"Transformation", "ImageTransformation"},
    IMAGES: {"ImageDirectory"},
}
LITERALS: dict[str, type] = {"string": str, "number": float, "integer": int, "boolean": bool}
# https://learn.microsoft.com/azure/machine-learning/component-reference/component-reference
CATEGORIES = {
    "Data Input and Output",
    "Data Transformation",
    "Feature Selection",
    "Statistical Functions",
    "Machine Learning Algorithms",
    "Regression",
    "Clustering",
    "Classification",
    "Model Training",
    "Model Scoring and Evaluation",
    "Python Language",
    "Computer Vision",
    "Web Service",
}

each = pytest.mark.parametrize("declared", DECLARATIONS, ids=lambda declared: declared.name)


def _command(declared: Declaration) -> str:
    assert declared.path is not None
    return str(yaml.safe_load(declared.path.read_text())["command"])


def _class_names(function: registry.Function, port: str) -> set[str]:
    """The names of the class of a function's port, and of those that it is made of."""
    return {one.__name__ for one in registry.inputs_of(function)[port].type.__mro__}


@each
def test_azure_ai_ml_loads_it(declared: Declaration) -> None:
    assert declared.path is not None
    component = load_component(declared.path)
    assert component._validate().passed, component._validate().error_messages
    assert (component.name, component.version) == (declared.path.stem, declared.version)


@each
def test_it_is_described_as_people_know_it(declared: Declaration) -> None:
    assert declared.category.split("/")[0] in CATEGORIES  # a part of a part, e.g. Computer Vision/Image Classification
    texts = [declared, *declared.inputs.values(), *declared.parameters.values(), *declared.outputs.values()]
    assert all(one.description for one in texts)


@each
def test_its_ports_and_parameters_are_its_functions(declared: Declaration) -> None:
    """In the function's order, with its defaults; what may be left out has a default there."""
    function = registry.find(declared.module)
    inputs = registry.inputs_of(function)
    ports = {name for name, one in inputs.items() if one.is_port}
    assert set(declared.inputs) == ports
    assert list(declared.parameters) == [name for name in inputs if name not in ports]
    for name, port in declared.inputs.items():
        assert port.optional == inputs[name].optional, name
        assert KEPT_AS.get(port.data_type, {"object"}) & _class_names(function, name), name
    for name, parameter in declared.parameters.items():
        assert inputs[name].type is LITERALS[parameter.type], name
        assert (parameter.default is not None or parameter.optional) == inputs[name].optional, name
        if parameter.default is not None:
            assert registry.literal(parameter.default, inputs[name].type) == _default(function, name), name


def _default(function: registry.Function, name: str) -> object:
    return inspect.signature(function).parameters[name].default


@each
def test_its_outputs_are_what_its_function_returns(declared: Declaration) -> None:
    returned = typing.get_type_hints(registry.find(declared.module))["return"]
    types = typing.get_args(returned) if typing.get_origin(returned) is tuple else (returned,)
    assert len(types) == len(declared.outputs)
    for port, kind in zip(declared.outputs.values(), types, strict=True):
        assert KEPT_AS.get(port.data_type, {"object"}) & {one.__name__ for one in kind.__mro__}, port.name


@each
def test_its_ports_have_azures_type_and_the_designers(declared: Declaration) -> None:
    for port in (*declared.inputs.values(), *declared.outputs.values()):
        assert port.type == PORT_TYPES[port.data_type], port.name
    assert declared.path is not None
    tags = yaml.safe_load(declared.path.read_text())["tags"]
    named = {tag.removeprefix("port.") for tag in tags if tag.startswith("port.")}
    assert named == {*declared.inputs, *declared.outputs}


@each
def test_its_bounds_are_of_its_type(declared: Declaration) -> None:
    for parameter in declared.parameters.values():
        if parameter.enum and parameter.default is not None:
            assert parameter.default in parameter.enum, parameter.name
        if parameter.type in ("number", "integer") and parameter.default is not None:
            lowest = parameter.min if parameter.min is not None else parameter.default
            highest = parameter.max if parameter.max is not None else parameter.default
            assert lowest <= parameter.default <= highest, parameter.name


@each
def test_its_command_hands_everything_over(declared: Declaration, tmp_path: Path) -> None:
    """A shell runs the command with texts of all kinds in place; the program gets them as they were."""
    values = {name: f"/data/{name}" for name in (*declared.inputs, *declared.outputs)}
    values |= {name: _sample(declared, name) for name in declared.parameters}
    for given in (values, {name: text for name, text in values.items() if not _optional(declared, name)}):
        module, arguments, texts = _run(_filled(_command(declared), given), tmp_path)
        assert module == declared.module
        options = dict(zip(arguments[::2], arguments[1::2], strict=True))
        handed = {name.removeprefix("--"): texts.get(value, value) for name, value in options.items()}
        assert handed == given
        outputs = [name.removeprefix("--") for name in options if name.removeprefix("--") in declared.outputs]
        assert outputs == list(declared.outputs)


def _optional(declared: Declaration, name: str) -> bool:
    return any(name in group and group[name].optional for group in (declared.inputs, declared.parameters))


def _sample(declared: Declaration, name: str) -> str:
    parameter = declared.parameters[name]
    if parameter.enum:
        return parameter.enum[-1]
    if parameter.type != "string":
        return str(parameter.default if parameter.default is not None else 1)
    if _comes_by_here_document(_command(declared), name):
        return """SELECT "a b", 'it''s', `c`, $HOME, $(id), \\n, 100% \\\nFROM t1 -- "\n"""
    return 'a "quoted", $HOME `id` \\ text'


def _comes_by_here_document(command: str, name: str) -> bool:
    return re.search(rf"^\${{{{inputs.{name}}}}}$", command, re.MULTILINE) is not None


def _filled(command: str, values: dict[str, str]) -> str:
    """Fill a command in as Azure does: https://learn.microsoft.com/azure/machine-learning/reference-yaml-component-command."""

    def optional(match: re.Match[str]) -> str:
        names = re.findall(r"inputs\.(\w+)", match[1])
        return match[1] if all(name in values for name in names) else ""

    command = re.sub(r"\$\[\[(.*?)\]\]", optional, command, flags=re.DOTALL)
    return re.sub(r"\$\{\{(?:inputs|outputs)\.(\w+)\}\}", lambda match: values[match[1]], command)


# Stands in for Python: writes down its arguments, and the texts of here-documents.
_RECORDER = """#!/bin/sh
printf '%s\\0' "$@" > "$0.arguments"
for file in /dev/fd/0 /dev/fd/3 /dev/fd/4 /dev/fd/5; do
  case " $* " in *" $file "*) cat "$file" > "$0.$(basename "$file")" ;; esac
done
"""


def _run(command: str, folder: Path) -> tuple[str, Sequence[str], dict[str, str]]:
    python = folder / "python"
    python.write_text(_RECORDER)
    python.chmod(0o755)
    subprocess.run(["/bin/bash", "-c", command], check=True, env={"PATH": f"{folder}:/usr/bin:/bin"}, cwd=folder)
    dash_m, package, module, *arguments = (folder / "python.arguments").read_text().rstrip("\0").split("\0")
    assert (dash_m, package) == ("-m", "designer_modules")
    texts = {}
    for name in ("/dev/fd/0", "/dev/fd/3", "/dev/fd/4", "/dev/fd/5"):
        kept = folder / f"python.{Path(name).name}"
        if kept.exists():
            texts[name] = kept.read_text().removesuffix("\n")
    return module, arguments, texts


def test_every_file_is_named_as_its_component() -> None:
    """All parts of the library are looked at above, and none twice."""
    assert sorted(path.stem for path in OUR_COMPONENTS.glob("*.yml")) == sorted(one.name for one in DECLARATIONS)
    names = [one.display_name for one in DECLARATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("declared", DECLARATIONS, ids=lambda one: one.name)
def test_ports_and_parameters_keep_their_order_in_a_pipeline(declared: Declaration) -> None:
    """azure-ai-ml sorts them by name; a function returns its outputs in the order in which they are declared."""
    sent = declaration(dumped(load_component(declared.path)))
    for kind in ("inputs", "parameters", "outputs"):
        assert list(getattr(sent, kind)) == list(getattr(declared, kind))
