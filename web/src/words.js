// How times and numbers are written.

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

export function duration(seconds) {
  if (seconds == null || !isFinite(seconds)) return "";
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1).replace(/\.0$/, "")}s`;
  let left = Math.round(seconds);
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left %= size;
    if (count) parts.push(`${count}${unit}`);
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

export const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour12: false });
export const moment = (at) => new Date(at * 1000).toLocaleString([], { hour12: false });
export const now = () => Date.now() / 1000;
export const number = (value) => value.toLocaleString("en");
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
export const PHASES = ["Running", "Failed", "Backoff", "Suspended", "Pending", "Cancelled", "Waiting", "Succeeded", "Skipped"];
export const GATES = new Set(["WaitingForProbe", "ProbeUnanswered", "ApprovalNeeded", "LockHeld"]);
