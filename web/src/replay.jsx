// A run that is played again: from the jobs and Events of the cluster, or from a file.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { BASE, get, workflowPath } from "./api.js";
import { Graph } from "./graph/graph.jsx";
import { Replay } from "./model.js";
import { Panel } from "./panel.jsx";
import { address, change, go } from "./route.jsx";
import { clock, duration } from "./words.js";

const SPEEDS = [0.25, 0.5, 1, 2, 5, 10, 60];

// How often the address follows what is played, in milliseconds: browsers allow only so many changes.
const WRITE = 500;

// What is shown of a replay is part of its address: the moment, the flow, the search and the speed.
export function RunReplay({ namespace, name, task, query }) {
  const [recording, setRecording] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    get(workflowPath(namespace, name, "/recording"), abort.signal).then(setRecording, (error) => error.name !== "AbortError" && setProblem(error.message));
    return () => abort.abort();
  }, [namespace, name]);
  if (problem) return <p class="problem" role="alert">{problem}</p>;
  if (!recording) return <p class="faint" aria-busy="true">…</p>;
  const shown = {
    flow: task,
    choose: (flow) => go(address(namespace, name, "replay", flow) + location.search, true),
    at: query.get("at") || "",
    filter: query.get("q") || "",
    speed: query.get("speed") || "",
    change,
  };
  return <Player recording={recording} shown={shown} download={BASE + workflowPath(namespace, name, "/recording?download=1")} />;
}

export function ReplayFile() {
  const [recording, setRecording] = useState(null);
  const [problem, setProblem] = useState("");
  // A file has no address: what is shown of it is known here alone.
  const [values, setValues] = useState({ flow: "", at: "", q: "", speed: "" });
  const put = (more) => setValues((old) => ({ ...old, ...more }));
  const shown = { ...values, filter: values.q, choose: (flow) => put({ flow }), change: put };
  useEffect(() => { document.title = "Recording"; }, []);
  const open = async (event) => {
    try {
      const found = JSON.parse(await event.target.files[0].text());
      if (found.kind !== "workflow-recording/1" || !found.scene || !found.state || !Array.isArray(found.frames)) throw new Error("not a recording");
      new Replay(found);
      setRecording(found);
      setValues({ flow: "", at: "", q: "", speed: "" });
      setProblem("");
    } catch {
      setRecording(null);
      setProblem("This file is no recording of a workflow. 'Save recording' beside a graph makes one.");
    }
  };
  return (
    <main class="workflow">
      <div class="bar">
        <h1>{recording ? recording.state.head.name : "Recording"}</h1>
        <label class="button">Open a file<input type="file" accept="application/json,.json" onChange={open} class="sr" /></label>
      </div>
      <p class="problem" role="alert">{problem}</p>
      {recording ? <Player recording={recording} shown={shown} /> : <div class="empty">A recording is played in this page alone: the file is sent nowhere.</div>}
    </main>
  );
}

// The seconds from the beginning of a replay to a moment of its address.
function secondsTo(moment, replay, span) {
  const at = Date.parse(moment) / 1000 - replay.begin;
  return Number.isFinite(at) ? Math.max(0, Math.min(span, at)) : 0;
}

// shown: what the address has, and how it is changed.
function Player({ recording, shown, download }) {
  const replay = useMemo(() => new Replay(recording), [recording]);
  const span = Math.max(0.001, replay.end - replay.begin);
  const [at, setAt] = useState(() => secondsTo(shown.at, replay, span));
  const [plays, setPlays] = useState(false);
  const speed = SPEEDS.find((one) => String(one) === shown.speed) || (span > 600 ? 60 : span > 60 ? 5 : 1);
  const chosen = recording.scene.boxes.findIndex((box) => box.name === shown.flow);
  const choose = (position) => shown.choose(position >= 0 ? recording.scene.boxes[position].name : "");
  const { filter } = shown;
  const written = useRef(shown.at);
  const writing = useRef(0);
  const newest = useRef(at);
  newest.current = at;
  useEffect(() => {
    if (shown.at === written.current) return;
    written.current = shown.at;
    jump(secondsTo(shown.at, replay, span));
  }, [shown.at]);
  useEffect(() => {
    if (Math.abs(secondsTo(written.current, replay, span) - at) < 0.002) return;
    writing.current ||= setTimeout(() => {
      writing.current = 0;
      // Up to the next millisecond: what happened at this moment has happened there.
      written.current = newest.current > 0 ? new Date(Math.ceil((replay.begin + newest.current) * 1000)).toISOString() : "";
      shown.change({ at: written.current });
    }, WRITE);
  }, [at]);
  useEffect(() => () => clearTimeout(writing.current), []);
  const last = useRef(Infinity);
  const count = replay.before(replay.begin + at + 1e-6);
  const state = useMemo(() => replay.state(count), [replay, count]);
  const moves = useMemo(() => {
    // Only what is played moves: a jump shows the state.
    const from = last.current;
    last.current = count;
    return count > from && count - from < 60 ? replay.frames.slice(from, count).flatMap((frame) => frame.moves || []) : [];
  }, [count]);
  useEffect(() => {
    if (!plays) return undefined;
    let before = performance.now();
    let request = requestAnimationFrame(function step(now) {
      const passed = ((now - before) / 1000) * speed;
      before = now;
      setAt((old) => {
        const next = Math.min(span, old + passed);
        if (next >= span) setPlays(false);
        return next;
      });
      request = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(request);
  }, [plays, speed, span]);
  const jump = (value) => {
    last.current = Infinity;
    setAt(Math.max(0, Math.min(span, value)));
  };
  const toggle = () => {
    if (!plays && at >= span) jump(0);
    setPlays(!plays);
  };
  const found = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return null;
    return new Set(recording.scene.boxes.flatMap((box, position) => (words.every((word) => `${box.name} ${state.flows[position].phase}`.toLowerCase().includes(word)) ? [position] : [])));
  }, [filter, state]);
  const words = `${duration(at) || "0s"} of ${duration(span)}`;
  return (
    <>
      <div class="stage">
        <Graph scene={recording.scene} state={state} moves={moves} chosen={chosen} onChoose={choose} onOpen={choose} found={found} at={replay.begin + at} />
        <Panel namespace={state.head.namespace} name={state.head.name} scene={recording.scene} state={state} chosen={chosen} onChoose={choose} filter={filter} setFilter={(q) => shown.change({ q })} found={found} at={replay.begin + at} />
      </div>
      <div class="player" role="group" aria-label="Replay">
        <button type="button" class="primary" onClick={toggle}>{plays ? "Pause" : "Play"}</button>
        <div class="slide">
          {/* A step that does not divide the span exactly would keep the slider from its end. */}
          <input type="range" min={0} max={span} step="any" value={at} aria-label="Time" aria-valuetext={words} onInput={(event) => jump(Number(event.target.value))} />
          <div class="marks" aria-hidden="true">
            {(recording.marks || []).filter((mark) => mark.at >= replay.begin && mark.at <= replay.end).map((mark, nth) => (
              <i key={nth} class={mark.warning ? "warning" : ""} title={`${clock(mark.at)} ${mark.text}`} style={{ left: `${(100 * (mark.at - replay.begin)) / span}%` }} />
            ))}
          </div>
        </div>
        <span class="then"><span class={`dot ${state.head.phase}`} />{state.head.phase} <b>{state.head.done}</b>/{state.head.total}</span>
        <span class="when">{words}</span>
        <select aria-label="Speed" value={String(speed)} onChange={(event) => shown.change({ speed: event.target.value })}>
          {SPEEDS.map((one) => <option key={one} value={String(one)}>{one}×</option>)}
        </select>
        {download && <a class="button" href={download} download>Save</a>}
      </div>
    </>
  );
}
