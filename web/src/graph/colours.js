// The colours of the page, as the style sheet has them, for the canvases.

const NAMES = ["ground", "box", "edge", "ink", "faint", "line", "orb", "accent", "Running", "Failed", "Backoff", "Suspended", "Pending", "Cancelled", "Waiting", "Succeeded", "Skipped"];

export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name.toLowerCase()}`).trim()]));
}
