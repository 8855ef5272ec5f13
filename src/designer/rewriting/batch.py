"""The batch inference graph: from data that a caller names to scored data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from designer.declarations import Declaration, Library
from designer.graph import FromInput, Graph, GraphInput, Node
from designer.rewriting.inference import LABEL_COLUMN, Inference
from designer.rewriting.paths import Source, entrances, scored_rows

IMPORT, DATA = "import_data", "data"


def batch_inference(
    training: Graph,
    *,
    scorer: str | None = None,
    inputs: Sequence[str] = (),
    name: str | None = None,
    library: Mapping[str, Declaration] | None = None,
) -> Graph:
    """Return the batch inference graph of a training graph: its data is an input, the scored data an output.

    https://learn.microsoft.com/azure/machine-learning/how-to-run-batch-predictions-designer, where data is *set as
    pipeline parameter* by hand. Data comes in through Import Data, unless the training graph has it as an input.

    Args:
        training: the training graph.
        scorer: the node that scores, where there are several that do; or any other whose data is the output.
        inputs: the data sources, or ports, whose data a caller names; by default the one that the scored rows come
            from.
        name: what the pipeline is called.
        library: has the components that come in; the library of the Designer where None.

    Returns:
        A graph whose other inputs are saved data, ``saved_ports`` says which; ``with_paths`` gives them their paths.

    Raises:
        GraphError: nothing scores, or several do and none is chosen; what scores needs data that training makes;
            rows cannot come in where they are to.
    """
    library = library or Library()
    end = scored_rows(training, scorer)
    sources = entrances(training, end, inputs)
    inference = Inference(training, {source: source for source in sources}, library)
    last = inference.take(end)
    for source in sources:
        _let_in(training, inference, source, sources, library)
    graph = Graph(
        name or f"{training.name}-batch inference", inference.in_order(), inference.inputs, {}, training.settings
    )
    return graph.pruned_inputs().connect(str(last), end.port)


def _let_in(
    training: Graph,
    inference: Inference,
    source: Source,
    sources: Sequence[Source],
    library: Mapping[str, Declaration],
) -> None:
    """Make data that comes in an input of the graph."""
    if isinstance(source, FromInput):
        inference.inputs[source.name] = training.inputs[source.name]
        return
    node = training.nodes[source.node]
    files = [bound for port, bound in node.bindings.items() if port in node.component.inputs]
    if files and all(isinstance(bound, FromInput) for bound in files):  # it reads files already
        inference.nodes[source.node] = _labelled(node, inference.label)
        used = {bound.name for bound in node.bindings.values() if isinstance(bound, FromInput)}
        inference.inputs.update({name: training.inputs[name] for name in training.inputs if name in used})
        return
    component = library[IMPORT]
    port = next(iter(component.inputs.values()))
    name = DATA if len(sources) == 1 else f"{source.node}_{DATA}"
    inference.nodes[source.node] = _labelled(Node(component, {port.name: FromInput(name)}), inference.label)
    inference.inputs[name] = GraphInput(port.type, data_type=port.data_type)


def _labelled(node: Node, label: str) -> Node:
    """Tell a component that reads data which column need not be there."""
    says_so = LABEL_COLUMN in node.component.parameters and LABEL_COLUMN not in node.bindings
    return node.bound(**{LABEL_COLUMN: label}) if label and says_so else node
