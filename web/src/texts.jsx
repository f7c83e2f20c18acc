// Events and YAML.

import { useState } from "preact/hooks";

import { workflowPath } from "./api.js";
import { useRead } from "./reading.js";
import { change } from "./route.jsx";
import { duration, moment, now } from "./words.js";

export function Events({ namespace, name, state, query }) {
  const [found, problem] = useRead(workflowPath(namespace, name, "/events"), { every: state?.head.ended ? 0 : 3000, version: state?.head.phase });
  const wanted = query.get("q") || "";
  if (!found) return problem ? <p class="problem" role="alert">{problem}</p> : <p class="faint" aria-busy="true">…</p>;
  const lines = found.lines.filter((line) => `${line.reason} ${line.where} ${line.message}`.toLowerCase().includes(wanted.toLowerCase())).reverse();
  return (
    <section class="events" aria-label="Events">
      {problem && <p class="problem" role="alert">{problem}</p>}
      <input type="search" aria-label="Search Events" placeholder="Search Events" value={wanted} onInput={(event) => change({ q: event.target.value })} />
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

export function Yaml({ namespace, name, state }) {
  const version = `${state?.head.uid} ${state?.head.phase}`;
  const [found, problem] = useRead(workflowPath(namespace, name, "/yaml"), { version });
  const [copied, setCopied] = useState(false);
  const copy = () => navigator.clipboard.writeText(found).then(() => setCopied(true), () => {});
  if (found == null) return problem ? <p class="problem" role="alert">{problem}</p> : <p class="faint" aria-busy="true">…</p>;
  return (
    <section class="yaml" aria-label="YAML">
      {problem && <p class="problem" role="alert">{problem}</p>}
      <div class="bar"><button type="button" onClick={copy}>{copied ? "Copied" : "Copy"}</button></div>
      <pre tabIndex={0} aria-label="Manifest">{found}</pre>
    </section>
  );
}
