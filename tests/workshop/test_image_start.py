"""What the image starts with brings the notebooks into the home, and hands its process to the command.

The image itself is built and run in tests/heavy/test_learner_image.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def _start(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "workshop.image", *command],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_runs_among_the_notebooks_with_what_lessons_need(tmp_path: Path) -> None:
    home = tmp_path / "home"
    said = _start(home, "sh", "-c", "pwd; ls; echo $AZUREML_LOCAL_HOME $AZUREML_LOCAL_CLOCK_FACTOR; exit 7")
    lines = said.stdout.splitlines()
    assert (said.returncode, said.stderr) == (7, "")
    assert str(home / "workbook" / "notebooks") in lines and "course.yml" in lines
    assert lines[-1] == f"{home / '.azureml-local'} 60"


def test_what_was_changed_stays_when_it_starts_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _start(home, "sh", "-c", "echo '# mine' > glossary.md")
    assert _start(home, "cat", "glossary.md").stdout.endswith("# mine\n")


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = _start(tmp_path / "home", "jupyterhub-singel")
    assert said.returncode == 1
    assert "jupyterhub-singel cannot be run: " in said.stderr
