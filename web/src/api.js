// Asks the server of this page, and nobody else.

let csrf = "";
export const setCsrf = (value) => { csrf = value; };

export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answer(response) {
  const type = response.headers.get("content-type") || "";
  const body = type.includes("json") ? await response.json() : await response.text();
  if (!response.ok) throw new Problem(response.status, body.message || response.statusText);
  return body;
}

export async function get(path, signal) {
  try {
    return await answer(await fetch(path, { signal, headers: { accept: "application/json" } }));
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw new Problem(0, "the dashboard does not answer; is it still running?");
  }
}

export async function post(path, body = {}) {
  const headers = { "content-type": "application/json", "x-csrf-token": csrf };
  return answer(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

export const workflowPath = (namespace, name, rest = "") =>
  `/api/workflows/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}${rest}`;

// A stream while the page is visible: a hidden tab holds no connection, and starts from the whole state when it is seen
// again. handlers: by the name of the event; `online` is called with whether there is a connection.
export function stream(path, handlers) {
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(path);
    source.onopen = () => handlers.online?.(true);
    source.onerror = () => {
      handlers.online?.(false);
      if (source && source.readyState === EventSource.CLOSED) handlers.refused?.();
    };
    for (const [name, handle] of Object.entries(handlers)) {
      if (name === "online" || name === "refused") continue;
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const onVisible = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", onVisible);
  open();
  return () => {
    document.removeEventListener("visibilitychange", onVisible);
    close();
  };
}
