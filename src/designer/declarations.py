"""Components as they are declared: a v2 command component in YAML, with the data type of each port in its tags.

Azure's own port types (``uri_folder``, ``custom_model``) cannot tell a trained model from a transformation; the
Designer's names for them (``ModelDirectory``, ``TransformationDirectory``) stand in the component's tags, where they
stay when it is registered: ``port.trained_model: ModelDirectory``. The tag ``module`` names the function that does the
work, e.g. ``training.train_model``; ``at_inference``, what becomes of the component in an inference pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from designer.literals import literal

OUR_COMPONENTS = Path(__file__).parent / "components"
CATEGORY, MODULE, PORT, AT_INFERENCE = "category", "module", "port.", "at_inference"
DATASET, MODEL, UNTRAINED, TRANSFORMATION, IMAGES, ANY = (
    "DataFrameDirectory",
    "ModelDirectory",
    "UntrainedModelDirectory",
    "TransformationDirectory",
    "ImageDirectory",
    "AnyDirectory",
)
DATA_TYPES = {  # in words
    DATASET: "dataset",
    MODEL: "trained model",
    UNTRAINED: "untrained model",
    TRANSFORMATION: "transformation",
    IMAGES: "image directory",
    ANY: "data",
}
ANONYMOUS = "azureml_anonymous"  # what azure-ai-ml calls the components that it sends with a job
LITERALS = ("string", "number", "integer", "boolean")  # the types of inputs that are parameters, not ports


def with_article(words: str) -> str:
    """Return what a type of data is called, as in "an untrained model"."""
    if words == DATA_TYPES[ANY]:
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@dataclass(frozen=True)
class Port:
    """A place where data enters or leaves a component.

    Args:
        name: e.g. ``trained_model``.
        type: Azure's, e.g. ``custom_model``.
        data_type: the Designer's, e.g. ``ModelDirectory``.
        optional: whether an input may stay unconnected.
        description: what goes through it.
    """

    name: str
    type: str
    data_type: str
    optional: bool = False
    description: str = ""


def first_port(ports: Mapping[str, Port], *data_types: str) -> str:
    """Return the name of the first port for one of these types of data; empty where there is none."""
    return next((name for name, port in ports.items() if port.data_type in data_types), "")


@dataclass(frozen=True)
class Parameter:
    """A literal that a component takes: its type (Azure's), default, and bounds (``enum``, ``min``, ``max``)."""

    name: str
    type: str
    default: Any = None
    optional: bool = False
    enum: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    description: str = ""


@dataclass(frozen=True)
class Declaration:
    """A component: what it is called, its ports and parameters.

    Args:
        module: the function that does its work, e.g. ``training.train_model``.
        name: the component's, e.g. ``select_columns_in_dataset``; a registered one may have a suffix.
        version: the component's.
        display_name: as people know it from the Designer, e.g. ``Select Columns in Dataset``.
        category: the part of the library that it is in, e.g. ``Data Transformation``.
        inputs: its input ports, by name, in order.
        parameters: its parameters, by name, in order.
        outputs: its output ports, by name, in order.
        path: the YAML file, where it was read from one.
        description: what it does.
        at_inference: ``scores`` where it asks a trained model, ``passes_data_on`` where it only picks rows; else empty.
        id: where a workspace has it, e.g. ``azureml:train_model:1``; empty for one that is not there.
        body: the whole of it, as its YAML says it. Paths in it are relative to the folder of ``path``.
    """

    module: str
    name: str
    version: str
    display_name: str
    category: str
    inputs: Mapping[str, Port]
    parameters: Mapping[str, Parameter]
    outputs: Mapping[str, Port]
    path: Path | None = field(default=None, compare=False)
    description: str = ""
    at_inference: str = ""
    id: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def declaration(body: Mapping[str, Any], path: Path | None = None, id: str = "") -> Declaration:
    """Read a component's declaration, as its YAML says it."""
    tags = body.get("tags") or {}
    inputs, outputs = (_in_order(body.get(kind) or {}, body.get("command", "")) for kind in ("inputs", "outputs"))
    literals = {name: one for name, one in inputs.items() if one["type"] in LITERALS}
    name = _name(body)
    return Declaration(
        module=tags.get(MODULE, name),
        name=name,
        version=str(body.get("version", "1")),
        display_name=body.get("display_name") or name,
        category=tags.get(CATEGORY, "Custom"),
        inputs={name: _port(name, one, tags) for name, one in inputs.items() if name not in literals},
        parameters={name: _parameter(name, one) for name, one in literals.items()},
        outputs={name: _port(name, one, tags) for name, one in outputs.items()},
        path=path,
        description=body.get("description", ""),
        at_inference=tags.get(AT_INFERENCE, ""),
        id=id,
        body=body,
    )


def _in_order(ports: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Return ports and parameters in the order of the command's options: azure-ai-ml sorts them by name."""
    places = {name: found.start() for name in ports if (found := re.search(rf"--{re.escape(name)}\b", command))}
    return {name: ports[name] for name in sorted(ports, key=lambda name: places.get(name, len(command)))}


def _name(body: Mapping[str, Any]) -> str:
    """Return a component's name. One that was sent with a job has lost its own: its function's stands in."""
    name = str(body.get("name") or ANONYMOUS)
    if name != ANONYMOUS:
        return name
    module = (body.get("tags") or {}).get(MODULE)
    return module.rpartition(".")[2] if module else re.sub(r"\W+", "_", body.get("display_name") or name).lower()


def _port(name: str, body: Mapping[str, Any], tags: Mapping[str, str]) -> Port:
    data_type = tags.get(PORT + name, ANY)
    return Port(name, body["type"], data_type, bool(body.get("optional")), body.get("description", ""))


def _parameter(name: str, body: Mapping[str, Any]) -> Parameter:
    default, least, most = (
        None if (value := body.get(key)) is None else literal(value, body["type"]) for key in ("default", "min", "max")
    )
    return Parameter(
        name,
        body["type"],
        default,
        bool(body.get("optional")),
        tuple(body.get("enum") or ()),
        least,
        most,
        body.get("description", ""),
    )


class Library(Mapping[str, Declaration]):
    """Declarations by the names of their components: ours, and those in other folders.

    Args:
        folders: each with the YAML files of further components.
    """

    def __init__(self, *folders: Path | str) -> None:
        theirs = [one for folder in folders for one in _in_folder(Path(folder).resolve())]
        self._found = {one.name: one for one in (*_ours(), *theirs)}

    def __getitem__(self, name: str) -> Declaration:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


@cache
def _ours() -> tuple[Declaration, ...]:
    return _in_folder(OUR_COMPONENTS)


def _in_folder(folder: Path) -> tuple[Declaration, ...]:
    # libyaml's loader: the other takes a quarter of a second for ours, in every process that builds a graph.
    return tuple(
        declaration(yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader), path)
        for path in sorted(folder.glob("*.yml"))
    )
