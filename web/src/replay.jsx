// A run that is played again: from the jobs and Events of the cluster, or from a file.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { BASE, get, workflowPath } from "./api.js";
import { Graph } from "./graph/graph.jsx";
import { Replay } from "./model.js";
import { Panel } from "./panel.jsx";
import { clock, duration } from "./words.js";

const SPEEDS = [0.25, 0.5, 1, 2, 5, 10, 60];

export function RunReplay({ namespace, name }) {
  const [recording, setRecording] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    get(workflowPath(namespace, name, "/recording")).then(setRecording, (error) => setProblem(error.message));
  }, [namespace, name]);
  if (problem) return <p class="problem" role="alert">{problem}</p>;
  if (!recording) return <p class="faint" aria-busy="true">…</p>;
  return <Player recording={recording} download={BASE + workflowPath(namespace, name, "/recording?download=1")} />;
}

export function ReplayFile() {
  const [recording, setRecording] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => { document.title = "Recording"; }, []);
  const open = async (event) => {
    try {
      const found = JSON.parse(await event.target.files[0].text());
      if (found.kind !== "workflow-recording/1" || !found.scene || !found.state || !Array.isArray(found.frames)) throw new Error("not a recording");
      new Replay(found);
      setRecording(found);
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
      {recording ? <Player recording={recording} /> : <div class="empty">A recording is played in this page alone: the file is sent nowhere.</div>}
    </main>
  );
}

function Player({ recording, download }) {
  const replay = useMemo(() => new Replay(recording), [recording]);
  const span = Math.max(0.001, replay.end - replay.begin);
  const [at, setAt] = useState(0);
  const [plays, setPlays] = useState(false);
  const [speed, setSpeed] = useState(span > 600 ? 60 : span > 60 ? 5 : 1);
  const [chosen, setChosen] = useState(-1);
  const [filter, setFilter] = useState("");
  const shown = useRef(0);
  const count = replay.before(replay.begin + at + 1e-6);
  const state = useMemo(() => replay.state(count), [replay, count]);
  const moves = useMemo(() => {
    // Only what is played moves: a jump shows the state.
    const from = shown.current;
    shown.current = count;
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
    shown.current = Infinity;
    setAt(value > span * 0.9995 ? span : Math.max(0, value)); // the last step of a slider may not reach its end
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
        <Graph scene={recording.scene} state={state} moves={moves} chosen={chosen} onChoose={setChosen} onOpen={setChosen} found={found} />
        <Panel namespace={state.head.namespace} name={state.head.name} scene={recording.scene} state={state} chosen={chosen} onChoose={setChosen} filter={filter} setFilter={setFilter} found={found} />
      </div>
      <div class="player" role="group" aria-label="Replay">
        <button type="button" class="primary" onClick={toggle}>{plays ? "Pause" : "Play"}</button>
        <div class="slide">
          <input type="range" min={0} max={span} step={span / 1000} value={at} aria-label="Time" aria-valuetext={words} onInput={(event) => jump(Number(event.target.value))} />
          <div class="marks" aria-hidden="true">
            {(recording.marks || []).filter((mark) => mark.at >= replay.begin && mark.at <= replay.end).map((mark, nth) => (
              <i key={nth} class={mark.warning ? "warning" : ""} title={`${clock(mark.at)} ${mark.text}`} style={{ left: `${(100 * (mark.at - replay.begin)) / span}%` }} />
            ))}
          </div>
        </div>
        <span class="then"><span class={`dot ${state.head.phase}`} />{state.head.phase} <b>{state.head.done}</b>/{state.head.total}</span>
        <span class="when">{words}</span>
        <select aria-label="Speed" value={String(speed)} onChange={(event) => setSpeed(Number(event.target.value))}>
          {SPEEDS.map((one) => <option key={one} value={String(one)}>{one}×</option>)}
        </select>
        {download && <a class="button" href={download} download>Save</a>}
      </div>
    </>
  );
}
