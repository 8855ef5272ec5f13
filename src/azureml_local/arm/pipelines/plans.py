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

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from azureml_local.arm.context import Context
from azureml_local.arm.jobs.job_specs import LITERAL
from azureml_local.arm.pipelines import components, control_outputs, interfaces, references, settings, shapes
from azureml_local.arm.pipelines.graph import Graph, GraphError
from azureml_local.arm.pipelines.interfaces import InterfaceError
from azureml_local.http.errors import AzureError, FrontendError

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
COMMAND, PARALLEL, PIPELINE = "command", "parallel", "pipeline"
# What a parallel node or component says beside its inputs and outputs.
PARALLEL_SETTINGS = (
    "task",
    "input_data",
    "mini_batch_size",
    "partition_keys",
    "error_threshold",
    "mini_batch_error_threshold",
    "max_concurrency_per_instance",
    "retry_settings",
    "logging_level",
)
DEEPEST = 32  # pipelines within each other


@dataclass(frozen=True)
class Given:
    """What an input is given, as far as it is known at submission.

    Args:
        kind: of data, or ``literal``.
        value: the literal, or where the data lies.
        literal: the type of a literal that another step is to say.
    """

    kind: str
    value: str | None = None
    literal: str | None = None


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
        parts = {name: self._part(name, node) for name, node in nodes.items()}
        pipeline = _Pipeline(given, is_declared, frozenset(outputs), parts)
        steps = {name: self._step(name, part, pipeline) for name, part in parts.items()}
        needs = {name: step["needs"] for name, step in steps.items()}
        try:
            Graph(needs, {name: step["spares"] for name, step in steps.items()}).require_order()
        except GraphError as error:
            raise user_error(f"{self._where()}: {error}.") from error
        return {"steps": steps}

    def _part(self, name: str, node: Any) -> _Part:
        """Return a node with its component. Raises AzureError where it is of a type that is not served."""
        with about(self._path(name)):
            shapes.require(node or [], shapes.NODE, "the step")
            kind = str(node.get("type") or COMMAND).lower()
            if kind not in (COMMAND, PARALLEL, PIPELINE):
                raise _lacking(kind)
            spec = components.resolve(self.context, self.workspace_id, node)
            shapes.require(spec, shapes.SPECIFICATION, "its component")
            if str(spec.get("type") or COMMAND).lower() != kind:
                raise user_error(f"its type is {kind}, and that of its component {spec.get('type')}")
            return _Part(kind, node, spec, interfaces.inputs_of(spec), interfaces.outputs_of(spec))

    def _step(self, name: str, part: _Part, pipeline: _Pipeline) -> dict[str, Any]:
        with about(self._path(name)):
            wiring = _Wiring(part, pipeline)
            given = wiring.given()
            part = replace(part, node={**part.node, "inputs": wiring.sent})
            node = references.replaced(_settings_of(part.node), pipeline.literal)
            step = {
                "type": part.kind,
                "needs": sorted(_needs(part)),
                "spares": sorted(_needs(part) - _needs(part, optional=False)),
                "properties": self._properties(name, part, node),
                "promised": _promised(part, pipeline),
                "module": part.spec.get("name") or name,
                "isDeterministic": interfaces.truth(part.spec.get("is_deterministic", True)),
            }
            if part.kind == PARALLEL:
                step["parallel"] = _parallel(node, part.spec)
        if part.kind == PIPELINE:
            inner = replace(self, within=(*self.within, name))
            step["plan"] = inner.plan(part.spec.get("jobs") or {}, given, part.outputs)
        return step

    def _properties(self, name: str, part: _Part, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of the job that a step will be."""
        spec = part.spec
        common = {
            "displayName": node.get("display_name") or name,
            "description": spec.get("description"),
            "experimentName": self.defaults.experiment,
            "tags": node.get("tags") or {},
            "properties": {key: str(value) for key, value in (node.get("properties") or {}).items()},
            "componentId": spec["id"],
            "inputs": _job_inputs(part),
            "outputs": _job_outputs(part),
        }
        if part.kind == PIPELINE:
            return {"jobType": "Pipeline", **common, "jobs": spec.get("jobs")}
        found = settings.of_step(node, spec)
        return {
            "jobType": "Command",
            **common,
            "computeId": node.get("computeId") or self.defaults.compute,
            **({"identity": self.defaults.identity} if self.defaults.identity else {}),
            **found,
            **(_of_parallel(node, spec) if part.kind == PARALLEL else of_command(spec)),
        }

    def _path(self, name: str) -> str:
        return ".".join((*self.within, name))

    def _where(self) -> str:
        return f"The pipeline {'.'.join(self.within)}" if self.within else "The pipeline"


@contextmanager
def about(step: str) -> Iterator[None]:
    """Say of an error which step it is of, given by its name and those of the steps that it lies in."""
    try:
        yield
    except InterfaceError as error:
        raise user_error(f"Step '{step}': {error}.") from error
    except FrontendError as error:
        said = error.detail[1] if error.detail else error.message
        raise user_error(f"Step '{step}': {said}") from error
    except AzureError as error:
        raise AzureError(error.status, error.code, f"Step '{step}': {error.message}", target=error.target) from error


@dataclass(frozen=True)
class _Part:
    """A node with its component: type, as sent, the component's specification, and what it takes and gives."""

    kind: str
    node: Mapping[str, Any]
    spec: Mapping[str, Any]
    inputs: Mapping[str, interfaces.Input]
    outputs: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class _Pipeline:
    """What the steps of a pipeline can refer to.

    Args:
        given: what its inputs are given.
        is_declared: ``given`` has every input. A job's may lack optional ones: azure-ai-ml sends no input without a
            value, and leaves what refers to it.
        outputs: the names of its outputs.
        parts: its steps.
    """

    given: Mapping[str, Given | None]
    is_declared: bool
    outputs: frozenset[str]
    parts: Mapping[str, _Part]

    def literal(self, reference: references.Reference) -> str:
        """Return the literal that stands for a reference in a setting."""
        given = self.given.get(reference.name) if isinstance(reference, references.Input) else None
        if given is None or given.value is None:
            raise InterfaceError("a setting can refer to inputs of the pipeline that are literals, and to nothing else")
        return given.value

    def given_by(self, reference: references.Reference) -> Given | None:
        """Return what a reference stands for; None where it is an optional input that is not given."""
        match reference:
            case references.Input(name) if name in self.given or not self.is_declared:
                return self.given.get(name)
            case references.Input(name):
                raise InterfaceError(f"the pipeline has no input '{name}'; its inputs are: {_listed(self.given)}")
            case references.StepOutput(step, name) if step in self.parts:
                outputs = self.parts[step].outputs
                if name not in outputs:
                    raise InterfaceError(f"the step {step} has no output '{name}'; its outputs are: {_listed(outputs)}")
                kind = outputs[name]["type"]
                return Given(LITERAL, literal=kind) if kind in control_outputs.KINDS else Given(kind)
            case references.StepOutput(step, _):
                raise InterfaceError(f"there is no step '{step}' in this pipeline")
        raise InterfaceError(f"{reference} is nothing that an input can refer to")


@dataclass(frozen=True)
class _Wiring:
    """The inputs of one step, judged."""

    part: _Part
    pipeline: _Pipeline

    def given(self) -> dict[str, Given | None]:
        """Return what each of a step's inputs is given. Raises InterfaceError where that does not fit."""
        unknown = [name for name in _inputs(self.part) if name not in self.part.inputs]
        if unknown:
            known = _listed(self.part.inputs)
            raise InterfaceError(f"there is no input '{unknown[0]}'; the component's inputs are: {known}")
        sent = self.sent
        return {name: self._of(name, declared, sent.get(name)) for name, declared in self.part.inputs.items()}

    @property
    def sent(self) -> dict[str, Any]:
        """What is sent for the step's inputs, without what refers to inputs that the pipeline is not given."""
        return {name: one for name, one in _inputs(self.part).items() if self._of_one(name, self._given, one)}

    def _of(self, name: str, declared: interfaces.Input, sent: Mapping[str, Any] | None) -> Given | None:
        return self._of_one(name, lambda one: judged(declared, self._given(one) if one else None), sent)

    def _of_one(self, name: str, judge: Callable[[Any], Given | None], sent: Any) -> Given | None:
        """Return what ``judge`` says of an input, or raise its error with the input's name."""
        try:
            return judge(sent)
        except InterfaceError as error:
            raise InterfaceError(f"input '{name}': {error}") from error

    def _given(self, sent: Mapping[str, Any]) -> Given | None:
        kind = str(sent.get("job_input_type") or LITERAL)
        if kind != LITERAL:
            return Given(kind)
        reference = references.parse(sent.get("value"))
        if reference is None:
            return Given(LITERAL, references.replaced(str(sent.get("value")), self.pipeline.literal))
        return self.pipeline.given_by(reference)


def judged(declared: interfaces.Input, given: Given | None) -> Given | None:
    """Return what an input has, its default where it is given nothing. Raises InterfaceError where it does not fit."""
    if given is None:
        if declared.is_required:
            raise InterfaceError("it is required, and nothing is given for it")
        kind = declared.kind if declared.is_data else LITERAL
        return None if declared.default is None else Given(kind, declared.default)
    interfaces.require_kind(declared, given.kind)
    if given.kind == LITERAL and given.value is not None:
        interfaces.require_literal(declared, given.value)
    if given.literal:
        control_outputs.require_fitting(declared.kind, given.literal)
    return given


def _needs(part: _Part, *, optional: bool = True) -> set[str]:
    """Return the steps whose outputs a step is given, with or without those for its optional inputs."""
    given = {name: one for name, one in _inputs(part).items() if optional or not part.inputs[name].optional}
    return {one.step for one in references.within(given) if isinstance(one, references.StepOutput)}


def _inputs(part: _Part) -> dict[str, Any]:
    """Return the inputs that a node is given, those of groups by their names with dots."""
    return {name: one for name, one in (part.node.get("inputs") or {}).items() if one is not None and _has_value(one)}


def _has_value(given: Mapping[str, Any]) -> bool:
    return given.get("value") is not None or given.get("uri") is not None


def _settings_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node without its inputs and outputs, which are wired by themselves."""
    return {name: value for name, value in node.items() if name not in ("inputs", "outputs")}


def _job_inputs(part: _Part) -> dict[str, Any]:
    """Return a step's inputs in the form of a job's; what refers to something else is in ``value`` or ``uri``."""
    sent = _inputs(part)
    found = {name: _job_input(declared, sent.get(name)) for name, declared in part.inputs.items()}
    return {name: given for name, given in found.items() if given}


def _job_input(declared: interfaces.Input, sent: Mapping[str, Any] | None) -> dict[str, Any] | None:
    given = sent or {"value": declared.default}
    if given.get("value", given.get("uri")) is None:
        return None
    if not declared.is_data:
        return {"jobInputType": LITERAL, "value": str(given["value"])}
    return {
        "jobInputType": given["job_input_type"] if given.get("uri") else declared.kind,
        "uri": given.get("uri") or given["value"],
        "mode": settings.input_mode(given.get("mode")) or settings.input_mode(declared.mode),
    }


def _job_outputs(part: _Part) -> dict[str, Any]:
    sent = part.node.get("outputs") or {}
    unknown = [name for name in sent if name not in part.outputs]
    if unknown:
        known = _listed(part.outputs)
        raise InterfaceError(f"there is no output '{unknown[0]}'; the component's outputs are: {known}")
    return {name: _job_output(declared, sent.get(name) or {}) for name, declared in part.outputs.items()}


def _job_output(declared: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "jobOutputType": control_outputs.job_output_type(sent.get("job_output_type") or declared["type"]),
        "uri": sent.get("uri"),
        "mode": settings.output_mode(sent.get("mode")) or settings.output_mode(declared["mode"]),
        "assetName": sent.get("name"),
        "assetVersion": sent.get("version"),
    }


def _promised(part: _Part, pipeline: _Pipeline) -> dict[str, str]:
    """Return which outputs of a step are which of the pipeline's."""
    promised = {}
    for name, sent in (part.node.get("outputs") or {}).items():
        reference = references.parse((sent or {}).get("value"))
        if reference is None:
            continue
        if not isinstance(reference, references.Output) or reference.name not in pipeline.outputs:
            known = _listed(sorted(pipeline.outputs))
            raise InterfaceError(f"output '{name}': {sent['value']} is no output of the pipeline, which has: {known}")
        promised[name] = reference.name
    return promised


def of_command(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a command component says of the job that it will be, beside its settings."""
    return {
        "command": spec.get("command"),
        "codeId": _plain_id(spec.get("code")),
        "environmentId": _plain_id(spec.get("environment")),
    }


def _of_parallel(node: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job can say of a parallel step; the rest of it is in the step's ``parallel``.

    Where there is no script, it runs the model.
    """
    task = _parallel(node, spec).get("task") or {}
    script, arguments = task.get("entry_script") or task.get("model"), task.get("program_arguments")
    return {
        "command": " ".join(part for part in (script, arguments) if part) or None,
        "codeId": _plain_id(task.get("code")),
        "environmentId": _plain_id(task.get("environment")),
    }


def _parallel(node: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: node.get(name, spec.get(name)) for name in PARALLEL_SETTINGS}
    return {name: value for name, value in found.items() if value is not None}


def _plain_id(asset_id: str | None) -> str | None:
    """Return an asset's id without the ``azureml:`` that YAML has before it; ``azureml://registries/…`` is whole."""
    prefixed = ("azureml:/subscriptions/", "azureml:azureml:")
    return asset_id.removeprefix("azureml:") if asset_id and asset_id.startswith(prefixed) else asset_id


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _lacking(kind: str) -> AzureError:
    known = f"steps of the type {kind}" if kind in LACKING else f"steps of the type '{kind[:60]}'"
    return AzureError(501, "NotImplemented", f"azureml-local lacks {known} in pipelines.", target="properties.jobs")


def user_error(message: str) -> FrontendError:
    """Return the frontend's 400."""
    return FrontendError(400, "UserError", message)
