// The flows of a workflow as text: the same facts as the graph, for search, screen readers and small screens.

import { useMemo, useState } from "preact/hooks";

import { Decide, Retry } from "./actions.jsx";
import { counts } from "./model.js";
import { Link, address } from "./route.jsx";
import { PHASES, duration, now, number } from "./words.js";

const MAX_ROWS = 200;
const RANK = new Map(PHASES.map((phase, rank) => [phase, rank]));

// at: the moment of a replay; without it, now.
export function Panel({ namespace, name, state, scene, chosen, onChoose, filter, setFilter, found, act, at }) {
  const rows = useMemo(() => {
    if (!state || !scene || state.flows.length !== scene.boxes.length) return [];
    const all = scene.boxes.map((box, position) => ({ box, position, flow: state.flows[position] }));
    const kept = found ? all.filter((row) => found.has(row.position)) : all;
    return kept.length > 40 ? kept.sort((a, b) => RANK.get(a.flow.phase) - RANK.get(b.flow.phase)) : kept;
  }, [state, scene, found]);
  const detail = chosen >= 0 && scene && state?.flows[chosen] ? { box: scene.boxes[chosen], flow: state.flows[chosen] } : null;
  return (
    <aside class="panel" aria-label="Flows">
      {detail && <Detail namespace={namespace} name={name} {...detail} head={state.head} act={act} at={at} onClose={() => onChoose(-1)} />}
      <input type="search" aria-label="Search flows" placeholder="Search flows" value={filter} onInput={(event) => setFilter(event.target.value)} />
      <ul>
        {rows.slice(0, MAX_ROWS).map(({ box, position, flow }) => (
          <li key={position}>
            <button type="button" aria-current={position === chosen ? "true" : undefined} onClick={() => onChoose(position)}>
              <span class={`dot ${flow.phase}`} />
              <span class="flow">{box.name}</span>
              <span class="faint">{box.has_for ? summary(flow) : flow.phase}</span>
              {flow.reason && flow.phase !== "Succeeded" && <span class="reason">{flow.message || flow.reason}</span>}
            </button>
          </li>
        ))}
      </ul>
      {rows.length > MAX_ROWS && <p class="faint">and {number(rows.length - MAX_ROWS)} more: search for them</p>}
      {found && !rows.length && <p class="faint">No flow is like this.</p>}
    </aside>
  );
}

const summary = (flow) => counts(flow).map(([phase, count]) => `${count} ${phase.toLowerCase()}`).join(", ") || flow.phase;

function Detail({ namespace, name, box, flow, head, act, at = now(), onClose }) {
  const [asks, setAsks] = useState(false);
  const hasEnded = head.phase === "Succeeded" || head.phase === "Failed";
  return (
    <section class="detail" aria-label={`Flow ${box.name}`}>
      <button type="button" class="close" aria-label="Close" onClick={onClose}>×</button>
      <h2>{box.name}</h2>
      <dl>
        <dt>Phase</dt><dd><span class={`dot ${flow.phase}`} /> {box.has_for ? summary(flow) : flow.phase}</dd>
        {box.template && <><dt>Template</dt><dd>{box.template}</dd></>}
        {flow.started && <><dt>Duration</dt><dd>{duration((flow.ended || at) - flow.started)}</dd></>}
        {flow.tries > 0 && <><dt>Attempts</dt><dd>{flow.tries}</dd></>}
        {flow.due && flow.due > at && <><dt>Next attempt</dt><dd>in {duration(flow.due - at)}</dd></>}
        {flow.reason && <><dt>Why</dt><dd>{flow.reason}{flow.message && `: ${flow.message}`}</dd></>}
      </dl>
      {flow.replicas.length > 0 && (
        <ul class="replicas">
          {flow.replicas.slice(0, 20).map(([index, phase, reason, message]) => (
            <li key={index}>
              <Link to={address(namespace, name, "logs", `${box.name}/${index}`)}><span class={`dot ${phase}`} />{box.name}/{index}</Link>
              <span class="reason">{message || reason}</span>
            </li>
          ))}
        </ul>
      )}
      {act && flow.reason === "ApprovalNeeded" && <Decide flow={box.name} act={act} />}
      <div class="bar">
        {!(box.gate && !box.template && !flow.tries) && <Link class="button" to={address(namespace, name, "logs", box.name)}>Log</Link>}
        {act && hasEnded && <button type="button" onClick={() => setAsks(true)}>Run again from here</button>}
      </div>
      {asks && <Retry namespace={namespace} name={name} flows={[box.name]} act={act} onClose={() => setAsks(false)} />}
    </section>
  );
}
