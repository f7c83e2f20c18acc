// The list of workflows: filters, search, pages, and rows that change while one looks.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { BASE, get, isWaiting, stream } from "./api.js";
import { Link, address, go } from "./route.jsx";
import { duration, moment, now, number, plural } from "./words.js";

const LIMIT = 50;
const SHOWN = ["Running", "Suspended", "Terminating", "Pending", "Failed", "Succeeded"];

export function List({ route, session, onLogin }) {
  const { query } = route;
  const [page, setPage] = useState(null);
  const [problem, setProblem] = useState("");
  const [denied, setDenied] = useState(null);
  const [lost, setLost] = useState("");
  const [online, setOnline] = useState(true);
  const [, setTick] = useState(0);
  const search = useRef(null);
  const pending = useRef(0);
  const reading = useRef(null);
  const set = (changes, replace = false) => {
    const next = new URLSearchParams(query);
    if (!("offset" in changes)) next.delete("offset");
    for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
    go(`/${next.size ? `?${next}` : ""}`, replace);
  };
  const wanted = query.toString();
  const namespace = query.get("namespace") || "";
  const load = useCallback(() => {
    // One that waits for its turn will be answered with what is true then.
    if (reading.current && isWaiting(reading.current.signal)) return;
    const asked = new URLSearchParams(wanted);
    asked.set("limit", LIMIT);
    // An answer that a later question has overtaken is not wanted any more.
    reading.current?.abort();
    const own = new AbortController();
    reading.current = own;
    get(`/api/workflows?${asked}`, own.signal).then((found) => {
      setPage(found.page);
      setDenied(found.denied);
      setLost(found.trouble);
      setProblem("");
    }, (error) => {
      if (error.status === 401) onLogin();
      else if (error.name !== "AbortError") setProblem(error.message);
    }).finally(() => { if (reading.current === own) reading.current = null; });
  }, [wanted]);
  useEffect(() => {
    load();
    return () => { reading.current?.abort(); reading.current = null; };
  }, [load]);
  useEffect(() => {
    document.title = "Workflows";
    const timer = setInterval(() => setTick((tick) => tick + 1), 1000);
    const focus = (event) => {
      if (event.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) {
        event.preventDefault();
        search.current?.focus();
      }
    };
    addEventListener("keydown", focus);
    return () => { clearInterval(timer); removeEventListener("keydown", focus); };
  }, []);
  useEffect(() => {
    // Rows that are shown change at once. Whatever may change which rows are shown is read anew, at most every second,
    // and once the answer before has come.
    const later = () => { pending.current ||= setTimeout(() => { pending.current = 0; reading.current ? later() : load(); }, 1000); };
    const lines = ({ lines: changed, gone }) => {
      const fresh = new Map(changed.map((line) => [`${line.namespace}/${line.name}`, line]));
      setPage((old) => old && { ...old, lines: old.lines.map((line) => fresh.get(`${line.namespace}/${line.name}`) || line) });
      if (changed.length || gone.length) later();
    };
    const close = stream(`/api/stream${namespace && `?${new URLSearchParams({ namespace })}`}`, {
      lines,
      again: load,
      lost: ({ message }) => setLost(message),
      back: () => setLost(""),
      online: (is) => { setOnline(is); if (is) load(); },
      refused: load,
    });
    return () => { close(); clearTimeout(pending.current); pending.current = 0; };
  }, [load]);

  const namespaces = (page?.namespaces || []).concat(namespace && !page?.namespaces.includes(namespace) ? [namespace] : []);
  const phase = query.get("phase") || "";
  const offset = Number(query.get("offset") || 0);
  const sort = query.get("sort") || "-created";
  const all = page ? Object.values(page.phases).reduce((sum, count) => sum + count, 0) : 0;
  const sorter = (key, label) => (
    <button type="button" class="sort" aria-pressed={sort.replace("-", "") === key} onClick={() => set({ sort: sort === `-${key}` ? key : `-${key}` })}>
      {label}{sort === key ? " ↑" : sort === `-${key}` ? " ↓" : ""}
    </button>
  );
  return (
    <main class="list">
      <div class="bar">
        <h1>Workflows</h1>
        <input ref={search} type="search" aria-label="Search by name, namespace, phase or reason" placeholder="Search  ( / )" value={query.get("q") || ""} onInput={(event) => set({ q: event.target.value }, true)} />
        {!session.scope && (
          <select aria-label="Namespace" value={namespace} onChange={(event) => set({ namespace: event.target.value })}>
            <option value="">all namespaces</option>
            {namespaces.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        )}
      </div>
      <div class="chips" role="group" aria-label="Filter by phase">
        <button type="button" aria-pressed={!phase && !query.get("blocked")} onClick={() => set({ phase: "", blocked: "" })}>All <b>{number(all)}</b></button>
        {SHOWN.filter((name) => page?.phases[name] || phase === name).map((name) => (
          <button type="button" key={name} aria-pressed={phase === name} onClick={() => set({ phase: phase === name ? "" : name })}>
            <span class={`dot ${name}`} />{name} <b>{number(page?.phases[name] || 0)}</b>
          </button>
        ))}
        {(page?.blocked > 0 || query.get("blocked")) && (
          <button type="button" aria-pressed={query.get("blocked") === "1"} onClick={() => set({ blocked: query.get("blocked") ? "" : "1" })}>
            <span class="dot Backoff" />Waits for a person <b>{number(page?.blocked || 0)}</b>
          </button>
        )}
      </div>
      <p class="problem" role="status">{problem || (lost && `The API server cannot be read at the moment: ${lost}`) || (!online && "Not connected; trying again…")}</p>
      {page && denied !== null && !problem && <Denied namespace={denied} isLocal={session.auth === "local"} />}
      {page && denied === null && !page.lines.length && !problem && (
        <div class="empty">{page.total ? "No workflow is like this." : <>There is no workflow yet. <code>kubectl workflow submit -f FILE</code> runs one.</>}</div>
      )}
      {page && page.lines.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{sorter("name", "Name")}</th>
              <th scope="col">{sorter("phase", "Phase")}</th>
              <th scope="col">Progress</th>
              <th scope="col" class="right">{sorter("duration", "Duration")}</th>
              <th scope="col" class="right">{sorter("created", "Age")}</th>
              <th scope="col" class="wide">Why</th>
            </tr>
          </thead>
          <tbody>{page.lines.map((line) => <Row key={`${line.namespace}/${line.name}`} line={line} hasNamespace={!session.scope} />)}</tbody>
        </table>
      )}
      {page && page.matched > LIMIT && (
        <nav class="pages" aria-label="Pages">
          <button type="button" disabled={!offset} onClick={() => set({ offset: String(Math.max(0, offset - LIMIT)) })}>Newer</button>
          <span>{number(offset + 1)}–{number(Math.min(offset + LIMIT, page.matched))} of {plural(page.matched, "workflow")}</span>
          <button type="button" disabled={offset + LIMIT >= page.matched} onClick={() => set({ offset: String(offset + LIMIT) })}>Older</button>
        </nav>
      )}
    </main>
  );
}

// Who may not list Workflows. namespace: where, empty for all.
function Denied({ namespace, isLocal }) {
  const elsewhere = isLocal ? "" : ", and no Workflow was found in a namespace where you may list them";
  return (
    <div class="empty">
      <p>You may not list {namespace ? `Workflows in the namespace ${namespace}` : `the Workflows of all namespaces${elsewhere}`}.</p>
      <p>It takes the right to <code>list</code> <code>workflows.flow.workflow.sh</code>{namespace && " there"}. The ClusterRole <code>workflow-view</code> gives it, as <code>view</code>, <code>edit</code> and <code>admin</code> do.</p>
      {!namespace && <p>If you have it in one namespace, {isLocal ? <>start the dashboard with <code>--namespace=NAME</code></> : <>open <code>{BASE}/?namespace=NAME</code></>}.</p>}
    </div>
  );
}

function Row({ line, hasNamespace }) {
  const [done, total] = (line.progress || "0/0").split("/").map(Number);
  const at = now();
  const why = line.why && line.reason !== "AllSucceeded" ? line.why : "";
  return (
    <tr>
      <td class="name">
        <Link to={address(line.namespace, line.name)} title={line.name.length > 60 ? line.name : undefined}>{line.name}</Link>
        {hasNamespace && <span class="faint">{line.namespace}</span>}
        {why && <span class={`faint why short ${line.blocked ? "asks" : ""}`}>{why}</span>}
      </td>
      <td><span class={`phase ${line.phase}`}><span class={`dot ${line.phase}`} />{line.phase}</span></td>
      <td class="progress">
        <progress max={Math.max(1, total)} value={done} aria-label={`${done} of ${total} tasks`} class={line.phase === "Failed" ? "bad" : line.phase} />
        <span class="faint">{line.progress || "–"}</span>
      </td>
      <td class="right">{line.started ? duration((line.ended || at) - line.started) : ""}</td>
      <td class="right" title={line.created && moment(line.created)}>{line.created ? duration(at - line.created) : ""}</td>
      <td class={`wide why ${line.blocked ? "asks" : ""}`}><span title={why.length > 80 ? why : undefined}>{why}</span></td>
    </tr>
  );
}
