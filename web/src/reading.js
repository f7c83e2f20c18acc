// What is read from the server while it is shown: again when it may have changed, and again after an error.

import { useEffect, useState } from "preact/hooks";

import { get } from "./api.js";

const AFTER_ERROR = 2000;
const LONGEST = 30000;

// The newest answer, which stays while a later one fails, and what is wrong, empty if nothing is. every: milliseconds
// after which it is read again, 0 for never; version: read again when this changes. Without a path, and
// while the page is hidden, nothing is read.
export function useRead(path, { every = 0, version = "" } = {}) {
  const [found, setFound] = useState({ path: "", answer: null });
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!path) return undefined;
    const abort = new AbortController();
    let timer = 0;
    let pause = AFTER_ERROR;
    const later = (milliseconds) => { timer = setTimeout(load, milliseconds); };
    const load = async () => {
      timer = 0;
      if (document.hidden) {
        document.addEventListener("visibilitychange", load, { once: true, signal: abort.signal });
        return;
      }
      try {
        const answer = await get(path, abort.signal);
        setFound({ path, answer });
        setProblem("");
        pause = AFTER_ERROR;
        if (every) later(every);
      } catch (error) {
        if (error.name === "AbortError") return;
        setProblem(error.message);
        later(pause);
        pause = Math.min(LONGEST, pause * 2);
      }
    };
    load();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [path, every, version]);
  return [found.path === path ? found.answer : null, problem];
}
