// What is around the graph: the traits of its model, which Python changes, and JupyterLab's theme.

import { useCallback, useSyncExternalStore } from "react";

import type { Graph, Model, Statuses } from "./data";

const THEME = "data-jp-theme-light"; // of JupyterLab's body: "true" or "false"
const DARK = "(prefers-color-scheme: dark)";

export function useTrait(model: Model, name: "graph"): Graph;
export function useTrait(model: Model, name: "statuses"): Statuses;
export function useTrait(model: Model, name: "graph" | "statuses"): Graph | Statuses {
  const subscribe = useCallback(
    (changed: () => void) => {
      model.on(`change:${name}`, changed);
      return () => model.off(`change:${name}`, changed);
    },
    [model, name],
  );
  return useSyncExternalStore(subscribe, () => model.get(name as "graph"));
}

function observe(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.body, { attributeFilter: [THEME] });
  const system = matchMedia(DARK);
  system.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", changed);
  };
}

export function useColorMode(): "light" | "dark" {
  return useSyncExternalStore(observe, () => {
    const isLight = document.body.getAttribute(THEME);
    return (isLight === null ? matchMedia(DARK).matches : isLight === "false") ? "dark" : "light";
  });
}
