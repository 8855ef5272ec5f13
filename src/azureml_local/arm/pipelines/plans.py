"""Plans of pipelines: each step with its component looked up, its wiring judged, and what it waits for.

A plan is made when a pipeline is submitted, and stored with it: what is changed or deleted of its components later
makes no difference to it. It is plain data, as it is stored:

``steps``: for each step

* ``type``: command, parallel or pipeline
* ``needs``: the steps that it waits for
* ``spares``: those of them from which only optional inputs come
* ``properties``: those of the job that it will be, in REST's form; the values of inputs may be references
* ``promised``: which of its outputs are which of the pipeline's
* ``module``: the name of its component, as its specification says it
* ``isDeterministic``: whether what an earlier run of it has left can be used again
* ``parallel``: of a parallel step, its settings as azure-ai-ml writes them
* ``plan``: of a pipeline, its own
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from azureml_local.arm.context import Context
from azureml_local.arm.jobs.refusals import user_error
from azureml_local.arm.pipelines import components, interfaces, references, settings, shapes
from azureml_local.arm.pipelines.graph import Graph, GraphError
from azureml_local.arm.pipelines.nodes import COMMAND, PARALLEL, PIPELINE, Node, of_command, of_parallel, parallel
from azureml_local.arm.pipelines.refusals import about
from azureml_local.arm.pipelines.wiring import Given, Surroundings, Wiring, promised
from azureml_local.http.errors import AzureError

Plan = dict[str, Any]
# The types of nodes that azure-ai-ml knows (constants/_component.py), and azureml-local lacks.
LACKING = (
    "automl",
    "data_transfer",
    "do_while",
    "if_else",
    "import",
    "parallel_for",
    "promptflow_parallel",
    "spark",
    "sweep",
)
DEEPEST = 32  # pipelines within each other


@dataclass(frozen=True)
class Defaults:
    """What holds for every step that says nothing else.

    Args:
        compute: where steps run; None for serverless compute.
        experiment: its name.
        identity: the pipeline's.
    """

    compute: str | None
    experiment: str
    identity: Mapping[str, Any] | None


@dataclass(frozen=True)
class Planner:
    """Makes plans.

    Args:
        context: the service's.
        workspace_id: where the pipeline is submitted.
        defaults: for its steps.
        within: the names of the steps that this pipeline lies in.
    """

    context: Context
    workspace_id: str
    defaults: Defaults
    within: tuple[str, ...] = ()

    def plan(
        self,
        nodes: Mapping[str, Any],
        given: Mapping[str, Given | None],
        outputs: Mapping[str, Any],
        *,
        is_declared: bool = True,
    ) -> Plan:
        """Return the plan of a pipeline.

        Args:
            nodes: its steps as azure-ai-ml sends them, by their names.
            given: what each of its inputs is given; None for optional ones without a value.
            is_declared: whether ``given`` has every input that the pipeline has.
            outputs: its outputs by their names.

        Raises:
            AzureError: 400 where it cannot be run, 501 where azureml-local lacks what it asks for.
        """
        if not nodes:
            raise user_error(f"{self._where()} has no steps. It needs at least one job.")
        if len(self.within) > DEEPEST:
            raise user_error(f"Pipelines lie within each other more than {DEEPEST} deep.")
        found = {name: self._node(name, node) for name, node in nodes.items()}
        around = Surroundings(given, is_declared, found)
        steps = {name: self._step(name, node, around, outputs) for name, node in found.items()}
        needs = {name: step["needs"] for name, step in steps.items()}
        try:
            Graph(needs, {name: step["spares"] for name, step in steps.items()}).require_order()
        except GraphError as error:
            raise user_error(f"{self._where()}: {error}.") from error
        return {"steps": steps}

    def _node(self, name: str, sent: Any) -> Node:
        """Return a node with its component. Raises AzureError where it is of a type that is not served."""
        with about(self._path(name)):
            shapes.require(sent or [], shapes.NODE, "the step")
            kind = str(sent.get("type") or COMMAND).lower()
            if kind not in (COMMAND, PARALLEL, PIPELINE):
                raise _lacking(kind)
            spec = components.resolve(self.context, self.workspace_id, sent)
            shapes.require(spec, shapes.SPECIFICATION, "its component")
            if str(spec.get("type") or COMMAND).lower() != kind:
                raise user_error(f"its type is {kind}, and that of its component {spec.get('type')}")
            return Node(kind, sent, spec, interfaces.inputs_of(spec), interfaces.outputs_of(spec))

    def _step(self, name: str, node: Node, around: Surroundings, outputs: Collection[str]) -> dict[str, Any]:
        with about(self._path(name)):
            wiring = Wiring(node, around)
            given = wiring.given()
            sent = {**references.replaced(node.settings(), around.literal), "outputs": node.sent.get("outputs")}
            node = replace(node, sent={**sent, "inputs": wiring.sent})
            step = {
                "type": node.kind,
                "needs": sorted(node.needs()),
                "spares": sorted(node.needs() - node.needs(optional=False)),
                "properties": self._properties(name, node),
                "promised": promised(node, outputs),
                "module": node.spec.get("name") or name,
                "isDeterministic": interfaces.truth(node.spec.get("is_deterministic", True)),
            }
            if node.kind == PARALLEL:
                step["parallel"] = parallel(node.sent, node.spec)
        if node.kind == PIPELINE:
            inner = replace(self, within=(*self.within, name))
            step["plan"] = inner.plan(node.spec.get("jobs") or {}, given, node.outputs)
        return step

    def _properties(self, name: str, node: Node) -> dict[str, Any]:
        """Return the properties of the job that a step will be."""
        sent, spec = node.sent, node.spec
        common = {
            "displayName": sent.get("display_name") or name,
            "description": spec.get("description"),
            "experimentName": self.defaults.experiment,
            "tags": sent.get("tags") or {},
            "properties": {key: str(value) for key, value in (sent.get("properties") or {}).items()},
            "componentId": spec["id"],
            "inputs": node.job_inputs(),
            "outputs": node.job_outputs(),
        }
        if node.kind == PIPELINE:
            return {"jobType": "Pipeline", **common, "jobs": spec.get("jobs")}
        return {
            "jobType": "Command",
            **common,
            "computeId": sent.get("computeId") or self.defaults.compute,
            **({"identity": self.defaults.identity} if self.defaults.identity else {}),
            **settings.of_step(sent, spec),
            **(of_parallel(sent, spec) if node.kind == PARALLEL else of_command(spec)),
        }

    def _path(self, name: str) -> str:
        return ".".join((*self.within, name))

    def _where(self) -> str:
        return f"The pipeline {'.'.join(self.within)}" if self.within else "The pipeline"


def _lacking(kind: str) -> AzureError:
    known = f"steps of the type {kind}" if kind in LACKING else f"steps of the type '{kind[:60]}'"
    return AzureError(501, "NotImplemented", f"azureml-local lacks {known} in pipelines.", target="properties.jobs")
