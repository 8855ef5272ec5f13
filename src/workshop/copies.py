"""A learner's own copy of the notebooks: brought, brought up to date, started again; nothing of theirs is ever lost.

The copy lies in ``~/workbook/notebooks``. It is brought from the trainer's folder as that stands, committed or not.

nbgitpuller, which JupyterHubs often use for this, does something else (version 1.3.0, ``nbgitpuller/pull.py``): it
merges by ``git merge -Xours``, line by line, and a notebook is JSON: where the trainer's change and the learner's meet
in one file, the learner finds their own code above the stored output of another one, and cells of two versions. It
brings back what a learner has deleted, and it needs a repository in which every change is a commit. Here each file is
of one version.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[1]
ALLOWED_SECONDS = 300.0  # a first copy takes one; thirty at once, on a slow disk, thirty


class CopyError(Exception):
    """The copy could be neither brought nor reset, for a reason that only the trainer can mend."""


def bring(source: Path, home: Path) -> list[str]:
    """Make a learner's copy of the notebooks, or bring it up to date.

    A file that the learner has not touched becomes the newest. One that they have changed stays as it is, and the new
    one is laid beside it, as "... (new version)"; one that they have deleted stays deleted.

    Args:
        source: the workbook's root, which holds ``notebooks/course.yml``.
        home: the learner's home, of which they own the folder. Root works in it with the owner's rights, so that no
            link leads it astray; anybody else works in it with their own.

    Returns:
        What the learner finds changed, a sentence each; none where nothing has.

    Raises:
        CopyError: the workbook or the home is not as it has to be.
    """
    return _in_process("bring", source, home)


def reset(source: Path, home: Path, what: str) -> list[str]:
    """Let a learner, whose server does not run, start again. What they had is moved into ``~/set-aside``, not deleted.

    Args:
        source: the workbook's root.
        home: the learner's home.
        what: ``"lesson:02_realtime/01_deploy_with_keys.ipynb"``, with the files beside it that its code names;
            ``"notebooks"``; ``"service"``, the state of the learner's Azure ML; or ``"everything"``, progress and
            settings too.

    Returns:
        What was done, and where the old things are; then what :func:`bring` says, as it brings the newest.

    Raises:
        CopyError: the workbook or the home is not as it has to be, or there is no such lesson.
    """
    return _in_process("reset", source, home, what)


def _in_process(action: str, source: Path, home: Path, *arguments: str) -> list[str]:
    """Do it in a process of its own: only a process can give up its rights for good."""
    try:
        done = subprocess.run(  # noqa: S603 - a command of our own
            [sys.executable, "-P", "-s", "-S", "-m", "workshop.copying", action, str(source), str(home), *arguments],
            env={"PYTHONPATH": str(PACKAGES), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},  # and no secret
            cwd="/",
            umask=0o022,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ALLOWED_SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise CopyError(f"The copy in {home} took over {ALLOWED_SECONDS:.0f} s; the next start goes on.") from error
    except ValueError as error:
        said = done.stderr.decode(errors="replace")[-2000:]
        raise CopyError(f"The copy in {home} ended early; the next start mends it. It said: {said}") from error
    if answer["error"]:
        raise CopyError(answer["error"])
    return list(answer["sentences"])
