// What a person may do to a workflow, where the dashboard was started with --allow-actions.

import { useEffect, useRef, useState } from "preact/hooks";

import { post, workflowPath } from "./api.js";
import { plural } from "./words.js";

const ENDED = new Set(["Succeeded", "Failed"]);

// A question in front of the page. The browser keeps the focus in it, and Escape closes it.
function Ask({ title, children, confirm, danger, busy, onConfirm, onClose }) {
  const dialog = useRef(null);
  useEffect(() => { dialog.current.showModal(); }, []);
  return (
    <dialog ref={dialog} aria-labelledby="ask-title" onClose={onClose}>
      <h2 id="ask-title">{title}</h2>
      {children}
      <div class="bar answers">
        <span class="gap" />
        <button type="button" onClick={() => dialog.current.close()}>Cancel</button>
        {confirm && <button type="button" class={danger ? "danger" : "primary"} disabled={busy} onClick={onConfirm}>{confirm}</button>}
      </div>
    </dialog>
  );
}

export function Actions({ namespace, name, head, act }) {
  const [asks, setAsks] = useState("");
  if (ENDED.has(head.phase)) {
    return (
      <span class="actions">
        <button type="button" onClick={() => setAsks("retry")}>Retry</button>
        {asks && <Retry namespace={namespace} name={name} flows={[]} act={act} onClose={() => setAsks("")} />}
      </span>
    );
  }
  return (
    <span class="actions">
      <button type="button" onClick={() => act(head.suspended ? "resume" : "suspend")}>{head.suspended ? "Resume" : "Suspend"}</button>
      <button type="button" onClick={() => setAsks("stop")}>Stop</button>
      <button type="button" class="danger" onClick={() => setAsks("terminate")}>Terminate</button>
      {asks && (
        <Ask title={asks === "stop" ? `Stop ${name}?` : `Terminate ${name}?`} confirm={asks === "stop" ? "Stop" : "Terminate"} danger
          onConfirm={() => { act(asks); setAsks(""); }} onClose={() => setAsks("")}>
          <p>{asks === "stop" ? "Jobs that run may end. Nothing but flows with finally: true starts." : "Its unfinished jobs are deleted, and no other starts but flows with finally: true."}</p>
        </Ask>
      )}
    </span>
  );
}

// What runs again is shown first, and only that is asked for. flows: with all that depend on them; none: what did not succeed.
export function Retry({ namespace, name, flows, act, onClose }) {
  const [plan, setPlan] = useState(null);
  const [problem, setProblem] = useState("");
  const [given, setGiven] = useState({});
  const [isAsking, setIsAsking] = useState(true);
  const known = useRef({});
  const asked = JSON.stringify(given);
  useEffect(() => {
    const abort = new AbortController();
    setIsAsking(true);
    // Other values may mean that other tasks run again.
    const timer = setTimeout(() => post(workflowPath(namespace, name, "/actions/retry"), { flows, parameters: given }, abort.signal).then((found) => {
      known.current = found.parameters;
      setPlan(found);
      setProblem("");
      setIsAsking(false);
    }, (error) => {
      if (error.name === "AbortError") return;
      setPlan(null);
      setProblem(error.message);
      setIsAsking(false);
    }), asked === "{}" ? 0 : 300);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [asked]);
  const set = (parameter, value) => setGiven((old) => {
    const { [parameter]: _, ...rest } = old;
    return value === (known.current[parameter] ?? "") ? rest : { ...rest, [parameter]: value };
  });
  const send = () => {
    act("retry", { flows, parameters: given, shown: plan.again });
    onClose();
  };
  const parameters = Object.entries(known.current);
  return (
    <Ask title={`Retry ${name}?`} confirm={(plan || problem) && "Retry"} busy={isAsking || !plan} onClose={onClose} onConfirm={send}>
      {problem && <p class="problem" role="alert">{problem}</p>}
      {!plan && !problem && <p class="faint" aria-busy="true">…</p>}
      {plan && (
        <>
          <p>{plural(plan.count, "task")} {plan.count === 1 ? "runs" : "run"} again:</p>
          <ul class="again">
            {plan.again.slice(0, 200).map((one) => (
              <li key={`${one.flow} ${one.was}`}>
                <span class={`dot ${one.was || "Waiting"}`} />
                <b>{one.flow}</b>{one.indexes && <span>{one.indexes}</span>}
                <span class="faint">{one.was ? `was ${one.was.toLowerCase()}` : "is new"}</span>
              </li>
            ))}
          </ul>
          {plan.again.length > 200 && <p class="faint">and more: {plural(plan.again.length - 200, "line")}</p>}
          {plan.unread.map((text) => <p class="faint" key={text}>{text}</p>)}
        </>
      )}
      {parameters.length > 0 && (
        <details class="parameters">
          <summary>{asked === "{}" ? `With the same ${parameters.length === 1 ? "parameter" : "parameters"}` : "With other parameters"}</summary>
          {parameters.map(([parameter, value]) => (
            <label key={parameter}>
              <span>{parameter}{parameter in given && <b> changed</b>}</span>
              <Value value={given[parameter] ?? value ?? ""} placeholder={value === null ? "as its template has it" : ""} onInput={(event) => set(parameter, event.target.value)} />
            </label>
          ))}
          {plan?.unused.map((one) => <p class="problem" key={one}>Nothing uses the parameter {one}.</p>)}
        </details>
      )}
    </Ask>
  );
}

// A field for text of one line, or of several.
function Value({ value, ...rest }) {
  const [isLong] = useState(value.includes("\n"));
  const common = { spellcheck: false, autocomplete: "off", maxLength: 16384, value, ...rest };
  return isLong ? <textarea rows={4} {...common} /> : <input type="text" {...common} />;
}

// Approve or reject, for a flow that waits for a person.
export function Decide({ flow, act }) {
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState(false);
  const send = async (decision) => {
    setBusy(true);
    await act(decision, { target: flow, comment });
    setBusy(false);
  };
  return (
    <div class="decide" role="group" aria-label={`Decide about ${flow}`}>
      <input type="text" aria-label="Comment" placeholder="Comment" maxLength={512} value={comment} onInput={(event) => setComment(event.target.value)} />
      <div class="bar">
        <button type="button" class="primary" disabled={busy} onClick={() => send("approve")}>Approve</button>
        <button type="button" class="danger" disabled={busy} onClick={() => send("reject")}>Reject</button>
      </div>
    </div>
  );
}
