"""The real-time inference graph: from Web Service Input to Web Service Output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from designer.declarations import Declaration, Library
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Node
from designer.rewriting.inference import Inference
from designer.rewriting.paths import Source, entrances, scored_rows
from designer.rewriting.saved import input_name

INPUT, OUTPUT = "web_service_input", "web_service_output"


def realtime_inference(
    training: Graph,
    *,
    scorer: str | None = None,
    inputs: Sequence[str] = (),
    name: str | None = None,
    library: Mapping[str, Declaration] | None = None,
) -> Graph:
    """Return the real-time inference graph of a training graph, as the Designer makes it.

    https://learn.microsoft.com/azure/machine-learning/tutorial-designer-automobile-price-deploy#create-a-real-time-inference-pipeline

    Args:
        training: the training graph.
        scorer: the node that scores, where there are several that do; or any other whose data is the answer.
        inputs: the data sources, or ports, whose place the rows of a request take, each with a Web Service Input of its
            own: ``WebServiceInput0``, ... By default the one that the scored rows come from; other data that they are
            joined with is saved data.
        name: what the pipeline is called.
        library: has the components that come in; the library of the Designer where None.

    Returns:
        A graph whose inputs are saved data, ``saved_ports`` says which; ``with_paths`` gives them their paths. A caller
        of the service need not send the label, as the component names it that trained the model (``label_column``);
        where it names none, ``graph.set("web_service_input", label_column=...)`` does.

    Raises:
        GraphError: nothing scores, or several do and none is chosen; what scores needs data that training makes;
            rows cannot come in where they are to.
    """
    library = library or Library()
    end = scored_rows(training, scorer)
    sources = entrances(training, end, inputs)
    names = _names(training, INPUT, len(sources))
    come_in: dict[Source, Source] = {
        source: FromNode(node, next(iter(library[INPUT].outputs))) for source, node in zip(sources, names, strict=True)
    }
    inference = Inference(training, come_in, library)
    last = inference.take(end)
    for number, (source, node) in enumerate(zip(sources, names, strict=True)):
        sample = _sample(training, inference, source)
        bindings: dict[str, Binding] = {"dataset": sample, "name": f"WebServiceInput{number}"}
        if inference.label and not number:
            bindings["label_column"] = inference.label
        inference.nodes[node] = Node(library[INPUT], bindings)
    (out,) = _names(training, OUTPUT, 1)
    nodes = inference.in_order() | {out: Node(library[OUTPUT], {"dataset": last, "name": "WebServiceOutput0"})}
    graph = Graph(name or f"{training.name}-real time inference", nodes, inference.inputs, {}, training.settings)
    return graph.pruned_inputs().connect(out, "answer")


def _sample(training: Graph, inference: Inference, source: Source) -> FromInput:
    """Return the input with a sample of a request's rows: what came in there in the training run."""
    if isinstance(source, FromInput):
        inference.inputs[source.name] = training.inputs[source.name]
        return source
    port = training.nodes[source.node].component.outputs[source.port]
    inference.inputs[input_name(source)] = GraphInput(port.type, data_type=port.data_type)
    return FromInput(input_name(source))


def _names(graph: Graph, name: str, count: int) -> list[str]:
    """Return names for new nodes that the graph does not have."""
    names = [name, *(f"{name}_{number}" for number in range(1, count + len(graph.nodes)))]
    return [one for one in names if one not in graph.nodes][:count]
