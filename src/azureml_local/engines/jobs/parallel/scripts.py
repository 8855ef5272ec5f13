"""What an entry script imports: its worker process can do that while the inputs are still on their way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def imports(script: Path, code: Path) -> list[str]:
    """Return the modules that a script imports as it is loaded, without those among the job's own code.

    Args:
        script: the file; where it is none, or no Python, there is nothing to import.
        code: the folder of the job's code.
    """
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []  # whoever loads it says what is wrong
    own = {path.stem for folder in (code, script.parent) for path in folder.iterdir()}
    return [name for name in dict.fromkeys(_names(tree)) if name.partition(".")[0] not in own]


def _names(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            yield statement.module
