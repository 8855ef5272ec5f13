"""The patients of the clinic stay ill as they are meant to, whatever changes around them, and hurt nobody's machine.

What becomes of each when it is deployed, and mended, the lesson itself shows: its outputs are compared, and its
exercises are solved in CI.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from azure.ai.ml import load_online_deployment

ROOT = Path(__file__).parents[2]
CLINIC = ROOT / "notebooks/02_realtime/clinic"
PATIENTS = sorted(folder.parent.name for folder in CLINIC.glob("*/deployment.yml"))
ADDRESS_SPACE = 2**47  # bytes; of a process, on Linux and macOS


def script(patient: str) -> ModuleType:
    path = CLINIC / patient / "src/score.py"
    spec = importlib.util.spec_from_file_location(f"score_of_{patient}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "wine.npz", means=np.eye(3), scales=np.ones(3))
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))


REQUEST = json.dumps({"wines": np.eye(3).tolist()})


def test_there_are_eight_whose_names_say_nothing() -> None:
    assert len(PATIENTS) == 8
    assert all(len(name) <= 4 for name in PATIENTS)


@pytest.mark.parametrize("patient", PATIENTS)
def test_azures_client_reads_each(patient: str) -> None:
    deployment: Any = load_online_deployment(CLINIC / patient / "deployment.yml")
    assert deployment.name == patient
    assert (CLINIC / patient / deployment.code_configuration.code / "score.py").is_file()
    assert deployment.instance_type == "Standard_DS1_v2"


def test_ada_imports_what_her_own_file_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CLINIC / "ada/src")
    with pytest.raises(ImportError, match="cannot import name 'to_row' from 'measurements'"):
        script("ada")


@pytest.mark.usefixtures("model")
def test_ben_looks_in_a_folder_that_a_registered_file_has_not() -> None:
    with pytest.raises(FileNotFoundError, match=r"wine_model/wine\.npz"):
        script("ben").init()


@pytest.mark.usefixtures("model")
def test_cleo_wants_another_request() -> None:
    cleo = script("cleo")
    cleo.init()
    with pytest.raises(KeyError, match="samples"):
        cleo.run(REQUEST)
    assert cleo.run(REQUEST.replace("wines", "samples")) == [0, 1, 2]


def test_dov_imports_what_no_environment_of_ours_has() -> None:
    """Were it in this one, the deployment would be well here, and ill on Azure."""
    with pytest.raises(ModuleNotFoundError, match="ujson"):
        script("dov")
    assert not re.search(r"^ujson\b", (ROOT / "constraints.txt").read_text(), re.MULTILINE | re.IGNORECASE)
    assert "ujson" not in (CLINIC / "dov/conda.yml").read_text()


def test_eva_takes_longer_than_her_probes_allow() -> None:
    probe = yaml.safe_load((CLINIC / "eva/deployment.yml").read_text())["readiness_probe"]
    allowed = probe["initial_delay"] + probe["timeout"] + probe["period"] * probe["failure_threshold"]
    assert 2 * allowed < script("eva").ROUNDS  # each takes a second
    assert allowed >= 10, "once she is mended, she has to start within it on a busy machine"


@pytest.mark.usefixtures("model")
def test_finn_asks_for_more_than_any_process_can_address() -> None:
    """So he is refused wherever he runs, also where memory is overcommitted, and nothing is ever filled."""
    finn = script("finn")
    assert 8 * finn.CUSTOMERS**2 > ADDRESS_SPACE
    with pytest.raises(MemoryError, match=r"Unable to allocate \d+\. TiB"):
        finn.init()


def test_gus_works_for_longer_than_his_probe_waits() -> None:
    probe = yaml.safe_load((CLINIC / "gus/deployment.yml").read_text())["liveness_probe"]
    work = re.search(r"time\.sleep\((\d+)\)", (CLINIC / "gus/src/score.py").read_text())
    assert work and int(work[1]) > (probe["period"] + probe["timeout"]) * probe["failure_threshold"]


@pytest.mark.usefixtures("model")
def test_hana_returns_what_is_no_json() -> None:
    hana = script("hana")
    hana.init()
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(hana.run(REQUEST))
