"""The environment of a web service: what its components' own environments name, together, and the inference server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from designer.declarations import Declaration
from designer.errors import GraphError, Problem

SERVING = Path(__file__).parent / "environments" / "serving.yml"
NAME = re.compile(r"[\w.-]+")  # what a requirement begins with, of conda as of pip


def write(components: Iterable[Declaration], path: Path) -> None:
    """Write the conda file for a web service of these components.

    Raises:
        GraphError: two of them want different versions of a package.
    """
    files = dict.fromkeys([file for component in components if (file := _conda_file(component))] + [SERVING])
    contents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    dependencies = [one for content in contents for one in content["dependencies"]]
    by_conda = _joined(one for one in dependencies if isinstance(one, str))
    by_pip = _joined(requirement for one in dependencies if isinstance(one, dict) for requirement in one["pip"])
    joined = {
        "name": "web-service",
        "channels": list(dict.fromkeys(channel for content in contents for channel in content.get("channels", ()))),
        "dependencies": [*by_conda, {"pip": by_pip}],
    }
    path.write_text(yaml.safe_dump(joined, sort_keys=False), encoding="utf-8")


def _joined(requirements: Iterator[str]) -> list[str]:
    """Return each requirement once."""
    found: dict[str, str] = {}
    for one in requirements:
        name = NAME.match(one)
        key = name[0].lower() if name else one
        if found.setdefault(key, one) != one:
            raise GraphError(Problem(f"One component needs {found[key]}, another one {one}: a web service has one."))
    return list(found.values())


def _conda_file(component: Declaration) -> Path | None:
    """Return a component's conda file, where it has one that lies here."""
    if component.path is None:
        return None
    environment: Any = yaml.safe_load(component.path.read_text(encoding="utf-8")).get("environment")
    if not isinstance(environment, dict) or "conda_file" not in environment:
        return None
    return component.path.parent.joinpath(environment["conda_file"]).resolve()
