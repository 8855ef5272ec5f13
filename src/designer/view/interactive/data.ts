// What Python hands over (see placing.py and widget.py): a graph whose boxes and edges have their places.

export interface Port {
  name: string;
  carries: string;
  optional: boolean;
  description: string;
  x: number; // from the box's left edge
  gets: string[]; // where what enters comes from, in words
  reads: string; // code that reads what leaves, once the step has finished
}

export interface Setting {
  name: string;
  value: string;
  isDefault: boolean;
  description: string;
}

export interface Box {
  key: string;
  kind: "step" | "input" | "output";
  name: string;
  title: string;
  detail: string;
  what: string;
  category: string;
  description: string;
  change: string;
  row: number;
  x: number;
  y: number;
  width: number;
  height: number;
  inputs: Port[];
  outputs: Port[];
  settings: Setting[];
}

export interface Edge {
  source: string;
  output: string;
  target: string;
  input: string;
  path: string;
  change: string;
}

export interface Change {
  mark: string;
  line: string;
  fill: string;
  dashes: string;
  means: string;
}

export interface Graph {
  name: string;
  height: number;
  boxes: Box[];
  edges: Edge[];
  categories: Record<string, string>; // their colours
  changes: Record<string, Change>; // those that there are
}

export interface State {
  mark: string;
  colour: string;
}

export interface Statuses {
  steps: Record<string, string>;
  looks: Record<string, State>; // of every status that there is
  run: string; // the status of the whole
  headline: string; // the same in words
}

export interface Model {
  get(name: "graph"): Graph;
  get(name: "statuses"): Statuses;
  on(event: string, callback: () => void): void;
  off(event: string, callback: () => void): void;
}

export const ENDED = ["Completed", "Failed", "Canceled"];
export const FINISHED = ["Completed", "Reused"];
