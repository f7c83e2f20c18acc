// The still layer: boxes, cells and arrows. It is drawn when something changes, not for every frame. The canvas is larger
// than what is seen of it. While somebody moves the picture, the browser moves the canvas as it is; it is drawn anew when
// the move is over, or when it does not reach far enough.

import { cells } from "../model.js";

const RADIUS = 9;
const FONT = '"Inter", ui-sans-serif, system-ui, sans-serif';

// The part of the scene that a view shows, and so many pixels of the page more at each side.
function reach(view, size, more) {
  return {
    left: view.x - more / view.zoom,
    top: view.y - more / view.zoom,
    right: view.x + (size.w + more) / view.zoom,
    bottom: view.y + (size.h + more) / view.zoom,
  };
}

function curve(context, points) {
  context.moveTo(points[0], points[1]);
  for (let at = 2; at < points.length; at += 2) {
    const [x0, y0, x1, y1] = [points[at - 2], points[at - 1], points[at], points[at + 1]];
    if (y0 === y1) context.lineTo(x1, y1);
    else context.bezierCurveTo((x0 + x1) / 2, y0, (x0 + x1) / 2, y1, x1, y1);
  }
}

// How far the way back of a retry goes beside and above a box, and a gate stands in front of one.
export const ASIDE = 9;
export const ABOVE = 15;
export const GATE = 15;
const AT_GATE = { WaitingForProbe: "waits for an answer", ProbeUnanswered: "waits for an answer", ApprovalNeeded: "needs approval", LockHeld: "waits for a lock" };
const NOTES = { ...AT_GATE, WaitingForDependencies: "Waiting", WaitingForOutput: "waits for an output", StartDelayed: "starts later" };
const DASHES = { failure: [6, 4], status: [6, 4], probe: [1.5, 4], value: [], target: [] };

export function cellPlace(scene, box, cell) {
  return {
    x: box.x + 12 + scene.cell / 2 + (cell % scene.row) * scene.cell,
    y: box.y + 50 + scene.cell / 2 + Math.floor(cell / scene.row) * scene.cell,
  };
}

// Where the orb of a flow without `for` is.
export const orbPlace = (box) => ({ x: box.x + 22, y: box.y + box.h / 2 });

// How far the canvas goes beyond each side of what is seen, in pixels of the page.
const MARGIN = 192;
// How much a drawn picture may be enlarged or made smaller before it is too coarse.
const MAX_SCALE = 1.3;
// What is drawn beyond the boxes of a scene: gates, ways back.
const FRINGE = 40;

export class Still {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.drawn = null;
    this.margin = MARGIN;
    // How often it was drawn, for those who ask: tests.
    this.draws = 0;
  }

  // size: {w, h} of what is seen, in pixels of the page; ratio: of the screen.
  resize(size, ratio) {
    this.margin = Math.round(MARGIN * ratio) / ratio; // whole pixels of the screen
    this.canvas.width = Math.round((size.w + 2 * this.margin) * ratio);
    this.canvas.height = Math.round((size.h + 2 * this.margin) * ratio);
    this.canvas.style.width = `${this.canvas.width / ratio}px`;
    this.canvas.style.height = `${this.canvas.height / ratio}px`;
    this.drawn = null;
  }

  // Moves what was drawn to where a view has it; whether that shows all of the view.
  move(view, size, ratio) {
    const { drawn, scene } = this;
    if (!drawn || !scene) return false;
    const scale = view.zoom / drawn.zoom;
    if (scale > MAX_SCALE || scale < 1 / MAX_SCALE) return false;
    const covered = reach(drawn, drawn.size, this.margin);
    const seen = reach(view, size, 0);
    if (Math.max(seen.left, -FRINGE) < covered.left || Math.min(seen.right, scene.width + FRINGE) > covered.right) return false;
    if (Math.max(seen.top, -FRINGE) < covered.top || Math.min(seen.bottom, scene.height + FRINGE) > covered.bottom) return false;
    // Whole pixels of the screen: nothing is blurred while it only slides.
    const [x, y] = [(covered.left - view.x) * view.zoom, (covered.top - view.y) * view.zoom].map((at) => Math.round(at * ratio) / ratio);
    this.canvas.style.transform = `translate(${x}px, ${y}px)${scale === 1 ? "" : ` scale(${scale})`}`;
    return true;
  }

  setScene(scene) {
    this.scene = scene;
    this.arrows = null;
  }

  // The arrows that are drawn alike are one path. Those of a skipped branch fade with it.
  paths(state) {
    const skipped = state.flows.map((flow) => flow.phase === "Skipped");
    if (this.arrows && skipped.every((is, position) => is === this.skipped[position])) return this.arrows;
    this.skipped = skipped;
    this.arrows = new Map();
    for (const arrow of this.scene.arrows) {
      const isFaded = skipped[arrow.source] || skipped[arrow.target];
      const key = arrow.kind + (arrow.alternative ? "?" : "") + (isFaded ? "-" : "");
      if (!this.arrows.has(key)) {
        const alpha = (arrow.alternative ? 0.55 : 0.9) * (isFaded ? 0.4 : 1);
        this.arrows.set(key, { kind: arrow.kind, alpha, path: new Path2D() });
      }
      curve(this.arrows.get(key).path, arrow.points);
    }
    return this.arrows;
  }

  // view: {x, y, zoom} of the corner, ratio: of the screen; chosen, hot: positions of boxes, -1 for none. Returns the part of
  // the scene that is drawn, null if there is nothing yet.
  draw(state, view, size, ratio, colour, chosen, hot, found) {
    const { context, scene } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.canvas.style.transform = `translate(${-this.margin}px, ${-this.margin}px)`;
    this.drawn = { ...view, size };
    this.draws += 1;
    if (!scene || !state) return null;
    const zoom = view.zoom * ratio;
    const seen = reach(view, size, this.margin);
    context.setTransform(zoom, 0, 0, zoom, -seen.left * zoom, -seen.top * zoom);
    const isSmall = view.zoom < 0.35;
    for (const { kind, alpha, path } of this.paths(state).values()) {
      context.globalAlpha = alpha * (isSmall ? 0.5 : 1);
      context.strokeStyle = kind === "failure" ? colour.Failed : kind === "probe" ? colour.accent : colour.line;
      context.lineWidth = isSmall ? 1.6 : 1.5;
      context.setLineDash(isSmall ? [] : DASHES[kind] || []);
      context.stroke(path);
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
    scene.boxes.forEach((box, position) => {
      if (box.x > seen.right || box.x + box.w < seen.left || box.y > seen.bottom || box.y + box.h < seen.top) return;
      const flow = state.flows[position];
      const isFaded = flow.phase === "Skipped" || (found && !found.has(position));
      context.globalAlpha = isFaded ? 0.38 : 1;
      if (view.zoom < 0.16) {
        context.fillStyle = colour[flow.phase] || colour.Waiting;
        // Also of the smallest box something is seen.
        context.fillRect(box.x, box.y, Math.max(box.w, 1 / view.zoom), Math.max(box.h, 1 / view.zoom));
      } else {
        this.box(box, flow, colour, isSmall, position === chosen, position === hot);
      }
    });
    context.globalAlpha = 1;
    if (!isSmall) this.heads(colour, seen);
    context.globalAlpha = 1;
    return seen;
  }

  // Where the orb goes after a failed attempt, with how many have failed.
  loop(box, flow, colour) {
    const { context } = this;
    const [right, top, low] = [box.x + box.w + ASIDE, box.y - ABOVE, box.y + 20];
    const left = box.x + 22;
    context.strokeStyle = colour.line;
    context.lineWidth = 1.3;
    context.setLineDash([3, 4]);
    context.beginPath();
    context.moveTo(box.x + box.w, low);
    context.arcTo(right, low, right, top, 7);
    context.arcTo(right, top, left, top, 7);
    context.arcTo(left, top, left, box.y, 7);
    context.lineTo(left, box.y - 3);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = colour.line;
    context.beginPath();
    context.moveTo(left, box.y);
    context.lineTo(left - 3.4, box.y - 6);
    context.lineTo(left + 3.4, box.y - 6);
    context.fill();
    const failed = failedAttempts(flow);
    if (!failed) return;
    const text = String(failed);
    context.font = `650 11px ${FONT}`;
    const width = 20 + context.measureText(text).width;
    const [x, y] = [box.x + box.w / 2 - width / 2, top];
    context.fillStyle = colour.ground;
    context.fillRect(x - 4, y - 8, width + 8, 16);
    context.strokeStyle = colour.Failed;
    context.lineWidth = 2;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(x + 2, y - 4);
    context.lineTo(x + 10, y + 4);
    context.moveTo(x + 10, y - 4);
    context.lineTo(x + 2, y + 4);
    context.stroke();
    context.lineCap = "butt";
    context.fillStyle = colour.Failed;
    context.textBaseline = "middle";
    context.fillText(text, x + 16, y + 0.5);
  }

  // Two posts in front of a box, and a bar between them until the flow has passed.
  gate(box, flow, colour) {
    const { context } = this;
    const [x, y] = [box.x - GATE, box.y + box.h / 2];
    const isShut = flow.phase === "Waiting" || flow.phase === "Skipped" || GATED.has(flow.reason);
    context.strokeStyle = flow.phase === "Failed" && isShut ? colour.Failed : AT_GATE[flow.reason] ? colour.accent : colour.line;
    context.lineWidth = 2.4;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(x, y - 15);
    context.lineTo(x, y - (isShut ? -15 : 8));
    if (!isShut) {
      context.moveTo(x, y + 8);
      context.lineTo(x, y + 15);
    }
    context.stroke();
    context.lineCap = "butt";
  }

  box(box, flow, colour, isSmall, isChosen, isHot) {
    const { context, scene } = this;
    context.beginPath();
    context.roundRect(box.x, box.y, box.w, box.h, RADIUS);
    context.fillStyle = colour.box;
    context.fill();
    context.lineWidth = isChosen ? 2.5 : 1.25;
    context.strokeStyle = isChosen ? colour.accent : isHot ? colour.faint : colour.edge;
    if (box.last) context.setLineDash([5, 3]);
    context.stroke();
    context.setLineDash([]);
    // A bar at the left edge has the colour of the phase.
    context.save();
    context.clip();
    context.fillStyle = colour[flow.phase] || colour.Waiting;
    context.fillRect(box.x, box.y, 4, box.h);
    context.restore();
    if (!isSmall && box.retries) this.loop(box, flow, colour);
    if (!isSmall && box.gate) this.gate(box, flow, colour);
    const inset = box.has_for ? 14 : 40;
    if (!isSmall) {
      context.fillStyle = colour.ink;
      context.font = `600 13px ${FONT}`;
      context.textBaseline = "alphabetic";
      context.fillText(this.fitted(box.name, box.w - inset - 8), box.x + inset, box.y + 23);
      context.fillStyle = colour.faint;
      context.font = `11.5px ${FONT}`;
      context.fillText(this.fitted(noteOf(box, flow), box.w - inset - 8), box.x + inset, box.y + 40);
    }
    if (box.has_for) {
      cells(flow, scene.cells).forEach((phase, cell) => this.dot(cellPlace(scene, box, cell), 4.6, phase, colour));
    } else {
      this.dot(orbPlace(box), 7, flow.phase, colour);
    }
  }

  // What a task is: a ring while it waits, filled once it has ended, a cross where it failed.
  dot({ x, y }, radius, phase, colour) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    if (phase === "Failed") {
      context.fillStyle = colour.Failed;
      context.fill();
      context.strokeStyle = colour.box;
      context.lineWidth = radius / 3.2;
      const arm = radius * 0.42;
      context.beginPath();
      context.moveTo(x - arm, y - arm);
      context.lineTo(x + arm, y + arm);
      context.moveTo(x + arm, y - arm);
      context.lineTo(x - arm, y + arm);
      context.stroke();
    } else if (phase === "Succeeded" || phase === "Cancelled") {
      context.fillStyle = colour[phase];
      context.fill();
      if (phase === "Succeeded") {
        context.strokeStyle = colour.box;
        context.lineWidth = radius / 3.2;
        context.beginPath();
        context.moveTo(x - radius * 0.42, y + radius * 0.03);
        context.lineTo(x - radius * 0.08, y + radius * 0.38);
        context.lineTo(x + radius * 0.45, y - radius * 0.34);
        context.stroke();
      }
    } else {
      context.strokeStyle = colour[phase] || colour.Waiting;
      context.lineWidth = 1.4;
      if (phase === "Skipped") context.setLineDash([2, 2]);
      context.stroke();
      context.setLineDash([]);
    }
  }

  heads(colour, seen) {
    const { context } = this;
    for (const arrow of this.scene.arrows) {
      const points = arrow.points;
      const [x, y] = [points[points.length - 2], points[points.length - 1]];
      if (x < seen.left || x > seen.right + 10 || y < seen.top || y > seen.bottom) continue;
      context.globalAlpha = this.skipped[arrow.source] || this.skipped[arrow.target] ? 0.4 : 1;
      context.fillStyle = arrow.kind === "failure" ? colour.Failed : arrow.kind === "probe" ? colour.accent : colour.line;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x - 7, y - 3.6);
      context.lineTo(x - 7, y + 3.6);
      context.fill();
    }
  }

  fitted(text, width) {
    const { context } = this;
    if (context.measureText(text).width <= width) return text;
    let end = text.length;
    while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end--;
    return `${text.slice(0, end)}…`;
  }
}

// Reasons of a flow that did not come through its gate.
const GATED = new Set(["ProbeTimeout", "Rejected"]);
const LIVE = ["Pending", "Running", "Suspended", "Succeeded", "Cancelled"];

// Of a task that runs or has ended well, all attempts but the last have failed; of another one, all. Of many tasks, of the
// one that has had most.
export function failedAttempts(flow) {
  const found = Object.keys(flow.tasks).length ? Object.keys(flow.tasks) : [flow.phase];
  if (!flow.tries || !found.some((phase) => LIVE.includes(phase))) return flow.tries;
  return Math.max(flow.tries - 1, found.includes("Backoff") || found.includes("Failed") ? 1 : 0);
}

export function noteOf(box, flow) {
  if (!box.has_for) {
    if (flow.tries > 1) return `${flow.phase} · try ${flow.tries}`;
    return flow.reason && flow.phase === "Waiting" ? NOTES[flow.reason] || flow.reason.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase() : flow.phase;
  }
  const done = Object.entries(flow.tasks).filter(([phase]) => phase === "Succeeded");
  const count = done.length ? done[0][1].split(",").reduce((sum, part) => { const [a, b] = part.split("-").map(Number); return sum + (b ?? a) - a + 1; }, 0) : flow.phase === "Succeeded" ? flow.size : 0;
  return `${count}/${flow.size} · ${flow.phase}`;
}
