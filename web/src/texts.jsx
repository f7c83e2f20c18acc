// Events and YAML.

import { useEffect, useState } from "preact/hooks";

import { get, workflowPath } from "./api.js";
import { duration, moment, now } from "./words.js";

function useRead(namespace, name, rest, version) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    get(workflowPath(namespace, name, rest)).then(setFound, (error) => setProblem(error.message));
  }, [namespace, name, rest, version]);
  return [found, problem];
}

export function Events({ namespace, name, state }) {
  const version = `${state?.head.phase} ${state?.head.done}`;
  const [found, problem] = useRead(namespace, name, "/events", version);
  const [wanted, setWanted] = useState("");
  if (problem) return <p class="problem" role="alert">{problem}</p>;
  if (!found) return <p class="faint" aria-busy="true">…</p>;
  const lines = found.lines.filter((line) => `${line.reason} ${line.where} ${line.message}`.toLowerCase().includes(wanted.toLowerCase())).reverse();
  return (
    <section class="events" aria-label="Events">
      <input type="search" aria-label="Search Events" placeholder="Search Events" value={wanted} onInput={(event) => setWanted(event.target.value)} />
      {!lines.length && <div class="empty">There are no Events. The API server keeps them for an hour.</div>}
      <ul>
        {lines.slice(0, 1000).map((line, at) => (
          <li key={at} class={line.type}>
            <time title={moment(line.at)}>{duration(now() - line.at)} ago</time>
            <b>{line.reason}{line.count > 1 && ` ×${line.count}`}</b>
            <span class="faint">{line.where}</span>
            <p>{line.message}</p>
          </li>
        ))}
      </ul>
      {found.unread.map((text) => <p class="faint" key={text}>{text}</p>)}
    </section>
  );
}

export function Yaml({ namespace, name }) {
  const [found, problem] = useRead(namespace, name, "/yaml", "");
  const [copied, setCopied] = useState(false);
  const copy = () => navigator.clipboard.writeText(found).then(() => setCopied(true), () => {});
  if (problem) return <p class="problem" role="alert">{problem}</p>;
  if (found == null) return <p class="faint" aria-busy="true">…</p>;
  return (
    <section class="yaml" aria-label="YAML">
      <div class="bar"><button type="button" onClick={copy}>{copied ? "Copied" : "Copy"}</button></div>
      <pre tabIndex={0} aria-label="Manifest">{found}</pre>
    </section>
  );
}
