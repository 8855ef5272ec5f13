"""Wiring: what each input of a node is given, by the pipeline or by other nodes, and whether that fits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from azureml_local.arm.jobs.job_specs import LITERAL
from azureml_local.arm.pipelines import control_outputs, interfaces, references
from azureml_local.arm.pipelines.interfaces import InterfaceError
from azureml_local.arm.pipelines.nodes import Node, listed


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
class Surroundings:
    """What the steps of a pipeline can refer to: it, and each other.

    Args:
        given: what its inputs are given.
        is_declared: ``given`` has every input. A job's may lack optional ones: azure-ai-ml sends no input without a
            value, and leaves what refers to it.
        nodes: its steps.
    """

    given: Mapping[str, Given | None]
    is_declared: bool
    nodes: Mapping[str, Node]

    def literal(self, reference: references.Reference) -> str:
        """Return the literal that stands for a reference in a setting."""
        given = self.given.get(reference.name) if isinstance(reference, references.Input) else None
        if given is None or given.kind != LITERAL or given.value is None:
            raise InterfaceError("a setting can refer to inputs of the pipeline that are literals, and to nothing else")
        return given.value

    def given_by(self, reference: references.Reference) -> Given | None:
        """Return what a reference stands for; None where it is an optional input that is not given."""
        match reference:
            case references.Input(name) if name in self.given or not self.is_declared:
                return self.given.get(name)
            case references.Input(name):
                raise InterfaceError(f"the pipeline has no input '{name}'; its inputs are: {listed(self.given)}")
            case references.StepOutput(step, name) if step in self.nodes:
                outputs = self.nodes[step].outputs
                if name not in outputs:
                    raise InterfaceError(f"the step {step} has no output '{name}'; its outputs are: {listed(outputs)}")
                kind = outputs[name]["type"]
                return Given(LITERAL, literal=kind) if kind in control_outputs.KINDS else Given(kind)
            case references.StepOutput(step, _):
                raise InterfaceError(f"there is no step '{step}' in this pipeline")
        raise InterfaceError(f"{reference} is nothing that an input can refer to")


@dataclass(frozen=True)
class Wiring:
    """The inputs of one step, judged."""

    node: Node
    around: Surroundings

    def given(self) -> dict[str, Given | None]:
        """Return what each of a step's inputs is given. Raises InterfaceError where that does not fit."""
        unknown = [name for name in self.node.given if name not in self.node.inputs]
        if unknown:
            known = listed(self.node.inputs)
            raise InterfaceError(f"there is no input '{unknown[0]}'; the component's inputs are: {known}")
        sent = self.sent
        return {name: self._of(name, declared, sent.get(name)) for name, declared in self.node.inputs.items()}

    @property
    def sent(self) -> dict[str, Any]:
        """What is sent for the step's inputs, without what refers to inputs that the pipeline is not given."""
        return {name: one for name, one in self.node.given.items() if self._of_one(name, self._given, one)}

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
            return Given(LITERAL, references.replaced(str(sent.get("value")), self.around.literal))
        return self.around.given_by(reference)


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


def promised(node: Node, outputs: Collection[str]) -> dict[str, str]:
    """Return which outputs of a node are which of the pipeline's; raise InterfaceError where that has no such one."""
    found = {}
    for name, sent in (node.sent.get("outputs") or {}).items():
        reference = references.parse((sent or {}).get("value"))
        if reference is None:
            continue
        if not isinstance(reference, references.Output) or reference.name not in outputs:
            known = listed(sorted(outputs))
            raise InterfaceError(f"output '{name}': {sent['value']} is no output of the pipeline, which has: {known}")
        found[name] = reference.name
    return found
