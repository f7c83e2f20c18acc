// Asks the server of this page, and nobody else.

// The prefix under which a proxy serves the page; empty for none.
export const BASE = document.querySelector('meta[name="base-path"]').content;

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30000;

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
  if (response.ok) return body;
  // What a proxy says is a page of its own, and no sentence.
  throw new Problem(response.status, body.message || `the dashboard does not answer (HTTP ${response.status})`);
}

// Whoever asks more than one person may is told when to ask again: until then a read waits. Here by its signal.
const waiting = new Set();
let tell = () => {};
export const whenWaiting = (handle) => { tell = handle; };
export const isWaiting = (signal) => waiting.has(signal);

async function rest(milliseconds, signal) {
  signal.throwIfAborted();
  waiting.add(signal);
  tell(true);
  try {
    await new Promise((done, fail) => {
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        fail(signal.reason);
      }, { once: true });
    });
  } finally {
    waiting.delete(signal);
    tell(waiting.size > 0);
  }
}

// signal: ends a read, and the wait for its turn. Without one it is sent once: what changes something is never sent
// again by itself, as the person may have thought better of it.
async function ask(path, options) {
  const { signal } = options;
  let pause = 0;
  try {
    for (;;) {
      const response = await fetch(BASE + path, options);
      const after = 1000 * Number(response.headers.get("retry-after"));
      if (!signal || response.status !== 429 || !(after > 0)) return await answer(response);
      pause = Math.min(LONGEST_PAUSE, Math.max(after, pause * 1.7));
      await rest(pause * (1 + Math.random() / 2), signal);
    }
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw new Problem(0, "the dashboard does not answer; is it still running?");
  }
}

export const get = (path, signal = new AbortController().signal) => ask(path, { signal, headers: { accept: "application/json" } });

// signal: given for what changes nothing, such as the preview of a retry.
export const post = (path, body = {}, signal = undefined) =>
  ask(path, { method: "POST", signal, headers: { "content-type": "application/json", "x-csrf-token": csrf }, body: JSON.stringify(body) });

export const workflowPath = (namespace, name, rest = "") =>
  `/api/workflows/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}${rest}`;

// A stream while the page is visible: a hidden tab holds no connection, and starts anew when it is seen again. One that
// breaks off, or is refused, is opened again after a pause that grows. handlers: by the name of the event; `online` is
// called with whether there is a connection, and `refused` when there was none, to ask why.
export function stream(path, handlers) {
  const { online, refused, ...events } = handlers;
  let source = null;
  let timer = 0;
  let pause = FIRST_PAUSE;
  let isClosed = false;
  const open = () => {
    clearTimeout(timer);
    timer = 0;
    if (source || document.hidden || isClosed) return;
    let wasOpen = false;
    source = new EventSource(BASE + path);
    source.onopen = () => {
      wasOpen = true;
      online?.(true);
    };
    source.onerror = () => {
      // The browser tries again by itself after some errors and not after others; here it is always the same.
      close();
      online?.(false);
      if (!wasOpen) refused?.();
      timer = setTimeout(open, pause * (0.75 + Math.random() / 2));
      pause = Math.min(LONGEST_PAUSE, pause * 1.7);
    };
    for (const [name, handle] of Object.entries(events)) {
      source.addEventListener(name, (event) => {
        pause = FIRST_PAUSE;
        handle(JSON.parse(event.data));
      });
    }
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const onVisible = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", onVisible);
  addEventListener("online", open);
  open();
  return () => {
    isClosed = true;
    document.removeEventListener("visibilitychange", onVisible);
    removeEventListener("online", open);
    clearTimeout(timer);
    close();
  };
}
