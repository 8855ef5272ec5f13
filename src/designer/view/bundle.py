"""The interactive view's JavaScript: one module, bundled at set-up from what lies in ``interactive``.

``python -m designer.view.bundle`` does it, with npm and esbuild, into the Python environment's ``share`` folder.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path

import node_packages

SOURCE = Path(__file__).parent / "interactive"
FOLDER = node_packages.SHARE / "azureml-workbook" / "designer-view"
BUILT = FOLDER / "built"
SCRIPT, STYLE = BUILT / "graph.js", BUILT / "graph.css"
MADE_OF = BUILT / "made-of"  # the fingerprint of the sources
COMMAND = "python -m designer.view.bundle"


def is_built() -> bool:
    """Say whether it was built, of these sources."""
    return MADE_OF.exists() and MADE_OF.read_text(encoding="utf-8") == _fingerprint()


@cache
def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _sources() -> list[Path]:
    return sorted(path for path in SOURCE.iterdir() if path.is_file())


def build() -> None:
    """Install what it is made of, check its types, bundle it.

    Raises:
        NpmError: npm could not; the message says why.
    """
    if not node_packages.is_installed(SOURCE, FOLDER):
        node_packages.install(SOURCE, FOLDER)
    for path in _sources():
        shutil.copyfile(path, FOLDER / path.name)
    node_packages.npm(FOLDER, "run", "build", "--", f"--outdir={BUILT}")
    MADE_OF.write_text(_fingerprint(), encoding="utf-8")


def main() -> int:
    """Build it where it was not. Returns 0 where it is there."""
    if not is_built():
        print("Building the Designer's interactive view with npm: about 10 seconds ...", flush=True)
        try:
            build()
        except node_packages.NpmError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
