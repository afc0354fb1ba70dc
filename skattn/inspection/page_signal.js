// Colours, and the signal with what is attended to.

// ---- Colours ----

const MARGIN = { left: 56, right: 10 };
const PLOT = 78, BARS = 92, AXIS = 24; // heights in pixels
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";
// Lightness rises or falls all the way, so that order shows without colour as well.
const RAMPS = {
  light: [[255, 255, 255], [205, 225, 242], [117, 176, 219], [33, 113, 181], [8, 40, 92]],
  dark: [[24, 28, 32], [18, 58, 92], [32, 107, 160], [108, 182, 239], [236, 247, 255]],
};
const darkness = window.matchMedia("(prefers-color-scheme: dark)");

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function ramp(share) {
  const stops = RAMPS[darkness.matches ? "dark" : "light"];
  const place = Math.min(1, Math.max(0, share)) * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(place));
  return stops[k].map((low, c) => Math.round(low + (place - k) * (stops[k + 1][c] - low)));
}
const css = (rgb) => `rgb(${rgb.join(",")})`;
const inkOn = (rgb) => (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 140 ? "#14171a" : "#ffffff");

function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = FONT;
  return pen;
}

// ---- The signal: lines of features, and bars of weights below ----

const signalBox = { width: 0, plots: [], base: null };
const plotted = () => (sequence().signal === null ? [] : [...shown].sort((a, b) => a - b));
const stepWidth = () => (signalBox.width - MARGIN.left - MARGIN.right) / sequence().steps;
const xOf = (step) => MARGIN.left + step * stepWidth();

function drawBase() {
  const host = byId("signal");
  host.hidden = isText() && !plotted().length;
  if (host.hidden) return;
  // Where there is no room yet, this is drawn once there is; see `begin`.
  signalBox.width = Math.max(host.clientWidth, 150);
  signalBox.plots = plotted();
  const height = signalBox.plots.length * PLOT + BARS + AXIS;
  signalBox.base = document.createElement("canvas");
  const pen = sized(signalBox.base, signalBox.width, height);
  signalBox.plots.forEach((k, place) => drawFeature(pen, k, place * PLOT));
  drawAxis(pen, height - AXIS);
  sized(byId("signal-canvas"), signalBox.width, height);
}

function rangeOf(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low === Infinity) return null;
  return low === high ? [low - 1, high + 1] : [low, high];
}
const numeral = (value) => {
  const size = Math.abs(value), words = size >= 1e5 || (size < 1e-3 && value) ? size.toExponential(1) : +size.toPrecision(3);
  return (value < 0 ? "−" : "") + words;
};
function valuesOf(k) {
  const n = sequence().steps;
  return signalOf(sequence()).subarray(k * n, (k + 1) * n);
}

function drawFeature(pen, k, top) {
  const values = valuesOf(k), range = rangeOf(values), first = top + 20, last = top + PLOT - 8;
  pen.fillStyle = style("--soft");
  pen.textAlign = "left";
  pen.fillText(fitted(pen, data.features[k].name, signalBox.width * 0.55), MARGIN.left, top + 12);
  pen.strokeStyle = style("--grid");
  pen.strokeRect(MARGIN.left - 0.5, first - 3.5, signalBox.width - MARGIN.left - MARGIN.right + 1, last - first + 7);
  if (range === null) return;
  pen.textAlign = "right";
  pen.fillText(numeral(range[1]), MARGIN.left - 6, first + 6);
  pen.fillText(numeral(range[0]), MARGIN.left - 6, last + 2);
  const y = (value) => last - ((value - range[0]) / (range[1] - range[0])) * (last - first);
  pen.strokeStyle = pen.fillStyle = style("--text");
  pen.lineWidth = stepWidth() > 1.5 ? 1.4 : 1;
  pen.beginPath();
  let isOn = false;
  values.forEach((value, step) => {
    const x = xOf(step + 0.5);
    if (!Number.isFinite(value)) { isOn = false; return; } // a gap
    if (isOn) pen.lineTo(x, y(value)); else pen.moveTo(x, y(value));
    // A value between two gaps is a dot, as no line leads there.
    if (!isOn && !Number.isFinite(values[step + 1])) pen.arc(x, y(value), 1.6, 0, 7);
    isOn = true;
  });
  pen.stroke();
  if (stepWidth() > 9) values.forEach((value, step) => {
    if (Number.isFinite(value)) { pen.beginPath(); pen.arc(xOf(step + 0.5), y(value), 2.2, 0, 7); pen.fill(); }
  });
}

// The next of 1, 2, 5, 10, 20, ...
function roundUp(least) {
  for (let tens = 1; ; tens *= 10) for (const m of [1, 2, 5]) if (m * tens >= least) return m * tens;
}

function drawAxis(pen, top) {
  const { steps, labels } = sequence(), words = (step) => (labels === null ? String(step) : short(labels[step], 12));
  pen.fillStyle = style("--soft");
  pen.textAlign = "center";
  let widest = 0;
  for (let step = 0; step < steps; step += Math.ceil(steps / 50)) widest = Math.max(widest, pen.measureText(words(step)).width);
  widest = Math.max(widest, pen.measureText(words(steps - 1)).width);
  const every = roundUp(Math.ceil((widest + 14) / stepWidth()));
  pen.strokeStyle = style("--soft");
  pen.lineWidth = 1;
  for (let step = 0; step < steps; step += every) {
    const x = Math.min(xOf(step + 0.5), signalBox.width - pen.measureText(words(step)).width / 2 - 1);
    pen.fillText(words(step), x, top + 17);
    pen.beginPath();
    pen.moveTo(xOf(step + 0.5), top);
    pen.lineTo(xOf(step + 0.5), top + 4);
    pen.stroke();
  }
}

// From where to where a row is drawn: spans may overlap, and a row ends where the next begins.
function edges(i) {
  const [first, end] = span(i);
  return [first, i + 1 < rowCount() ? Math.min(end, Math.max(first + 1, span(i + 1)[0])) : end];
}

function drawSignal(weights, doubt) {
  if (byId("signal").hidden) return;
  const canvas = byId("signal-canvas"), pen = canvas.getContext("2d"), n = weights.length;
  const height = signalBox.plots.length * PLOT, bottom = height + BARS - 1, most = largestOf(weights);
  const width = (i) => Math.max(1, xOf(edges(i)[1]) - xOf(edges(i)[0]) - (stepWidth() > 6 ? 1 : 0));
  pen.clearRect(0, 0, signalBox.width, bottom + AXIS + 2);
  const mark = (i, name) => {
    pen.fillStyle = style(name);
    pen.fillRect(xOf(span(i)[0]), 0, Math.max(2, xOf(span(i)[1]) - xOf(span(i)[0])), bottom);
  };
  const soft = (name) => (xOf(span(0)[1]) - xOf(0) > 4 ? name + "-soft" : name);
  // Behind the lines, as strong as the weight.
  pen.fillStyle = style("--weight");
  for (let i = 0; i < n && most; i++) {
    pen.globalAlpha = 0.5 * weights[i] / most;
    for (let place = 0; place < signalBox.plots.length; place++) {
      pen.fillRect(xOf(edges(i)[0]), place * PLOT + 17, Math.max(1, xOf(edges(i)[1]) - xOf(edges(i)[0])), PLOT - 22);
    }
  }
  pen.globalAlpha = 1;
  mark(state.asks, soft("--asks"));
  if (state.read !== null) mark(state.read, soft("--weight"));
  pen.save();
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.drawImage(signalBox.base, 0, 0);
  pen.restore();
  pen.fillStyle = style("--soft");
  pen.textAlign = "left";
  pen.fillText("attention", MARGIN.left, height + 13);
  pen.textAlign = "right";
  pen.fillText(percent(most, doubt), MARGIN.left - 6, height + 26);
  pen.fillText("0 %", MARGIN.left - 6, bottom);
  pen.fillStyle = style("--weight");
  for (let i = 0; i < n && most; i++) {
    const size = (BARS - 24) * weights[i] / most;
    pen.fillRect(xOf(edges(i)[0]), bottom - size, width(i), size);
  }
  pen.fillStyle = style("--line");
  pen.fillRect(MARGIN.left, bottom, signalBox.width - MARGIN.left - MARGIN.right, 1);
  pen.fillStyle = style("--asks");
  const [first, end] = span(state.asks);
  pen.fillRect(xOf(first), bottom - 1, Math.max(3, xOf(end) - xOf(first)), 4);
  drawValues(pen);
}

// Values of the step that is looked at, in the right corner of each plot.
function drawValues(pen) {
  const looked = state.read === null ? state.asks : state.read, [first, end] = span(looked);
  pen.textAlign = "right";
  pen.fillStyle = style(state.read === null ? "--asks" : "--weight");
  signalBox.plots.forEach((k, place) => {
    const own = [...valuesOf(k).subarray(first, end)].filter(Number.isFinite);
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    const words = own.length ? (end - first > 1 ? "mean " : "") + numeral(mean) : "missing";
    pen.fillText(words, signalBox.width - MARGIN.right, place * PLOT + 12);
  });
}

function rowAtStep(step) {
  let best = 0, least = Infinity;
  for (let i = 0; i < rowCount(); i++) {
    const [first, end] = span(i), away = Math.max(first - step, step - end, 0) * 1e6 + Math.abs((first + end) / 2 - step);
    if (away < least) { least = away; best = i; }
  }
  return best;
}
