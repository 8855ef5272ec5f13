"""Which notebooks the workbook has, in the order in which they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PATTERN = "[0-9][0-9]_*/[0-9][0-9]_*.ipynb"


class NotFoundError(LookupError):
    """The workbook lacks what was asked for; the message is a sentence that names what it has."""


@dataclass(frozen=True)
class Notebook:
    """One lesson. ``path`` is relative to the working directory, such as ``notebooks/02_realtime/01_deploy.ipynb``."""

    path: Path

    @property
    def name(self) -> str:
        """The path with forward slashes, on every system."""
        return self.path.as_posix()

    @property
    def part(self) -> str:
        """The two digits of the folder, such as ``02``."""
        return self.path.parent.name[:2]


def find(folder: Path) -> list[Notebook]:
    """The notebooks ``<PP>_<name>/<nn>_<name>.ipynb`` under ``folder``, ordered by part and number.

    Raises NotFoundError when there are none.
    """
    notebooks = [Notebook(path) for path in sorted(folder.glob(_PATTERN))]
    if not notebooks:
        raise NotFoundError(f"There are no notebooks in {folder.as_posix()}/. Run this in the workbook's folder.")
    return notebooks


def select(notebooks: Sequence[Notebook], part: str | None, names: Sequence[str]) -> list[Notebook]:
    """Those of ``part`` (all where it is None) that ``names`` mean (all where it is empty), in the order given.

    A name is the end of a notebook's path, with or without ``.ipynb``: ``01_deploy``, ``02_realtime/01_deploy``.
    Raises NotFoundError for a part or a name that no notebook has.
    """
    in_part = [notebook for notebook in notebooks if part in (None, notebook.part)]
    if not in_part:
        parts = sorted({notebook.path.parent.name for notebook in notebooks})
        raise NotFoundError(f'There is no part "{part}". The parts are {", ".join(parts)}: give the two digits.')
    for name in names:
        if not any(_means(name, notebook) for notebook in in_part):
            known = ", ".join(notebook.name for notebook in in_part)
            where = "" if part is None else f" in part {part}"
            raise NotFoundError(f'There is no notebook "{name}"{where}. There are {known}.')
    return [notebook for notebook in in_part if not names or any(_means(name, notebook) for name in names)]


def _means(name: str, notebook: Notebook) -> bool:
    wanted = Path(name.removesuffix(".ipynb")).parts
    return bool(wanted) and notebook.path.absolute().with_suffix("").parts[-len(wanted) :] == wanted
