"""A project that is not ours, tested on a service of its own, as docs/offline-tests.md has it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
import yaml

from azureml_local.daemon import DaemonError
from azureml_local.temporary_service import read_config
from running_service import clean_environment, wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "offline_tests"
SHOW = "import os, json; print(json.dumps(dict(os.environ)))"


def run(*arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of Python's modules, as a shell does."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=environment or clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which pytest finds the plugin as pyproject.toml has it installed."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "azureml_workbook-0.dist-info"
    info.mkdir()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    (info / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{k} = {v}\n" for k, v in declared.items()))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: azureml-workbook\nVersion: 0\n")
    environment = clean_environment()
    return {**environment, "PYTHONPATH": os.pathsep.join((str(folder), environment.get("PYTHONPATH", "")))}


def test_the_examples_tests_pass_with_two_workers(tmp_path: Path, installed: dict[str, str]) -> None:
    project = shutil.copytree(EXAMPLE, tmp_path / "wines", ignore=shutil.ignore_patterns("__pycache__"))
    finished = run("pytest", "-q", "-n", "2", "-W", "ignore", cwd=project, environment=installed)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "2 passed" in finished.stdout


def test_the_examples_program_knows_nothing_of_the_service() -> None:
    written = [*EXAMPLE.glob("wines/**/*.py"), EXAMPLE / "tests" / "test_wines.py"]
    assert len(written) == 5
    assert not [file for file in written if "azureml_local" in file.read_text()]


def test_the_examples_workflow_runs_what_the_page_says() -> None:
    workflow = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "tests.yml").read_text())
    page = (ROOT / "docs" / "offline-tests.md").read_text()
    commands = [step["run"] for step in workflow["jobs"]["tests"]["steps"] if "run" in step]
    assert commands[1:] == ["azureml-local doctor --install", "pytest"]
    assert all(command in page for command in commands)


def test_a_session_is_led_to_its_service_and_back(tmp_path: Path, installed: dict[str, str]) -> None:
    """What the tests see, and what is left of it after the last: written down by the project's own conftest."""
    (tmp_path / "conftest.py").write_text(
        "import os\nfrom pathlib import Path\n"
        "before = dict(os.environ)\n"
        "def pytest_unconfigure(config):\n"
        "    changed = {k for k in before | os.environ if before.get(k) != os.environ.get(k)}\n"
        "    Path('changed').write_text(' '.join(name for name in changed if not name.startswith('PYTEST_')))\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import json, os\nfrom pathlib import Path\nfrom azure.ai.ml import MLClient\n"
        "from azure.identity import DefaultAzureCredential\n"
        "def test_before():\n"
        "    assert 'AZUREML_LOCAL_PROXY' not in os.environ\n"
        "def test_it(azureml_local, azureml_workspace, ml_client):\n"
        "    Path('home').write_text(os.environ['AZUREML_LOCAL_HOME'])\n"
        "    own = MLClient.from_config(DefaultAzureCredential(), path=azureml_workspace.config_file)\n"
        "    assert own.workspace_name == azureml_workspace.workspace_name == os.environ['AZUREML_WORKSPACE_NAME']\n"
        "    both = {azureml_local.workspace_name, own.workspace_name}\n"
        "    assert {one.name for one in ml_client.workspaces.list()} == both\n"
        "def test_after(ml_client):\n"
        "    assert [one.name for one in ml_client.workspaces.list()] == [os.environ['AZUREML_WORKSPACE_NAME']]\n"
    )
    finished = run("pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", cwd=tmp_path, environment=installed)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (tmp_path / "changed").read_text() == ""
    assert not Path((tmp_path / "home").read_text()).exists()


def test_the_plugin_imports_nothing_before_it_is_used() -> None:
    code = "import sys, pytest; before = set(sys.modules); import azureml_local.pytest_plugin; "
    code += "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["azureml_local"]


def test_a_program_runs_with_a_service_under_its_own_names(tmp_path: Path) -> None:
    names = {
        "subscription_id": "5F08D643-1910-4A38-A7C7-84A39D4F42E0",
        "resource_group": "Ours",
        "workspace_name": "Mine",
    }
    (tmp_path / "config.json").write_text(json.dumps(names))
    (tmp_path / "program.py").write_text(
        "import os, sys\nfrom azure.ai.ml import MLClient\nfrom azure.identity import DefaultAzureCredential\n"
        "client = MLClient.from_config(DefaultAzureCredential(), enable_telemetry=False)\n"
        "print(client.workspaces.get(client.workspace_name).name, os.environ['AZUREML_LOCAL_HOME'])\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    command = ("azureml_local", "run", "--config", "config.json", "--", sys.executable, "program.py", "7")
    finished = run(*command, cwd=tmp_path)
    assert finished.returncode == 7, finished.stderr
    name, home = finished.stdout.split()
    assert name == "Mine"
    assert not Path(home).exists()


def test_nothing_is_left_of_a_run_that_was_killed(tmp_path: Path) -> None:
    program = "import os, time; print(os.environ['AZUREML_LOCAL_HOME'], flush=True); input()"
    command = [sys.executable, "-m", "azureml_local", "run", "--", sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment(), cwd=tmp_path
    ) as runner:
        assert runner.stdout is not None
        home = Path(runner.stdout.readline().strip())
        service = psutil.Process(json.loads((home / "service.json").read_text())["pid"])
        family = [service, *service.children(recursive=True)]
        assert len(family) > 1  # Azurite, at least
        runner.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    wait_for(lambda: not home.exists(), "the folder is deleted", 20)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "azureml-local run needs a program: azureml-local run -- python train.py"),
        (("--", "no-such-program"), "There is no program 'no-such-program' that you may run."),
        (("--config", "none.json", "--", "true"), "none.json cannot be read as a workspace's config.json"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    finished = run("azureml_local", "run", *arguments, cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.startswith(says)
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"subscription_id": "s", "resource_group": "g"}', "'workspace_name'"),
        (
            '{"subscription_id": "<yours>", "resource_group": "g", "workspace_name": "w"}',
            "subscription_id is '<yours>'",
        ),
        ('{"subscription_id": "s", "resource_group": "a/b", "workspace_name": "w"}', "resource_group is 'a/b'"),
    ],
)
def test_a_config_file_that_names_no_workspace_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(DaemonError, match=re.escape(says)):
        read_config(file)
