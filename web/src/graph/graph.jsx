// The graph of a workflow: two canvases, what is under the pointer, and the keyboard.

import { useEffect, useRef, useState } from "preact/hooks";

import { counts } from "../model.js";
import { duration, now as seconds, plural } from "../words.js";
import { colours } from "./colours.js";
import { Orbs } from "./orbs.js";
import { Still } from "./still.js";

const MIN = 0.04;
const MAX = 2.4;
// In a narrow window, the whole of a scene is shown where its words can still be read; else a part that can.
const NARROW = 600;
const READABLE = 0.55;
const NEAR = 0.8;
// After the last move of the picture, until it is drawn anew for where it is.
const SETTLE = 120;

// Everything about the canvases that changes without Preact.
class Painter {
  constructor(root, still, orbs, onHot) {
    this.root = root;
    this.tick = this.tick.bind(this);
    this.request = 0;
    this.still = new Still(still);
    this.orbs = new Orbs(orbs);
    this.view = { x: 0, y: 0, zoom: 1 };
    this.size = { w: 0, h: 0 };
    this.ratio = 1;
    this.chosen = -1;
    this.hot = -1;
    this.found = null;
    this.onHot = onHot;
    this.isDirty = true;
    // Frames that were drawn, and the milliseconds that this took, for those who ask: measurements.
    this.frames = 0;
    this.cost = 0;
    this.isFitted = true;
    this.isWhole = false;
    this.recolour();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(root);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = this.recolour.bind(this);
    this.scheme.addEventListener("change", this.recolour);
    document.fonts?.ready.then(() => { this.isDirty = true; });
    root.painter = this;
  }

  // Another part is to be seen, with nothing new in it.
  moved() {
    this.isFitted = false;
    this.isMoved = true;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => { this.isDirty = true; }, SETTLE);
    if (!this.isClosed) this.request ||= requestAnimationFrame(this.tick);
  }

  // Something is to be drawn. While nothing is, and nothing moves, no frame is asked for.
  get isDirty() { return this.dirty; }
  set isDirty(value) {
    this.dirty = value;
    if (value && !this.isClosed) this.request ||= requestAnimationFrame(this.tick);
  }

  close() {
    this.isClosed = true;
    cancelAnimationFrame(this.request);
    clearTimeout(this.settling);
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.recolour);
  }

  recolour() {
    this.colour = colours();
    this.orbs.setColours(this.colour);
    this.isDirty = true;
  }

  resize() {
    this.ratio = Math.min(2, devicePixelRatio || 1);
    this.size = { w: this.root.clientWidth, h: this.root.clientHeight };
    this.still.resize(this.size, this.ratio);
    this.orbs.resize(this.size, this.ratio);
    if (this.isFitted) this.fit();
    // At once: with another size a canvas is empty, and the next frame is too late for this one.
    this.isDirty = true;
    this.paint(performance.now());
  }

  setScene(scene) {
    // An edit keeps the part that somebody has chosen to see.
    const isFitted = !this.scene || this.isFitted;
    this.scene = scene;
    this.still.setScene(scene);
    this.orbs.setScene(scene);
    if (isFitted) this.fit();
    this.isDirty = true;
  }

  setState(state, moves) {
    if (!this.scene || state.flows.length !== this.scene.boxes.length) return;
    const isFirst = !this.state;
    this.state = state;
    if (this.isFitted && this.isNear) this.follow(isFirst);
    this.orbs.setState(state);
    // The same movements again mean that only the scene has changed.
    if (moves && moves !== this.moves) this.orbs.play(moves, performance.now());
    this.moves = moves;
    this.isDirty = true;
  }

  // The whole scene, whatever its size.
  get whole() {
    return Math.min(1.15, (this.size.w - 16) / this.scene.width, (this.size.h - 16) / this.scene.height);
  }

  // isWhole: all of it, also where nothing can be read then.
  fit(isWhole = this.isWhole) {
    this.isWhole = isWhole;
    if (!this.scene || !this.size.w) return;
    const zoom = this.whole;
    this.isNear = !isWhole && this.size.w < NARROW && zoom < READABLE;
    if (this.isNear) this.follow(true);
    else this.view = { zoom, x: (this.scene.width - this.size.w / zoom) / 2, y: (this.scene.height - this.size.h / zoom) / 2 };
    this.isFitted = true;
    this.isDirty = true;
  }

  // Shows what is chosen, runs or else failed, unless some of it is seen already. always: also then.
  follow(always = false) {
    const { scene, size, state } = this;
    const inPhase = (phase) => scene.boxes.filter((_, position) => state?.flows[position]?.phase === phase);
    let wanted = always && this.chosen >= 0 ? scene.boxes.slice(this.chosen, this.chosen + 1) : inPhase("Running");
    if (!wanted.length && always) wanted = inPhase("Failed");
    if (!wanted.length && always) wanted = scene.boxes.slice(0, 1);
    const [w, h] = [size.w / NEAR, size.h / NEAR];
    const isSeen = (box) => box.x >= this.view.x && box.x + box.w <= this.view.x + w && box.y >= this.view.y && box.y + box.h <= this.view.y + h;
    if (!wanted.length || (!always && wanted.some(isSeen))) return;
    const within = (at, most, part) => (most <= part ? (most - part) / 2 : Math.max(-12, Math.min(at - part / 2, most - part + 12)));
    const [box] = wanted;
    this.view = { zoom: NEAR, x: within(box.x + box.w / 2, scene.width, w), y: within(box.y + box.h / 2, scene.height, h) };
    this.isDirty = true;
  }

  zoomAt(factor, x, y) {
    const zoom = Math.max(Math.min(MIN, this.scene ? this.whole : MIN), Math.min(MAX, this.view.zoom * factor));
    this.view = { zoom, x: this.view.x + x / this.view.zoom - x / zoom, y: this.view.y + y / this.view.zoom - y / zoom };
    this.moved();
  }

  pan(x, y) {
    this.view = { ...this.view, x: this.view.x - x / this.view.zoom, y: this.view.y - y / this.view.zoom };
    this.moved();
  }

  show(position) {
    const box = this.scene?.boxes[position];
    if (!box) return;
    const zoom = Math.max(this.view.zoom, 0.7);
    this.view = { zoom, x: box.x + box.w / 2 - this.size.w / zoom / 2, y: box.y + box.h / 2 - this.size.h / zoom / 2 };
    this.isFitted = false;
    this.isDirty = true;
  }

  at(x, y) {
    if (!this.scene) return -1;
    const [sx, sy] = [this.view.x + x / this.view.zoom, this.view.y + y / this.view.zoom];
    return this.scene.boxes.findIndex((box) => sx >= box.x && sx <= box.x + box.w && sy >= box.y && sy <= box.y + box.h);
  }

  tick(now) {
    this.paint(now);
    this.request = this.isLively ? requestAnimationFrame(this.tick) : 0;
  }

  get isLively() { return this.orbs.isMoving || (this.orbs.resting.length > 0 && this.orbs.breathes(this.view, this.ratio)); }

  paint(now) {
    const began = performance.now();
    const { isMoved } = this;
    const breathes = this.orbs.breathes(this.view, this.ratio);
    if (this.isDirty || breathes !== this.breathed || (isMoved && !this.still.move(this.view, this.size, this.ratio))) {
      clearTimeout(this.settling);
      const seen = this.still.draw(this.state, this.view, this.size, this.ratio, this.colour, this.chosen, this.hot, this.found);
      if (seen && !breathes) this.orbs.rest(this.still.context, seen, this.view, performance.now());
      this.breathed = breathes;
    }
    // What only breathes needs no more than thirty frames a second.
    if (this.isDirty || isMoved || this.orbs.isMoving || (this.isLively && now - (this.drawn || 0) > 30)) {
      this.orbs.draw(this.view, this.size, this.ratio, performance.now());
      this.drawn = now;
      this.frames += 1;
      this.cost += performance.now() - began;
    }
    this.dirty = false;
    this.isMoved = false;
  }
}

// at: the moment of a replay; without it, now.
export function Graph({ scene, state, moves, chosen, onChoose, onOpen, found, at }) {
  const root = useRef(null);
  const still = useRef(null);
  const orbs = useRef(null);
  const painter = useRef(null);
  const [hot, setHot] = useState(null);

  useEffect(() => {
    painter.current = new Painter(root.current, still.current, orbs.current);
    painter.current.resize();
    return () => painter.current.close();
  }, []);
  useEffect(() => {
    if (scene) painter.current.setScene(scene);
  }, [scene]);
  useEffect(() => {
    if (state && scene) painter.current.setState(state, moves);
  }, [scene, state, moves]);
  useEffect(() => {
    painter.current.chosen = chosen;
    painter.current.found = found;
    painter.current.isDirty = true;
  }, [chosen, found]);

  useEffect(() => {
    const element = root.current;
    const pointers = new Map();
    let moved = 0;
    const place = (event) => {
      const area = element.getBoundingClientRect();
      return { x: event.clientX - area.left, y: event.clientY - area.top };
    };
    const down = (event) => {
      if (event.target.closest("button")) return;
      element.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, place(event));
      moved = 0;
    };
    const move = (event) => {
      const at = place(event);
      const before = pointers.get(event.pointerId);
      if (before && pointers.size === 1) {
        painter.current.pan(at.x - before.x, at.y - before.y);
        moved += Math.abs(at.x - before.x) + Math.abs(at.y - before.y);
      } else if (before) {
        const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
        const [old, fresh] = [Math.hypot(before.x - other.x, before.y - other.y), Math.hypot(at.x - other.x, at.y - other.y)];
        painter.current.zoomAt(fresh / Math.max(1, old), (at.x + other.x) / 2, (at.y + other.y) / 2);
        moved += 10;
      } else {
        const position = painter.current.at(at.x, at.y);
        if (position !== painter.current.hot) {
          painter.current.hot = position;
          painter.current.isDirty = true;
          element.style.cursor = position >= 0 ? "pointer" : "";
        }
        setHot(position >= 0 ? { position, ...at } : null);
      }
      if (before) pointers.set(event.pointerId, at);
    };
    const up = (event) => {
      if (pointers.delete(event.pointerId) && moved < 6 && event.type === "pointerup") {
        const at = place(event);
        onChoose(painter.current.at(at.x, at.y));
      }
    };
    const leave = () => {
      painter.current.hot = -1;
      painter.current.isDirty = true;
      setHot(null);
    };
    const wheel = (event) => {
      event.preventDefault();
      const at = place(event);
      if (event.ctrlKey || event.metaKey || !event.shiftKey) painter.current.zoomAt(Math.exp(-event.deltaY / 400), at.x, at.y);
      else painter.current.pan(-event.deltaX - event.deltaY, 0);
    };
    const twice = (event) => onOpen(painter.current.at(place(event).x, place(event).y));
    const listeners = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, pointerleave: leave, dblclick: twice };
    for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name, listener);
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      for (const [name, listener] of Object.entries(listeners)) element.removeEventListener(name, listener);
      element.removeEventListener("wheel", wheel);
    };
  }, [onChoose, onOpen]);

  const key = (event) => {
    const paint = painter.current;
    const middle = [paint.size.w / 2, paint.size.h / 2];
    const { key: name } = event;
    if (name === "+" || name === "=") paint.zoomAt(1.25, ...middle);
    else if (name === "-") paint.zoomAt(0.8, ...middle);
    else if (name === "0") paint.fit(true);
    else if (name === "Enter" && chosen >= 0) onOpen(chosen);
    else if (name === "Escape") onChoose(-1);
    else if (name.startsWith("Arrow")) {
      const next = beside(scene, chosen, name);
      if (next >= 0) {
        onChoose(next);
        paint.show(next);
      }
    } else return;
    event.preventDefault();
  };

  const label = state ? `Graph of ${state.head.name}: ${plural(state.flows.length, "flow")}, ${state.head.running} running, ${state.head.done} of ${state.head.total} tasks done. Arrow keys go from flow to flow, Enter opens the log, plus and minus zoom, 0 shows all.` : "Graph";
  return (
    <div class="graph" ref={root} tabIndex={0} role="application" aria-label={label} onKeyDown={key}>
      <canvas ref={still} aria-hidden="true" />
      <canvas ref={orbs} aria-hidden="true" />
      <div class="zoom">
        <button type="button" aria-label="Zoom in" onClick={() => painter.current.zoomAt(1.3, painter.current.size.w / 2, painter.current.size.h / 2)}>+</button>
        <button type="button" aria-label="Zoom out" onClick={() => painter.current.zoomAt(0.77, painter.current.size.w / 2, painter.current.size.h / 2)}>−</button>
        <button type="button" aria-label="Show all" onClick={() => painter.current.fit(true)}>⤢</button>
      </div>
      {hot && state && scene && <Tip scene={scene} state={state} hot={hot} at={at} />}
    </div>
  );
}

// The next box in a direction: along an arrow to the left and right, else the nearest one there.
function beside(scene, chosen, key) {
  if (!scene?.boxes.length) return -1;
  if (chosen < 0) return 0;
  const from = scene.boxes[chosen];
  const [x, y] = [from.x + from.w / 2, from.y + from.h / 2];
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  let [best, least] = [-1, Infinity];
  scene.boxes.forEach((box, position) => {
    const [ox, oy] = [box.x + box.w / 2 - x, box.y + box.h / 2 - y];
    const ahead = ox * dx + oy * dy;
    if (position === chosen || ahead <= 4) return;
    const distance = ahead + 2.5 * Math.abs(ox * dy + oy * dx);
    if (distance < least) [best, least] = [position, distance];
  });
  return best;
}

function Tip({ scene, state, hot, at = seconds() }) {
  const box = scene.boxes[hot.position];
  const flow = state.flows[hot.position];
  if (!box || !flow) return null;
  const took = flow.started ? duration((flow.ended || at) - flow.started) : "";
  const style = { left: `${Math.max(8, hot.x + 14)}px`, top: `${Math.max(8, hot.y + 14)}px` };
  return (
    <div class="tip" style={style}>
      <b>{box.name}</b>
      <div><span class={`dot ${flow.phase}`} /> {flow.phase}{took && ` · ${took}`}{flow.tries > 1 && ` · ${flow.tries} attempts`}</div>
      {box.has_for && <div>{counts(flow).map(([phase, count]) => `${count} ${phase.toLowerCase()}`).join(", ")}</div>}
      {flow.reason && <div class="why">{flow.reason}{flow.message && `: ${flow.message}`}</div>}
      {flow.replicas.slice(0, 3).map(([index, phase, reason, message]) => message && <div class="why" key={index}>{box.name}/{index} {phase.toLowerCase()}: {message || reason}</div>)}
    </div>
  );
}
