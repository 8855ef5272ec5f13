// The graph in JupyterLab: https://anywidget.dev shows it, https://reactflow.dev moves it about.

import {
  BaseEdge,
  Controls,
  Handle,
  MarkerType,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  useStore,
  type Edge as FlowEdge,
  type EdgeProps,
  type Node as FlowNode,
  type NodeProps,
} from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent, type RefObject } from "react";
import { createRoot } from "react-dom/client";

import { ENDED, FINISHED, type Box, type Edge, type Graph, type Model, type Port, type State, type Statuses } from "./data";
import "./graph.css";
import { Panel } from "./panel";
import { useColorMode, useTrait } from "./surroundings";

type BoxNode = FlowNode<{ box: Box; status: string; look?: State; graph: Graph; read: (port: string) => void }, "box">;
type Way = FlowEdge<{ path: string }, "way">;

const NAMELESS = "the"; // React Flow needs a name for each port
const NODE_TYPES = { box: BoxView };
const EDGE_TYPES = { way: WayView };
const OPENS = ["Enter", " "];
const LEADS = ["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"];
const HOW = "Enter opens it, Escape closes it, the arrow keys lead along edges";
const ARIA_LABELS = { "node.a11yDescription.default": HOW, "node.a11yDescription.keyboardDisabled": HOW };
const FIT = { padding: 0.04, maxZoom: 1 };
const LEAST_HEIGHT = 320;
const MOST_HEIGHT = 1000;

function BoxView({ data: { box, status, look, graph, read }, selected }: NodeProps<BoxNode>) {
  const change = graph.changes[box.change];
  const stands = [status && `${look?.mark}${status}`, change && box.change !== "kept" && `${change.mark} ${box.change}`];
  const said = stands.filter(Boolean).join(" · ");
  const style = {
    width: box.width,
    height: box.height,
    background: status ? look?.colour : change?.fill,
    borderColor: change?.line,
    borderStyle: change?.dashes ? "dashed" : "solid",
    "--category": graph.categories[box.category],
  };
  const isFinished = FINISHED.includes(status);
  return (
    <div className={`dg-box ${selected ? "dg-selected" : ""} dg-${status.toLowerCase()}`} style={style}>
      {box.inputs.map((port) => (
        <PortView key={port.name} port={port} side="target" />
      ))}
      <strong>{box.title}</strong>
      <span>{box.detail}</span>
      <span className={said ? "dg-stands" : ""}>{said || box.what}</span>
      {box.outputs.map((port) => (
        <PortView key={port.name} port={port} side="source" onRead={isFinished && port.reads ? read : undefined} />
      ))}
    </div>
  );
}

function PortView({ port, side, onRead }: { port: Port; side: "source" | "target"; onRead?: (port: string) => void }) {
  const isInput = side === "target";
  const words = `${port.name || "output"}: ${port.carries}${port.optional ? ", may stay unconnected" : ""}`;
  return (
    <>
      <Handle
        type={side}
        id={port.name || NAMELESS}
        position={isInput ? Position.Top : Position.Bottom}
        style={{ left: port.x }}
        isConnectable={false}
        className={`${port.optional ? "dg-optional" : ""} ${onRead ? "dg-readable" : ""}`}
        title={onRead ? `${words}. Click to read it.` : words}
        onClick={onRead && (() => onRead(port.name))}
      />
      {port.name && (
        <span className={`dg-port ${isInput ? "dg-in" : "dg-out"}`} style={{ left: port.x }}>
          {port.name}
        </span>
      )}
    </>
  );
}

function WayView({ data, markerEnd, style }: EdgeProps<Way>) {
  return <BaseEdge path={data?.path ?? ""} markerEnd={markerEnd} style={style} />;
}

// What a screen reader says of a box, and of where it leads.
function spoken(box: Box, status: string): string {
  const change = box.change && `, ${box.change}`;
  const inputs = box.inputs.flatMap((port) => port.gets);
  const gets = inputs.length ? `, gets ${inputs.join(" and ")}` : "";
  return `${box.title}, ${box.kind} ${box.name}${status && `, ${status}`}${change}${gets}`;
}

function nodesOf(graph: Graph, { steps, looks }: Statuses, chosen: string, read: (key: string, port: string) => void) {
  return graph.boxes.map((box): BoxNode => {
    const status = (box.kind === "step" && steps[box.name]) || "";
    return {
      id: box.key,
      type: "box",
      position: { x: box.x, y: box.y },
      width: box.width,
      height: box.height,
      selected: box.key === chosen,
      ariaLabel: spoken(box, status),
      ariaRole: "button",
      domAttributes: { "aria-roledescription": undefined, "aria-expanded": box.key === chosen },
      data: { box, status, look: looks[status], graph, read: (port) => read(box.key, port) },
    };
  });
}

function waysOf(graph: Graph): Way[] {
  return graph.edges.map((edge) => {
    const look = graph.changes[edge.change];
    const stroke = (edge.change !== "kept" && look?.line) || "var(--dg-ink)";
    return {
      id: `${edge.source}.${edge.output}-${edge.target}.${edge.input}`,
      type: "way",
      source: edge.source,
      sourceHandle: edge.output || NAMELESS,
      target: edge.target,
      targetHandle: edge.input || NAMELESS,
      data: { path: edge.path },
      domAttributes: { "aria-hidden": true }, // each box says what it gets from where
      style: { stroke, strokeWidth: 1.6, strokeDasharray: look?.dashes },
      markerEnd: { type: MarkerType.ArrowClosed, color: stroke, width: 14, height: 14 },
    };
  });
}

// Where an arrow key leads: down and up along the first edge, left and right within the row.
function neighbour(graph: Graph, key: string, pressed: string): string | undefined {
  const first = (found: Edge[], end: "source" | "target") => found[0]?.[end];
  if (pressed === "ArrowDown") return first(graph.edges.filter((edge) => edge.source === key), "target");
  if (pressed === "ArrowUp") return first(graph.edges.filter((edge) => edge.target === key), "source");
  const step = { ArrowLeft: -1, ArrowRight: 1 }[pressed];
  if (!step) return undefined;
  const row = graph.boxes.find((box) => box.key === key)?.row;
  const beside = graph.boxes.filter((box) => box.row === row);
  return beside[beside.findIndex((box) => box.key === key) + step]?.key;
}

// Says which steps stand differently from before, and that the run has ended, for the live region.
function useNews(graph: Graph, { steps, run }: Statuses): string {
  const before = useRef(steps);
  const [news, setNews] = useState("");
  useEffect(() => {
    const changed = graph.boxes.filter(
      ({ kind, name }) => kind === "step" && steps[name] && steps[name] !== before.current[name],
    );
    before.current = steps;
    const said = changed.map(({ title, name }) => `${title}, step ${name}: ${steps[name]}`);
    if (ENDED.includes(run)) said.push(`The pipeline ${graph.name}: ${run}`);
    if (said.length) setNews(`${said.join(". ")}.`);
  }, [graph, steps, run]);
  return news;
}

// To a notebook, keys are commands: B makes a cell, D twice takes this one away. Those with Ctrl, e.g. to save, stay.
function keepFromNotebook(event: KeyboardEvent) {
  if (!event.ctrlKey && !event.metaKey) event.stopPropagation();
}

function GraphView({ model }: { model: Model }) {
  const graph = useTrait(model, "graph");
  const statuses = useTrait(model, "statuses");
  const [chosen, setChosen] = useState("");
  const [reading, setReading] = useState("");
  const canvas = useRef<HTMLDivElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const wasMoved = useRef(false); // by the mouse or the buttons, rather than to fit
  const setMoved = (is: boolean) => {
    wasMoved.current = is;
  };
  const news = useNews(graph, statuses);
  const colorMode = useColorMode();

  const choose = useCallback((key: string, port = "") => {
    setChosen(key);
    setReading(port);
  }, []);
  const nodes = useMemo(() => nodesOf(graph, statuses, chosen, choose), [graph, statuses, chosen, choose]);
  const ways = useMemo(() => waysOf(graph), [graph]);
  const box = graph.boxes.find(({ key }) => key === chosen);

  const focus = (key: string) =>
    canvas.current?.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(key)}"]`)?.focus();
  const close = () => {
    const last = chosen;
    choose("");
    focus(last);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const key = (event.target as HTMLElement).closest<HTMLElement>(".react-flow__node")?.dataset.id;
    if (event.key === "Escape" && chosen) close();
    else if (key && OPENS.includes(event.key)) {
      choose(key);
      requestAnimationFrame(() => heading.current?.focus());
    } else if (key && LEADS.includes(event.key)) focus(neighbour(graph, key, event.key) ?? key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <section
      className="dg-graph"
      data-theme={colorMode}
      aria-label={`Graph of the pipeline ${graph.name}`}
      onKeyDownCapture={onKeyDown}
      onKeyDown={keepFromNotebook}
    >
      {statuses.headline && <header className="dg-headline">{statuses.headline}</header>}
      <div className="dg-main">
        <div
          className="dg-canvas"
          ref={canvas}
          style={{ height: Math.min(MOST_HEIGHT, Math.max(LEAST_HEIGHT, graph.height + 40)) }}
        >
          <ReactFlow
            nodes={nodes}
            edges={ways}
            nodeTypes={NODE_TYPES}
            edgeTypes={EDGE_TYPES}
            colorMode={colorMode}
            fitView
            fitViewOptions={FIT}
            minZoom={0.1}
            maxZoom={2}
            nodesDraggable={false}
            nodesConnectable={false}
            edgesFocusable={false}
            ariaLabelConfig={ARIA_LABELS}
            zoomOnScroll={false}
            preventScrolling={false}
            onNodeClick={(event, node) => {
              if (!(event.target as HTMLElement).closest(".dg-readable")) choose(node.id);
            }}
            onMoveStart={(event) => event && setMoved(true)}
            onPaneClick={() => choose("")}
            aria-label={`Boxes of ${graph.name}`}
          >
            <Controls
              showInteractive={false}
              fitViewOptions={FIT}
              onZoomIn={() => setMoved(true)}
              onZoomOut={() => setMoved(true)}
              onFitView={() => setMoved(false)}
            />
            <Fitted wasMoved={wasMoved} />
          </ReactFlow>
        </div>
        {box && (
          <Panel
            box={box}
            status={(box.kind === "step" && statuses.steps[box.name]) || ""}
            look={statuses.looks[statuses.steps[box.name] ?? ""]}
            reading={reading}
            onRead={setReading}
            onClose={close}
            heading={heading}
          />
        )}
      </div>
      <Legend graph={graph} />
      <div role="status" aria-live="polite" className="dg-spoken">
        {news}
      </div>
    </section>
  );
}

// When the panel takes some of the canvas's room, the graph still fits; where somebody has moved it, its middle stays.
function Fitted({ wasMoved }: { wasMoved: RefObject<boolean> }) {
  const width = useStore((store) => store.width);
  const { fitView, getViewport, setViewport } = useReactFlow();
  const before = useRef(0);
  useEffect(() => {
    if (before.current && width !== before.current) {
      const { x, y, zoom } = getViewport();
      if (wasMoved.current) setViewport({ x: x + (width - before.current) / 2, y, zoom });
      else fitView(FIT);
    }
    before.current = width;
  }, [width, wasMoved, fitView, getViewport, setViewport]);
  return null;
}

function Legend({ graph }: { graph: Graph }) {
  return (
    <ul className="dg-legend" aria-label="Legend">
      {Object.entries(graph.categories).map(([name, colour]) => (
        <li key={name}>
          <i style={{ background: colour }} /> {name}
        </li>
      ))}
      {Object.entries(graph.changes).map(([name, look]) => (
        <li key={name}>
          <i style={{ background: look.fill, border: `2px ${look.dashes ? "dashed" : "solid"} ${look.line}` }} />
          {` ${look.mark} ${name}: ${look.means}`}
        </li>
      ))}
    </ul>
  );
}

function render({ model, el }: { model: Model; el: HTMLElement }) {
  const root = createRoot(el);
  root.render(
    <ReactFlowProvider>
      <GraphView model={model} />
    </ReactFlowProvider>,
  );
  return () => root.unmount();
}

export default { render };
