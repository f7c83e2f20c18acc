// The state of a workflow in the page: the state that the server sent, and the frames applied to it.

import { PHASES } from "./words.js";

const EMPTY = { phase: "Waiting", size: 1, reason: "", message: "", tries: 0, tasks: {}, replicas: [] };

export const flowOf = (sent) => ({ ...EMPTY, ...sent });

export function stateOf(sent) {
  return { head: sent.head, flows: sent.flows.map(flowOf) };
}

// A new state; flows that did not change are the same objects.
export function applied(state, frame) {
  const flows = state.flows.slice();
  for (const [position, flow] of Object.entries(frame.flows || {})) flows[position] = flowOf(flow);
  return { head: frame.head || state.head, flows };
}

export function unpack(text) {
  const found = [];
  for (const part of text ? text.split(",") : []) {
    const [first, last] = part.split("-").map(Number);
    for (let index = first; index <= (last ?? first); index++) found.push(index);
  }
  return found;
}

const RANK = new Map(PHASES.map((phase, rank) => [phase, rank]));
const cellsOfFlow = new WeakMap();

export const cellOf = (index, size, cells) => (size <= cells ? index : Math.floor((index * cells) / size));

// The phase of each cell of a flow: of its task, or of the liveliest of the tasks that it stands for.
export function cells(flow, limit) {
  let found = cellsOfFlow.get(flow);
  if (found) return found;
  const count = Math.min(flow.size, limit);
  found = new Array(count).fill(null);
  for (const [phase, text] of Object.entries(flow.tasks)) {
    for (const index of unpack(text)) {
      const cell = cellOf(index, flow.size, limit);
      if (found[cell] === null || RANK.get(phase) < RANK.get(found[cell])) found[cell] = phase;
    }
  }
  found = found.map((phase) => phase || flow.phase);
  cellsOfFlow.set(flow, found);
  return found;
}

export function counts(flow) {
  const entries = Object.entries(flow.tasks);
  if (!entries.length) return flow.size > 1 ? [[flow.phase, flow.size]] : [];
  const size = (text) => text.split(",").reduce((sum, part) => {
    const [first, last] = part.split("-").map(Number);
    return sum + (last ?? first) - first + 1;
  }, 0);
  return entries.map(([phase, text]) => [phase, size(text)]).sort((a, b) => RANK.get(a[0]) - RANK.get(b[0]));
}

// A recording, at any of its moments. States are kept every so many frames, so that a slider is quick.
export class Replay {
  constructor(recording) {
    this.recording = recording;
    this.frames = recording.frames;
    this.begin = recording.at;
    this.end = this.frames.length ? this.frames[this.frames.length - 1].at : recording.at;
    this.step = Math.max(1, Math.ceil(this.frames.length / 60));
    this.kept = [stateOf(recording.state)];
    let state = this.kept[0];
    this.frames.forEach((frame, position) => {
      state = applied(state, frame);
      if ((position + 1) % this.step === 0) this.kept.push(state);
    });
  }

  // How many frames have happened at a time.
  before(at) {
    let low = 0;
    let high = this.frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.frames[middle].at <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  state(count) {
    const base = Math.min(this.kept.length - 1, Math.floor(count / this.step));
    let state = this.kept[base];
    for (let position = base * this.step; position < count; position++) state = applied(state, this.frames[position]);
    return state;
  }
}
