// One workflow: its head, its views, and the stream that keeps them true.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";

import { Actions } from "./actions.jsx";
import { get, post, stream, workflowPath } from "./api.js";
import { Graph } from "./graph/graph.jsx";
import { Logs } from "./logs.jsx";
import { applied, stateOf } from "./model.js";
import { Panel } from "./panel.jsx";
import { RunReplay } from "./replay.jsx";
import { Link, address, change, go } from "./route.jsx";
import { Events, Yaml } from "./texts.jsx";
import { Timeline } from "./timeline.jsx";
import { duration, now } from "./words.js";

const TABS = [["graph", "Graph"], ["timeline", "Timeline"], ["logs", "Logs"], ["events", "Events"], ["yaml", "YAML"], ["replay", "Replay"]];
const MAX_KEPT = 20000;
const ENDED = new Set(["Succeeded", "Failed"]);

// The state of a workflow as it changes. What a frame says is shown in the next frame of the screen.
export function useLive(namespace, name, onLogin) {
  const [live, setLive] = useState({ state: null, moves: null, problem: "", isGone: false, online: true });
  const kept = useRef({ at: 0, state: null, frames: [] });
  useEffect(() => {
    let state = null;
    let moves = [];
    let request = 0;
    let asking = null;
    const show = () => {
      request ||= requestAnimationFrame(() => {
        request = 0;
        const [shown, moved] = [state, moves];
        moves = [];
        setLive((old) => ({ ...old, state: shown, moves: moved }));
      });
    };
    const close = stream(workflowPath(namespace, name, "/stream"), {
      state: (sent) => {
        state = stateOf(sent.state);
        moves = [];
        kept.current = { at: sent.at, state: sent.state, frames: [] };
        // Words about the API server follow the state if there are any.
        setLive((old) => ({ ...old, problem: "", isGone: false }));
        show();
      },
      frame: (frame) => {
        if (!state) return;
        state = applied(state, frame);
        moves.push(...(frame.moves || []));
        if (kept.current.frames.length < MAX_KEPT) kept.current.frames.push(frame);
        show();
      },
      gone: () => setLive((old) => ({ ...old, isGone: true })),
      lost: ({ message }) => setLive((old) => ({ ...old, problem: `The API server cannot be reached at the moment: ${message}` })),
      back: () => setLive((old) => ({ ...old, problem: "" })),
      failed: ({ message }) => setLive((old) => ({ ...old, problem: message })),
      online: (online) => {
        setLive((old) => ({ ...old, online }));
        if (online) asking?.abort();
      },
      refused: () => {
        if (asking) return;
        asking = new AbortController();
        get(workflowPath(namespace, name), asking.signal).catch((error) => {
          if (error.name === "AbortError") return;
          if (error.status === 401) onLogin();
          else setLive((old) => ({ ...old, problem: error.message, isGone: error.status === 404 }));
        }).finally(() => { asking = null; });
      },
    });
    return () => { close(); asking?.abort(); cancelAnimationFrame(request); };
  }, [namespace, name]);
  return { ...live, kept };
}

export function useScene(namespace, name, shape) {
  const [scene, setScene] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!shape) return undefined;
    const abort = new AbortController();
    get(workflowPath(namespace, name, `/scene?shape=${shape}`), abort.signal).then((found) => {
      setScene(found);
      setProblem("");
    }, (error) => error.name !== "AbortError" && setProblem(error.message));
    return () => abort.abort();
  }, [namespace, name, shape]);
  return [scene, problem];
}

export function WorkflowPage({ route, session, onLogin }) {
  const { namespace, name, view } = route;
  const live = useLive(namespace, name, onLogin);
  const { state } = live;
  const [scene, sceneProblem] = useScene(namespace, name, state?.head.shape);
  const [said, setSaid] = useState("");
  const filter = view === "graph" ? route.query.get("q") || "" : "";
  const setFilter = (q) => change({ q });
  const names = useMemo(() => new Map(scene?.boxes.map((box, position) => [box.name, position])), [scene]);
  const chosen = view === "graph" && route.task ? names.get(route.task) ?? -1 : -1;
  const choose = useCallback((position) => {
    go(address(namespace, name, "graph", position >= 0 && scene ? scene.boxes[position].name : "") + location.search, true);
  }, [scene, namespace, name]);
  const open = useCallback((position) => {
    if (position >= 0 && scene) go(address(namespace, name, "logs", scene.boxes[position].name));
  }, [scene, namespace, name]);
  const found = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length || !scene || !state) return null;
    return new Set(scene.boxes.flatMap((box, position) => {
      const flow = state.flows[position];
      const text = `${box.name} ${flow?.phase} ${flow?.reason} ${flow?.message}`.toLowerCase();
      return words.every((word) => text.includes(word)) ? [position] : [];
    }));
  }, [filter, scene, state]);
  useEffect(() => { document.title = `${name} · ${state?.head.phase || "Workflow"}`; }, [name, state?.head.phase]);

  const act = async (action, body = {}) => {
    try {
      setSaid((await post(workflowPath(namespace, name, `/actions/${action}`), body)).message);
    } catch (error) {
      setSaid(error.message);
    }
  };
  const save = () => {
    const recording = { kind: "workflow-recording/1", scene, ...live.kept.current, marks: [] };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(recording)], { type: "application/json" }));
    link.download = `${name}.recording.json`;
    link.click();
    URL.revokeObjectURL(link.href);
  };

  const problem = live.problem || sceneProblem || (!live.online && state ? "Not connected; trying again…" : "");
  const common = { namespace, name, state, scene };
  return (
    <main class={`workflow view-${view}`}>
      <Head {...common} />
      <nav class="tabs" aria-label="Views">
        {TABS.map(([key, label]) => <Link key={key} to={address(namespace, name, key)} aria-current={view === key ? "page" : undefined}>{label}</Link>)}
        <span class="gap" />
        {view === "graph" && scene && <button type="button" class="quiet" onClick={save}>Save recording</button>}
        {session.actions && state && <Actions namespace={namespace} name={name} head={state.head} act={act} />}
      </nav>
      <p class="problem" role="status">{live.isGone ? "There is no such workflow, or not any more." : problem || said}</p>
      {view === "graph" && (
        <div class="stage">
          <Graph scene={scene} state={state} moves={live.moves} chosen={chosen} onChoose={choose} onOpen={open} found={found} />
          <Panel {...common} act={session.actions ? act : null} chosen={chosen} onChoose={choose} filter={filter} setFilter={setFilter} found={found} />
        </div>
      )}
      {view === "timeline" && <Timeline {...common} query={route.query} />}
      {view === "logs" && <Logs {...common} task={route.task} query={route.query} />}
      {view === "events" && <Events {...common} query={route.query} />}
      {view === "yaml" && <Yaml {...common} />}
      {view === "replay" && <RunReplay {...common} task={route.task} query={route.query} />}
    </main>
  );
}

function Head({ namespace, name, state, scene }) {
  const [, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTick((tick) => tick + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const head = state?.head;
  const asking = scene && state ? scene.boxes.filter((_, position) => state.flows[position]?.reason === "ApprovalNeeded").slice(0, 5).map((box) => box.name) : [];
  const share = head?.total ? head.done / head.total : 0;
  return (
    <div class="head">
      <div>
        <Link to={`/?namespace=${encodeURIComponent(namespace)}`} class="faint">{namespace}</Link>
        <h1 title={name.length > 60 ? name : undefined}>{name}</h1>
      </div>
      {head && (
        <div class="facts" aria-live="polite">
          <span class={`phase ${head.phase}`}><span class={`dot ${head.phase || "Pending"}`} />{head.deleting ? "Being deleted" : head.phase || "Pending"}</span>
          <span><b>{head.done}</b>/{head.total} tasks</span>
          {head.running > 0 && <span><b>{head.running}</b> running</span>}
          {head.failed > 0 && <span class="bad"><b>{head.failed}</b> failed</span>}
        </div>
      )}
      {head?.started && <div class="took" title="Duration">{duration((head.ended || now()) - head.started)}</div>}
      {head && <div class={`meter ${head.phase}`} role="progressbar" aria-label="Progress" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share * 100)}><i style={{ width: `${share * 100}%` }} /></div>}
      {head?.blocked && (
        <p class="blocked" role="alert">
          <b>Waits for a person.</b> {head.blocked.reason}: {head.blocked.message}{" "}
          {asking.map((flow) => <Link key={flow} to={address(namespace, name, "graph", flow)}>Go to {flow}</Link>)}
        </p>
      )}
      {head && !head.blocked && head.phase !== "Succeeded" && (
        <p class={`faint said ${ENDED.has(head.phase) ? "" : "line"}`} title={head.message}>{head.message && `${head.reason}: ${head.message}`}</p>
      )}
    </div>
  );
}
