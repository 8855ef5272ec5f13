"""Components of the Designer in a workspace: each under its name and version, which mean one thing for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.ai.ml import MLClient

import designer

DECLARATION = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: count_rows
display_name: {title}
version: 1.0.0
inputs: {{dataset: {{type: uri_folder}}}}
outputs: {{rows: {{type: uri_folder}}}}
environment: {{image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04}}
command: {command} ${{{{inputs.dataset}}}} > ${{{{outputs.rows}}}}/rows
"""


def _registered(ml: MLClient, folder: Path, suffix: str, command: str) -> str:
    (folder / "count_rows.yml").write_text(DECLARATION.format(title="Count Rows", command=command), encoding="utf-8")
    found = designer.register_components(ml, names=["count_rows"], suffix=suffix, folders=[folder])
    return str(found["count_rows"].version)


def test_a_version_stays_what_it_is(ml: MLClient, tmp_path: Path, name: str) -> None:
    suffix = "_" + name.replace("-", "_")
    assert [_registered(ml, tmp_path, suffix, "wc -l") for _ in range(2)] == ["1.0.0", "1.0.0"]
    newer = [_registered(ml, tmp_path, suffix, "cat") for _ in range(2)]
    assert newer[0] == newer[1] != "1.0.0"
    old = ml.components.get(f"count_rows{suffix}", "1.0.0")
    assert old.command.startswith("wc -l") and ml.components.get(f"count_rows{suffix}", newer[0]).command[:3] == "cat"


def test_a_component_that_is_not_in_the_library_is_named(ml: MLClient) -> None:
    with pytest.raises(designer.GraphError, match=r"no component 'train_modle'; there are: .*train_model"):
        designer.register_components(ml, names=["train_modle"])
