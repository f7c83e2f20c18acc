// The moving layer: a red orb for every running task, and its ways. Everything is drawn from one picture of an orb. Far away
// it is not seen that orbs breathe: then those that rest are drawn on the still layer, and the frames of this one cost little.

import { cellOf, cells, unpack } from "../model.js";
import { GATES } from "../words.js";
import { ABOVE, ASIDE, GATE, cellPlace, orbPlace } from "./still.js";

const TRAVEL = 750;
const CROSS = 1500;
const MAX_TRAVELLERS = 400;
// The pixels of the screen for one of the scene, from which on one sees that orbs breathe.
const BREATH = 0.45;
const ease = (t) => (t < 0.5 ? 4 * t * t * t : 1 - (-2 * t + 2) ** 3 / 2);

export class Orbs {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.resting = [];
    this.travellers = [];
    this.byKey = new Map();
    // Orbs that rest, by key: until when they are still on their way, and which have come since the still layer was drawn.
    this.hidden = new Map();
    this.landed = new Set();
    this.flashes = [];
    this.ways = new Map();
    // The latest movements, for those who ask: tests.
    this.played = [];
    this.isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  // size: {w, h} of what is seen, in pixels of the page; ratio: of the screen.
  resize(size, ratio) {
    this.canvas.width = Math.max(1, Math.round(size.w * ratio));
    this.canvas.height = Math.max(1, Math.round(size.h * ratio));
  }

  setScene(scene) {
    this.scene = scene;
    this.ways = new Map(scene.arrows.map((arrow) => [`${arrow.source}>${arrow.target}`, arrow.points]));
    this.travellers = [];
    this.flashes = [];
    this.hidden.clear();
    this.landed.clear();
  }

  setColours(colour) {
    this.colour = colour;
    this.sprite = document.createElement("canvas");
    this.sprite.width = this.sprite.height = 96;
    const context = this.sprite.getContext("2d");
    const glow = context.createRadialGradient(48, 48, 4, 48, 48, 46);
    glow.addColorStop(0, colour.orb);
    glow.addColorStop(0.42, colour.orb);
    glow.addColorStop(0.46, `${colour.orb}66`);
    glow.addColorStop(1, `${colour.orb}00`);
    context.fillStyle = glow;
    context.fillRect(0, 0, 96, 96);
    context.fillStyle = "#ffffff70";
    context.beginPath();
    context.ellipse(42, 40, 7, 5, -0.6, 0, 7);
    context.fill();
  }

  // Where the tasks of a flow are: at their cells, at the gate in front, or on the way back of a retry.
  place(position, cell) {
    const box = this.scene.boxes[position];
    return box.has_for ? cellPlace(this.scene, box, cell) : orbPlace(box);
  }

  gate(position) {
    const box = this.scene.boxes[position];
    return { x: box.x - GATE - 9, y: box.y + box.h / 2 };
  }

  wait(position, cell) {
    const box = this.scene.boxes[position];
    const { x } = this.place(position, cell);
    return { x: Math.max(box.x + 10, x - 6), y: box.y - ABOVE };
  }

  // What rests where in a state. Cheap enough for every change of 5,000 flows.
  setState(state) {
    this.resting = [];
    this.byKey.clear();
    state.flows.forEach((flow, position) => {
      const box = this.scene.boxes[position];
      if (!box) return;
      if (flow.phase === "Waiting" && GATES.has(flow.reason)) {
        const at = this.gate(position);
        this.push({ key: `${position}:gate`, position, ...at, size: 1, kind: "gate" });
      }
      if (!box.has_for) {
        if (flow.phase === "Running") this.add(position, 0, 1.5, "run");
        else if (flow.phase === "Backoff") this.add(position, 0, 1, "backoff");
        else if (flow.phase === "Pending" || flow.phase === "Suspended") this.add(position, 0, 1.5, "hold");
        return;
      }
      if (flow.phase === "Waiting" || flow.phase === "Skipped") return;
      cells(flow, this.scene.cells).forEach((phase, cell) => {
        if (phase === "Running") this.add(position, cell, 1, "run");
        else if (phase === "Backoff") this.add(position, cell, 0.8, "backoff");
        else if (phase === "Pending" || phase === "Suspended") this.add(position, cell, 1, "hold");
      });
    });
  }

  // Whether resting orbs are drawn anew for every frame.
  breathes(view, ratio) {
    return !this.isStill && view.zoom * ratio >= BREATH;
  }

  add(position, cell, size, kind) {
    const at = kind === "backoff" ? this.wait(position, cell) : this.place(position, cell);
    this.push({ key: `${position}:${cell}`, position, x: at.x, y: at.y, size, kind });
  }

  push(orb) {
    this.resting.push(orb);
    this.byKey.set(orb.key, orb);
  }

  // Where running tasks are drawn, for those who ask: tests, and the words for screen readers.
  running() {
    return this.resting.filter((orb) => orb.kind === "run").map(({ key, x, y }) => ({ key, x, y }));
  }

  play(moves, now) {
    this.played = [...this.played, ...moves].slice(-500);
    if (this.isStill || document.hidden) return;
    for (const move of moves) this.move(move, now);
    for (const one of this.travellers.splice(0, Math.max(0, this.travellers.length - MAX_TRAVELLERS))) this.land(one.key, Infinity);
  }

  move(move, now) {
    const box = this.scene.boxes[move.flow];
    if (!box) return;
    const found = [...new Set(unpack(move.tasks).map((index) => cellOf(index, box.size, this.scene.cells)))].slice(0, 60);
    const size = box.has_for ? 1 : 1.5;
    const sources = move.sources || [];
    for (const cell of found) {
      const to = this.place(move.flow, cell);
      const key = `${move.flow}:${cell}`;
      switch (move.kind) {
        case "start":
          if (move.gated) this.travel(key, [this.gate(move.flow), to], size, now, TRAVEL * 0.6);
          else if (!sources.length) this.travel(key, [{ x: box.x - 46, y: box.y + box.h / 2 }, to], size, now, TRAVEL * 0.6);
          else if (cell === found[0]) sources.forEach((source, nth) => this.travel(nth ? "" : key, this.way(source, move.flow, to), size, now));
          else this.travel(key, this.way(sources[cell % sources.length], move.flow, to), size, now);
          break;
        case "gate":
          if (cell === found[0]) for (const source of sources) this.travel(`${move.flow}:gate`, this.way(source, move.flow, this.gate(move.flow)), 1, now);
          break;
        case "fail":
          this.flash("cross", to, size, now);
          this.travel(key, this.back(box, to, this.wait(move.flow, cell)), 0.8, now + 250, TRAVEL);
          break;
        case "again":
          this.travel(key, [this.wait(move.flow, cell), { x: to.x, y: box.y - ABOVE }, to], size, now, TRAVEL * 0.6);
          break;
        case "retry":
          this.flash("cross", to, size, now);
          this.travel(key, [...this.back(box, to, this.wait(move.flow, cell)), to], size, now + 250, TRAVEL * 1.3);
          break;
        case "done":
          this.flash("ring", to, size, now, this.colour.Succeeded);
          break;
        case "dead":
          this.flash("cross", to, size, now);
          break;
        case "skip":
          if (cell === found[0]) this.flash("fade", { x: box.x, y: box.y, w: box.w, h: box.h }, size, now);
          break;
      }
    }
  }

  // Along the arrow from box to box. The last part leads to the place of the task: there many orbs part.
  way(source, target, to) {
    const points = this.ways.get(`${source}>${target}`);
    const from = this.scene.boxes[source];
    if (!points) return [{ x: from.x + from.w, y: from.y + from.h / 2 }, to];
    const found = [];
    for (let at = 0; at < points.length; at += 2) found.push({ x: points[at], y: points[at + 1] });
    return [...found, to];
  }

  // Out at the right, over the box, and back to the left: the way of a retry.
  back(box, from, to) {
    return [from, { x: box.x + box.w + ASIDE, y: from.y }, { x: box.x + box.w + ASIDE, y: box.y - ABOVE }, to];
  }

  travel(key, points, size, now, length = TRAVEL) {
    const marks = [0];
    for (let at = 1; at < points.length; at++) marks.push(marks[at - 1] + Math.hypot(points[at].x - points[at - 1].x, points[at].y - points[at - 1].y));
    this.travellers.push({ key, points, marks, size, begin: now, end: now + length });
    if (key) this.hidden.set(key, now + length);
  }

  flash(kind, at, size, now, colour = this.colour.Failed) {
    this.flashes.push({ kind, at, size, colour, begin: now, end: now + (kind === "ring" ? 700 : kind === "fade" ? 900 : CROSS) });
  }

  get isMoving() {
    return this.travellers.length > 0 || this.flashes.length > 0;
  }

  // An orb has come to where it rests.
  land(key, now) {
    if (!key || this.hidden.get(key) > now) return;
    this.hidden.delete(key);
    this.landed.add(key);
  }

  // Draws what rests in a part of the scene on any layer, whose transform is that of the scene.
  rest(context, { left, top, right, bottom }, view, now, breath = 1) {
    const scale = scaleOf(view);
    this.landed.clear();
    for (const orb of this.resting) {
      if (orb.x < left - 20 || orb.x > right + 20 || orb.y < top - 20 || orb.y > bottom + 20) continue;
      const until = this.hidden.get(orb.key);
      if (until !== undefined) {
        if (now < until) continue;
        this.hidden.delete(orb.key);
      }
      this.orb(context, orb.x, orb.y, orb.size * scale * (orb.kind === "run" ? breath : 1), orb.kind);
    }
    context.globalAlpha = 1;
  }

  draw(view, size, ratio, now) {
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.scene || !this.sprite) return;
    const zoom = view.zoom * ratio;
    context.setTransform(zoom, 0, 0, zoom, -view.x * zoom, -view.y * zoom);
    const scale = scaleOf(view);
    // In this order: the last frame of a move already has the orb where it rests.
    for (const one of this.travellers) if (now >= one.end) this.land(one.key, now);
    this.travellers = this.travellers.filter((one) => now < one.end);
    if (this.breathes(view, ratio)) {
      const seen = { left: view.x, top: view.y, right: view.x + size.w / view.zoom, bottom: view.y + size.h / view.zoom };
      this.rest(context, seen, view, now, 1 + 0.09 * Math.sin(now / 420));
    } else {
      for (const orb of [...this.landed].map((key) => this.byKey.get(key))) {
        if (orb) this.orb(context, orb.x, orb.y, orb.size * scale, orb.kind);
      }
    }
    this.flashes = this.flashes.filter((flash) => now < flash.end);
    for (const flash of this.flashes) this.drawFlash(flash, (now - flash.begin) / (flash.end - flash.begin));
    for (const one of this.travellers) {
      if (now < one.begin) continue;
      const { x, y } = along(one, ease((now - one.begin) / (one.end - one.begin)));
      this.orb(context, x, y, one.size * scale, "run");
    }
    context.globalAlpha = 1;
  }

  orb(context, x, y, size, kind) {
    const radius = 11 * size;
    if (kind === "hold") {
      context.globalAlpha = 0.35;
    } else if (kind === "backoff") {
      context.globalAlpha = 0.7;
    } else {
      context.globalAlpha = 1;
    }
    context.drawImage(this.sprite, x - radius, y - radius, radius * 2, radius * 2);
  }

  drawFlash({ kind, at, size, colour }, t) {
    const { context } = this;
    if (kind === "fade") {
      context.globalAlpha = 0.5 * (1 - t);
      context.fillStyle = this.colour.box;
      context.fillRect(at.x, at.y, at.w, at.h);
      return;
    }
    context.globalAlpha = kind === "ring" ? 1 - t : t < 0.7 ? 1 : 1 - (t - 0.7) / 0.3;
    context.strokeStyle = colour;
    if (kind === "ring") {
      context.lineWidth = 2;
      context.beginPath();
      context.arc(at.x, at.y, (5 + 9 * t) * size, 0, 7);
      context.stroke();
    } else {
      const arm = 6.5 * size;
      context.lineWidth = 2.6 * size;
      context.lineCap = "round";
      context.beginPath();
      context.moveTo(at.x - arm, at.y - arm);
      context.lineTo(at.x + arm, at.y + arm);
      context.moveTo(at.x + arm, at.y - arm);
      context.lineTo(at.x - arm, at.y + arm);
      context.stroke();
      context.lineCap = "butt";
    }
  }
}

// Far away an orb stays large enough to be seen.
const scaleOf = (view) => Math.max(1, 0.28 / view.zoom);

function along({ points, marks }, t) {
  const wanted = t * marks[marks.length - 1];
  let at = 1;
  while (at < marks.length - 1 && marks[at] < wanted) at++;
  const [from, to] = [points[at - 1], points[at]];
  const part = marks[at] === marks[at - 1] ? 1 : (wanted - marks[at - 1]) / (marks[at] - marks[at - 1]);
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}
