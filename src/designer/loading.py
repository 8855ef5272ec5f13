"""Components as azure-ai-ml has them: to be called in a function of ``@dsl.pipeline``, and to be registered."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designer.declarations import Declaration, Library
from designer.errors import GraphError, Problem

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import CommandComponent


class Components:
    """Components by their names, each an attribute that is loaded when it is first used.

    In a function of ``@dsl.pipeline`` each is called with its ports and parameters:
    ``components.split_data(dataset=cleaned.outputs.cleaned_dataset, fraction=0.7)``.

    Args:
        library: their declarations.
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def __getattr__(self, name: str) -> CommandComponent:
        if name.startswith("_") or name not in self._library:
            close = get_close_matches(name, self._library, 1)
            raise AttributeError(f"There is no component {name!r}.{f' Is {close[0]!r} meant?' if close else ''}")
        component: CommandComponent = _load(self._library[name])
        setattr(self, name, component)
        return component

    def __dir__(self) -> list[str]:
        return sorted(self._library)

    def __iter__(self) -> Iterator[str]:
        return iter(self._library)

    def __repr__(self) -> str:
        lines = []
        for category in sorted({one.category for one in self._library.values()}):
            names = [name for name, one in self._library.items() if one.category == category]
            lines.append(f"{category}: {', '.join(sorted(names))}")
        return "\n".join(lines)


def load_components(*folders: Path | str) -> Components:
    """Return the components of the Designer, and those in other folders, for a function of ``@dsl.pipeline``.

    Args:
        folders: each with the YAML files of further components.
    """
    return Components(Library(*folders))


def register_components(
    ml_client: MLClient, *, names: Collection[str] = (), suffix: str = "", folders: Collection[Path | str] = ()
) -> dict[str, CommandComponent]:
    """Register components in a workspace, and return them as the workspace has them, by their names here.

    Each has the version that it declares. Where the workspace has another component under that, such as one of an older
    library, the version is the workspace's next one: what it has stays as it is.

    Args:
        ml_client: the connected workspace.
        names: which; all where there are none.
        suffix: what follows each name in the workspace, e.g. ``"_1a2b3"``.
        folders: with further components, as for ``load_components``.

    Raises:
        GraphError: there is no component of one of the names.
    """
    library = Library(*folders)
    if missing := [name for name in names if name not in library]:
        raise GraphError(Problem(f"There is no component {missing[0]!r}; there are: {', '.join(sorted(library))}."))
    return {name: _registered(ml_client, library[name], suffix) for name in names or library}


def _registered(ml_client: MLClient, declared: Declaration, suffix: str) -> CommandComponent:
    from azure.core.exceptions import ResourceExistsError

    component = _load(declared)
    component.name = f"{declared.name}{suffix}"
    found: CommandComponent
    try:
        found = ml_client.components.create_or_update(component)
    except ResourceExistsError:
        component.version = None
        found = ml_client.components.create_or_update(component, skip_if_no_change=True)
    return found


def _load(declared: Declaration) -> Any:
    from azure.ai.ml import load_component

    return load_component(declared.path)
