// When each attempt began and ended.

import { workflowPath } from "./api.js";
import { useRead } from "./reading.js";
import { Link, address, change } from "./route.jsx";
import { clock, duration, number } from "./words.js";

const MAX_ROWS = 500;

export function Timeline({ namespace, name, state, query }) {
  const wanted = query.get("q") || "";
  // Once it is over it is read a last time: its jobs may have ended after the last look.
  const [found, problem] = useRead(workflowPath(namespace, name, "/timeline"), { every: state?.head.ended ? 0 : 2000, version: String(state?.head.ended) });
  if (!found) return problem ? <p class="problem" role="alert">{problem}</p> : <p class="faint" aria-busy="true">…</p>;
  if (!found.rows.length) return <div class="empty">Nothing has begun yet.</div>;
  const label = (row) => (row.index == null ? row.flow : `${row.flow}/${row.index}`);
  const rows = found.rows.filter((row) => label(row).includes(wanted));
  const begin = Math.min(found.head.started ?? Infinity, ...rows.map((row) => row.attempts[0].started));
  const end = Math.max(found.head.ended ?? found.now, ...rows.map((row) => row.attempts[row.attempts.length - 1].ended ?? 0));
  const span = Math.max(0.5, end - begin);
  const left = (at) => `${(100 * (at - begin)) / span}%`;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * span);
  return (
    <section class="timeline" aria-label="Timeline">
      {problem && <p class="problem" role="alert">{problem}</p>}
      <input type="search" aria-label="Search tasks" placeholder="Search tasks" value={wanted} onInput={(event) => change({ q: event.target.value })} />
      <div class="axis" aria-hidden="true"><span /><div>{ticks.map((tick) => <i key={tick} style={{ left: `${(100 * tick) / span}%` }}>{duration(tick) || "0s"}</i>)}</div></div>
      <ol>
        {rows.slice(0, MAX_ROWS).map((row) => (
          <li key={label(row)}>
            <Link to={address(namespace, name, "logs", label(row))}>{label(row)}</Link>
            <div class="track">
              {row.attempts.map((attempt, nth) => {
                const until = attempt.ended ?? row.attempts[nth + 1]?.started ?? (attempt.phase === "Running" || attempt.phase === "Pending" ? found.now : attempt.started);
                const words = `${label(row)}${attempt.number == null ? "" : ` attempt ${attempt.number}`}: ${attempt.phase}, from ${clock(attempt.started)}, ${duration(until - attempt.started)}`;
                return (
                  <Link key={nth} class={`span ${attempt.phase}`} to={`${address(namespace, name, "logs", label(row))}${attempt.number == null ? "" : `?attempt=${attempt.number}`}`}
                    style={{ left: left(attempt.started), width: `max(5px, ${(100 * (until - attempt.started)) / span}%)` }} title={words} aria-label={words} />
                );
              })}
            </div>
          </li>
        ))}
      </ol>
      {rows.length > MAX_ROWS && <p class="faint">and {number(rows.length - MAX_ROWS)} more: search for them</p>}
      {found.unread.map((text) => <p class="faint" key={text}>{text}</p>)}
    </section>
  );
}
