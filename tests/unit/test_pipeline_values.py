"""What a component takes, which values fit, what refers to what, and where outputs lie; all without a service.

Truth: https://learn.microsoft.com/azure/machine-learning/reference-yaml-component-command (types, default, optional,
enum, min, max), reference-yaml-core-syntax (references), how-to-manage-inputs-outputs-pipeline (templates of paths);
the forms are those that azure-ai-ml sends.
"""

from __future__ import annotations

from typing import Any

import pytest

from azureml_local.arm.pipelines import interfaces, places, references, settings, shapes, wiring
from azureml_local.arm.pipelines.interfaces import InterfaceError
from azureml_local.arm.pipelines.references import Input, Output, StepOutput, Unknown
from azureml_local.arm.pipelines.wiring import Given


def declared(**given: Any) -> interfaces.Input:
    return interfaces.inputs_of({"inputs": {"x": given}})["x"]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("integer", ["3", "-3"], ["3.5", "three", ""]),
        ("number", ["3", "0.5", "1e-3"], ["half", ""]),
        ("boolean", ["True", "false", "1"], ["yes", "2"]),
        ("string", ["", "3", "True"], []),
    ],
)
def test_literals_of_a_type(kind: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        interfaces.require_literal(declared(type=kind), value)
    for value in bad:
        with pytest.raises(InterfaceError, match=f"no {kind}"):
            interfaces.require_literal(declared(type=kind), value)


def test_bounds_and_enumerations() -> None:
    """Their values are text in a stored component."""
    number = declared(type="integer", min="1", max="9")
    for value in ("1", "9"):
        interfaces.require_literal(number, value)
    with pytest.raises(InterfaceError, match="0 is less than its minimum, 1"):
        interfaces.require_literal(number, "0")
    with pytest.raises(InterfaceError, match="10 is more than its maximum, 9"):
        interfaces.require_literal(number, "10")
    with pytest.raises(InterfaceError, match="'c' is none of its values: a, b"):
        interfaces.require_literal(declared(type="string", enum=["a", "b"]), "c")
    for wrong in ("low", 10**400):
        with pytest.raises(InterfaceError, match=f"'min' is '{str(wrong)[:9]}.*', which is no number"):
            declared(type="integer", min=wrong)


def test_data_and_literals_are_not_the_same() -> None:
    interfaces.require_kind(declared(type="uri_folder"), "uri_file")
    interfaces.require_kind(declared(type="uri_folder"), "mlflow_model")
    interfaces.require_kind(declared(type="number"), "literal")
    with pytest.raises(InterfaceError, match="its type is uri_folder, and it was given a value"):
        interfaces.require_kind(declared(type="uri_folder"), "literal")
    with pytest.raises(InterfaceError, match="its type is number, and it was given data of the type uri_file"):
        interfaces.require_kind(declared(type="number"), "uri_file")


def test_what_an_input_has_without_a_value() -> None:
    assert wiring.judged(declared(type="integer", default="3"), None) == Given("literal", "3")
    assert wiring.judged(declared(type="integer", optional="True"), None) is None
    assert wiring.judged(declared(type="uri_folder", default="azureml:d:1"), None) == Given("uri_folder", "azureml:d:1")
    with pytest.raises(InterfaceError, match="it is required"):
        wiring.judged(declared(type="integer", optional="False"), None)


def test_what_says_nothing_of_itself() -> None:
    """YAML leaves ``null`` where nothing stands after a name."""
    spec = {"inputs": {"a": None, "g": {"type": "group", "values": {"b": None}}}, "outputs": {"c": None}}
    shapes.require(spec, shapes.SPECIFICATION, "the component")
    assert list(interfaces.inputs_of(spec)) == ["a", "g.b"]
    assert interfaces.outputs_of(spec) == {"c": {"type": "uri_folder", "mode": None}}


def test_groups_are_flat() -> None:
    """As azure-ai-ml names their members, with dots; what is optional as a whole is so in each part."""
    spec = {
        "inputs": {
            "data": {"type": "uri_folder"},
            "sizes": {
                "type": "group",
                "optional": "True",
                "values": {
                    "width": {"type": "integer", "default": "3"},
                    "inner": {"type": "group", "values": {"depth": {"type": "number"}}},
                },
            },
        }
    }
    found = interfaces.inputs_of(spec)
    assert list(found) == ["data", "sizes.width", "sizes.inner.depth"]
    assert [one.is_required for one in found.values()] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("${{parent.inputs.x}}", Input("x")),
        ("${{ parent.inputs.group.x }}", Input("group.x")),
        ("${{parent.jobs.prep.outputs.out}}", StepOutput("prep", "out")),
        ("${{parent.outputs.model}}", Output("model")),
        ("${{parent.jobs.prep.inputs.x}}", Unknown("parent.jobs.prep.inputs.x")),
        ("a ${{parent.inputs.x}}", None),
        ("${{inputs.x}}", None),
        (3, None),
    ],
)
def test_references(text: Any, meant: references.Reference | None) -> None:
    assert references.parse(text) == meant


def test_references_in_settings() -> None:
    found = {"environment_variables": {"A": "n-${{parent.inputs.n}}", "B": ["${{parent.inputs.m}}", 3]}}
    assert list(references.within(found)) == [Input("n"), Input("m")]
    replaced = references.replaced(found, lambda one: one.name.upper() if isinstance(one, Input) else "?")
    assert replaced == {"environment_variables": {"A": "n-N", "B": ["M", 3]}}


@pytest.mark.parametrize(
    ("uri", "datastore", "filled"),
    [
        (None, None, None),
        (None, "workspaceblobstore", None),
        (None, "other", "azureml://datastores/other/paths/azureml/job/out/"),
        (
            "azureml://datastores/${{default_datastore}}/paths/x/${{name}}/${{output_name}}",
            None,
            "azureml://datastores/workspaceblobstore/paths/x/job/out",
        ),
        ("azureml://datastores/d/paths/fixed", "other", "azureml://datastores/d/paths/fixed"),
    ],
)
def test_places_of_outputs(uri: str | None, datastore: str | None, filled: str | None) -> None:
    assert places.filled(uri, "job", "out", datastore) == filled


def test_settings_of_a_node_before_those_of_its_component() -> None:
    """The component's are text, as they are stored; the node's are as azure-ai-ml sends them."""
    spec = {
        "environment_variables": {"A": "1", "B": "2"},
        "resources": {"instance_count": "2", "shm_size": "4g"},
        "distribution": {"type": "pytorch", "process_count_per_instance": "2"},
        "limits": {"timeout": "100"},
    }
    node = {
        "environment_variables": {"B": "3"},
        "resources": {"instance_count": 1, "properties": {}},
        "queue_settings": {"job_tier": "Spot"},
        "identity": {"type": "user_identity"},
    }
    assert settings.of_step(node, spec) == {
        "environmentVariables": {"A": "1", "B": "3"},
        "resources": {"instanceCount": 1, "shmSize": "4g"},
        "distribution": {"distributionType": "pytorch", "processCountPerInstance": 2},
        "limits": {"jobLimitsType": "Command", "timeout": "PT100S"},
        "queueSettings": {"jobTier": "Spot"},
        "identity": {"identityType": "UserIdentity"},
    }


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ([], "the step is []; it must be an object"),
        ({"inputs": ["a"]}, 'the step.inputs is ["a"]; it must be an object'),
        ({"inputs": {"x": "a"}}, 'the step.inputs.x is "a"; it must be an object'),
        ({"inputs": {"x": {"value": [1]}}}, "the step.inputs.x.value is [1]; it must be text, a number, true or false"),
        ({"type": 3}, "the step.type is 3; it must be text"),
        ({"resources": 1}, "the step.resources is 1; it must be an object"),
        ({"identity": {"type": ["managed"]}}, 'the step.identity.type is ["managed"]; it must be text'),
        ({"distribution": {"type": {}}}, "the step.distribution.type is {}; it must be text"),
    ],
)
def test_shapes_of_nodes(node: Any, words: str) -> None:
    with pytest.raises(InterfaceError) as refused:
        shapes.require(node, shapes.NODE, "the step")
    assert str(refused.value) == words


def test_a_count_that_is_none_stays_as_it_is() -> None:
    """Whoever reads the job refuses it, by its name."""
    for count in ("9" * 5000, "two", "-1"):
        assert settings.of_step({"resources": {"instance_count": count}}, {})["resources"] == {"instanceCount": count}
