// Addresses. Everything that is shown has one of its own.

import { useEffect, useState } from "preact/hooks";

import { BASE } from "./api.js";

const VIEWS = ["graph", "timeline", "logs", "events", "yaml", "replay"];

export function read(location) {
  const parts = location.pathname.slice(BASE.length).split("/").filter(Boolean).map(decodeURIComponent);
  const query = new URLSearchParams(location.search);
  if (parts[0] === "workflows" && parts.length >= 3) {
    const view = VIEWS.includes(parts[3]) ? parts[3] : "graph";
    return { page: "workflow", namespace: parts[1], name: parts[2], view, task: parts.slice(4).join("/"), query };
  }
  return { page: parts[0] === "replay" ? "replay" : "list", query };
}

export const address = (namespace, name, view = "graph", task = "") =>
  `/workflows/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${view}${task && `/${task.split("/").map(encodeURIComponent).join("/")}`}`;

const listeners = new Set();

export function go(to, replace = false) {
  history[replace ? "replaceState" : "pushState"](null, "", BASE + to);
  for (const listener of listeners) listener();
}

// Changes values of the query in place; an empty one goes. Everything else of the address stays.
export function change(values) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) value ? query.set(name, value) : query.delete(name);
  go(`${location.pathname.slice(BASE.length)}${query.size ? `?${query}` : ""}`, true);
}

export function useRoute() {
  const [route, setRoute] = useState(() => read(location));
  useEffect(() => {
    const update = () => setRoute(read(location));
    listeners.add(update);
    addEventListener("popstate", update);
    return () => {
      listeners.delete(update);
      removeEventListener("popstate", update);
    };
  }, []);
  return route;
}

// A link within the page. With a modifier key it is the browser's.
export function Link({ to, children, ...rest }) {
  const click = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button) return;
    event.preventDefault();
    go(to);
  };
  return <a href={BASE + to} onClick={click} {...rest}>{children}</a>;
}
