"""A Designer's web service: a request's bytes in, an answer's text out."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import registry
from ..dataset import Dataset
from ..engine import GRAPH, Engine, NodeError, Step
from ..errors import ModuleError
from . import answers, parameters, requests
from .refusals import BAD_METHOD, BAD_MODULE, OUR_FAULT, Problem, RequestError, problem
from .schemas import schema_of

CODE = Path(__file__).resolve().parents[2]  # where this package lies, and beside it a learner's own modules
log = logging.getLogger("azmlinfsrv.designer")  # below the inference server's logger, whose lines are kept


@dataclass(frozen=True)
class Answer:
    """An answer: its status code, and its JSON."""

    status: int
    body: str


class WebService:
    """A graph behind HTTP. Threads can share it.

    Args:
        engine: runs the graph.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inputs = {name: schema_of(name, one) for name, one in engine.graph["inputs"].items()}

    @classmethod
    def load(cls, folder: Path) -> WebService:
        """Return the service of a package's ``model`` folder, or of the folder that it lies in once registered.

        Raises:
            FileNotFoundError: there is no ``graph.json``.
            EngineError, NodeError: it cannot run.
        """
        graph = next((path for pattern in (GRAPH, f"*/{GRAPH}") for path in sorted(folder.glob(pattern))), None)
        if graph is None:
            raise FileNotFoundError(f"There is no {GRAPH} in {folder}, nor in a folder in it.")
        return cls(Engine.load(graph.parent, find_packaged))

    def answer(self, method: str, body: bytes, query: Mapping[str, str]) -> Answer:
        """Answer a request.

        Args:
            method: of HTTP.
            body: the request.
            query: ``format``: ``swagger`` (if left out) or ``classic``; ``details``: ``true`` for the types of columns.
        """
        try:
            return Answer(200, self._scored(method, body, query))
        except RequestError as error:
            refusal = error
        except NodeError as error:
            refusal = _of_node(error)
        except Exception:
            log.exception("the request could not be answered")
            refusal = RequestError([problem("The log says why.")], 500, OUR_FAULT)
        content = refusal.body()
        log.warning("%s", content["error"]["message"])
        return Answer(refusal.status, json.dumps(content, ensure_ascii=False, default=str))

    def _scored(self, method: str, body: bytes, query: Mapping[str, str]) -> str:
        if method != "POST":
            raise RequestError([problem(f"{method} is not supported; POST is.")], 405, BAD_METHOD)
        request_format = query.get("format", requests.SWAGGER)
        if request_format not in requests.EXAMPLES:
            known = " and ".join(requests.EXAMPLES)
            raise RequestError([problem(f"There is no format {request_format!r}; there are {known}.")])
        warnings: list[Problem] = []
        outputs = self.score(requests.read(body, request_format), warnings)
        for one in warnings:
            log.warning("%s", one)
        if request_format == requests.SWAGGER:
            return answers.swagger(outputs, warnings)
        return answers.classic(outputs, query.get("details", "").lower() == "true")

    def score(self, request: requests.Request, warnings: list[Problem] | None = None) -> dict[str, Any]:
        """Return what reaches each output for a request.

        Args:
            request: what it brings.
            warnings: gets one for each node that makes more or fewer rows of those that it gets.

        Raises:
            RequestError: it brings what the graph cannot take.
            NodeError: a component cannot use what it brings.
        """
        problems = [
            problem(f"There is no such input; there is: {', '.join(self._inputs)}.", input=name)
            for name in request.inputs
            if name not in self._inputs
        ]
        problems += [
            problem("The input is missing.", input=name) for name in self._inputs if name not in request.inputs
        ]
        if problems:
            raise RequestError(problems)
        given = parameters.judged(self._engine.graph.get("parameters", {}), request.parameters)
        datasets = {name: schema.read(request.inputs[name]) for name, schema in self._inputs.items()}
        return self._engine.run(datasets, given, partial(_count, [] if warnings is None else warnings))


def _count(warnings: list[Problem], step: Step, brought: Sequence[Any], made: Sequence[Any]) -> None:
    """Warn of a step that makes more or fewer rows: an answer would else lack what was sent, without a word."""
    before, after = ([len(one.frame) for one in group if isinstance(one, Dataset)] for group in (brought, made))
    if before and after and before[0] != after[0]:
        reason = f"Of {before[0]} rows that came in, it made {after[0]}."
        warnings.append(problem(reason, node=step.name, component=step.component))


def _of_node(error: NodeError) -> RequestError:
    """Return the answer where a component failed: the caller's doing if the component says what is wrong, else ours."""
    cause = error.cause
    if not isinstance(cause, ModuleError):
        log.error("%s", error, exc_info=cause)
        reason = f"{type(cause).__name__}; the log says why."
        return RequestError([problem(reason, node=error.node, component=error.component)], 500, OUR_FAULT)
    place = {"node": error.node, "component": error.component, "port": cause.port, "column": cause.column}
    reason = f"Error {cause.code:04}: {cause.reason}"
    return RequestError([problem(reason, **place, row=cause.row)], kind=BAD_MODULE)


def find_packaged(name: str) -> registry.Function:
    """Return a component's function that came with the package; a model's file cannot name any other.

    Raises:
        ModuleNotFoundError: it did not.
    """
    *module, _ = name.split(".")
    file = "/".join(module) + ".py"
    is_name = all(part.isidentifier() for part in module)
    if not is_name or not any((folder / file).is_file() for folder in (CODE / __package__.split(".")[0], CODE)):
        raise ModuleNotFoundError(f"The package has no module for {name!r}.")
    return registry.find(name)
