// What stands in the file, and how it is worded.

"use strict";

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const MOST = 2 ** data.bits - 1; // code of the largest weight of a row
const MEAN = -1; // number that stands for the mean of heads
const state = { sequence: 0, network: 0, layer: 0, head: MEAN, asks: 0, read: null, held: false, shades: "row" };
const shown = new Set();
data.features.forEach((feature, k) => { if (feature.kind === "number" && shown.size < 4) shown.add(k); });

// ---- What stands in the file ----

function bytes(text) {
  const raw = atob(text), array = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) array[i] = raw.charCodeAt(i);
  return array.buffer;
}

const sequence = () => data.sequences[state.sequence];
const rowCount = () => sequence().spans.length / 2;
const span = (i) => [sequence().spans[2 * i], sequence().spans[2 * i + 1]];

function mapOf(layer) {
  const map = data.maps[state.network][layer][state.sequence];
  if (typeof map.codes === "string") {
    map.codes = data.bits === 8 ? new Uint8Array(bytes(map.codes)) : new Uint16Array(bytes(map.codes));
    map.largest = new Float32Array(bytes(map.largest));
  }
  return map;
}

function signalOf(own) {
  if (typeof own.signal === "string") own.signal = new Float32Array(bytes(own.signal));
  return own.signal;
}

// Weights of a row, and how large a weight may be that its code tells from nothing alone.
function rowOf(layer, head, i) {
  const map = mapOf(layer), n = rowCount(), weights = new Float64Array(n);
  const heads = head === MEAN ? [...Array(map.heads).keys()] : [head];
  let doubt = 0;
  for (const h of heads) {
    const unit = map.largest[h * n + i] / MOST / heads.length, start = (h * n + i) * n;
    for (let j = 0; j < n; j++) weights[j] += map.codes[start + j] * unit;
    doubt += unit;
  }
  return { weights, doubt };
}

const largestOf = (weights) => weights.reduce((a, b) => (b > a ? b : a), 0);

// ---- Words ----

function percent(weight, doubt) {
  if (weight === 0) return "0\u00a0%";
  // What is small is told by what it is less than, rounded up.
  const bound = Math.max(0.001, weight <= 1.01 * doubt ? 150 * doubt : 0), tens = bound < 0.1 ? 1000 : 100;
  if (weight <= 1.01 * doubt || 100 * weight < bound) return `<\u00a0${Math.ceil(tens * bound - 1e-9) / tens}\u00a0%`;
  return `${digits(100 * weight)}\u00a0%`;
}
function digits(number) {
  return number.toFixed(number >= 1 ? 1 : number >= 0.1 ? 2 : 3);
}

const isText = () => sequence().labels !== null && sequence().isText;
const unit = () => (isText() ? "token" : "step");
const isMany = () => sequence().spans.length !== 2 * sequence().steps || sequence().spans[1] !== 1;

function short(text, most = 40) {
  const characters = Array.from(text);
  return characters.length > most ? characters.slice(0, most - 1).join("") + "…" : text;
}
function labelOf(i) {
  const [first, end] = span(i), labels = sequence().labels;
  if (labels === null) return "";
  if (end - first === 1) return short(labels[first]);
  return isText() ? short(labels.slice(first, end).join(" "), 60) : short(labels[first]) + " – " + short(labels[end - 1]);
}
function placeOf(i) {
  const [first, end] = span(i);
  return end - first === 1 ? `${unit()} ${first}` : `${unit()}s ${first}–${end - 1}`;
}
function nameOf(i) {
  const label = labelOf(i);
  if (!label) return placeOf(i);
  return isText() ? `“${label}” (${placeOf(i)})` : `${placeOf(i)} (${label})`;
}
const counted = (n, what = unit()) => `${n} ${what}${n === 1 ? "" : "s"}`;
const capital = (text) => text[0].toUpperCase() + text.slice(1);

function wordsOf(weights, doubt) {
  const n = weights.length, order = [...weights.keys()].sort((a, b) => weights[b] - weights[a] || a - b);
  const at = (i) => `${i === state.asks ? "itself" : nameOf(i)} with ${percent(weights[i], doubt)}`;
  let total = 0, half = 0;
  const sum = weights.reduce((a, b) => a + b, 0);
  while (half < n && total < sum / 2) total += weights[order[half++]];
  const seen = weights.reduce((count, weight) => count + (weight > 0), 0);
  let words = sum ? `Attends most to ${at(order[0])}` : "Attends to nothing";
  const next = order.slice(1, 3).filter((i) => weights[i] > 0);
  if (next.length) words += ", then " + next.map(at).join(" and ");
  words += ".";
  if (!order.slice(0, 1 + next.length).includes(state.asks)) words += ` On itself: ${percent(weights[state.asks], doubt)}.`;
  if (n > 2 && sum) words += ` Half of its attention lies on ${half} of ${counted(n, isMany() ? "row" : unit())}`;
  if (n > 2 && sum) words += seen < n ? `; it sees ${seen} of them.` : ".";
  return { words, order };
}
