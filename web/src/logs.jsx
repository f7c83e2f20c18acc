// The log of a task.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { stream, workflowPath } from "./api.js";
import { useRead } from "./reading.js";
import { address, change, go } from "./route.jsx";
import { number } from "./words.js";

const MAX_LINES = 10000;

export function Logs({ namespace, name, scene, state, task, query }) {
  const [flow, index] = task.split("/");
  const attempt = query.get("attempt") || "";
  const pod = query.get("pod") || "";
  const container = query.get("container") || "";
  const [lines, setLines] = useState([]);
  const [said, setSaid] = useState("");
  const [turn, setTurn] = useState(0);
  const wanted = query.get("q") || "";
  const follows = query.get("follow") !== "0";
  const end = useRef(null);
  const pause = useRef(0);
  // Another task, with other pods; the search stays.
  const show = (to) => go(`${address(namespace, name, "logs", to)}${wanted && `?${new URLSearchParams({ q: wanted })}`}`);
  const box = scene?.boxes.find((one) => one.name === flow);
  const now = box && state?.flows[scene.boxes.indexOf(box)];
  const asked = new URLSearchParams(Object.entries({ flow, index: index || "", attempt, pod, container }).filter(([, value]) => value));
  // Pods come and go with the attempts of the flow, and with its end.
  const version = `${now?.phase} ${now?.tries} ${now?.ended} ${turn}`;
  const [found, problem] = useRead(flow && workflowPath(namespace, name, `/logs?${asked}&follow=1`), { version });
  // A pod that still runs: its stream begins with the last lines, so that none is lost between two answers.
  const live = found?.follows ? `${found.pod}/${found.container}` : "";
  useEffect(() => {
    if (found && !live) setLines(found.lines);
    setSaid(found?.message || "");
  }, [found, live]);
  useEffect(() => { pause.current = 1500; }, [live]);
  useEffect(() => {
    if (!live) return undefined;
    let timer = 0;
    let isFresh = true;
    const again = () => setTurn((old) => old + 1);
    const close = stream(workflowPath(namespace, name, `/logs/stream?${new URLSearchParams({ pod: found.pod, container: found.container })}`), {
      begin: () => { isFresh = true; setSaid(""); },
      lines: (more) => {
        const kept = isFresh ? [] : null;
        isFresh = false;
        setLines((old) => [...(kept || old), ...more].slice(-MAX_LINES));
      },
      // The container has ended or has not begun, or the connection to the API server broke: the next answer says it.
      end: ({ message }) => {
        close();
        setSaid(message);
        timer = setTimeout(again, pause.current);
        pause.current = Math.min(30000, pause.current * 2);
      },
      online: (is) => setSaid(is ? "" : "Not connected; trying again…"),
    });
    return () => { close(); clearTimeout(timer); };
  }, [namespace, name, live, turn]);
  const shown = useMemo(() => (wanted ? lines.filter((line) => line.toLowerCase().includes(wanted.toLowerCase())) : lines), [lines, wanted]);
  useEffect(() => { if (follows) end.current?.scrollIntoView({ block: "nearest" }); }, [shown, follows]);
  return (
    <section class="logs" aria-label="Log">
      <div class="bar">
        <select aria-label="Flow" value={flow} onChange={(event) => show(event.target.value)}>
          <option value="">choose a flow</option>
          {(scene?.boxes || []).map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
        </select>
        {box?.has_for && (
          <select aria-label="Index" value={index || ""} onChange={(event) => show(event.target.value ? `${flow}/${event.target.value}` : flow)}>
            <option value="">any index</option>
            {Array.from({ length: Math.min(box.size || 1, 1000) }, (_, at) => <option key={at} value={String(at)}>{at}</option>)}
          </select>
        )}
        {found?.pods.length > 1 && (
          <select aria-label="Pod" value={found.pod} onChange={(event) => change({ pod: event.target.value, container: "" })}>
            {found.pods.map((one) => <option key={one.pod} value={one.pod}>{one.pod}</option>)}
          </select>
        )}
        {found?.pods.find((one) => one.pod === found.pod)?.containers.length > 1 && (
          <select aria-label="Container" value={found.container} onChange={(event) => change({ container: event.target.value })}>
            {found.pods.find((one) => one.pod === found.pod).containers.map((one) => <option key={one}>{one}</option>)}
          </select>
        )}
        <input type="search" aria-label="Search in the log" placeholder="Search in the log" value={wanted} onInput={(event) => change({ q: event.target.value })} />
        <label class="check"><input type="checkbox" checked={follows} onChange={(event) => change({ follow: event.target.checked ? "" : "0" })} /> follow</label>
      </div>
      {found?.pod && <p class="faint">{found.pod} · {found.container}{wanted && ` · ${number(shown.length)} of ${number(lines.length)} lines`}</p>}
      <p class="problem" role="status">{problem || said}</p>
      {found?.gone.map((one) => (
        <div class="gone" key={one.task}>
          <b>{one.task}</b> {one.phase.toLowerCase()}, and its pods are gone.
          {one.words && <p>Last words: {one.words}</p>}
          <p>{one.address.startsWith("http") ? <a href={one.address} rel="noreferrer noopener">Its log</a> : one.address || "Where logs are kept is not known: start the dashboard with --log-url-template."}</p>
        </div>
      ))}
      {found && !found.pods.length && !found.gone.length && <div class="empty">{flow} has no pod yet.</div>}
      {!flow && <div class="empty">Choose a flow.</div>}
      {shown.length > 0 && <pre tabIndex={0} aria-label="Lines">{shown.join("\n")}<span ref={end} /></pre>}
    </section>
  );
}
