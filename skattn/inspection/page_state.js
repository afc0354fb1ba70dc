// From state to screen, and from hands to state.

// ---- From state to screen ----

function draw() {
  const { weights, doubt } = rowOf(state.layer, state.head, state.asks);
  drawReading(weights, doubt);
  drawSignal(weights, doubt);
  drawText(weights, doubt);
  drawMap();
  drawHeads();
}
let isWaiting = false;
const roomWide = () => byId("panels").clientWidth;
function drawSoon() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => { isWaiting = false; draw(); });
}

function options(select, words, chosen) {
  select.replaceChildren(...words.map(([value, text]) => new Option(text, value, false, String(value) === String(chosen))));
  byId(select.id + "-label").hidden = words.length < 2;
}

// After another sequence, network, layer or head.
function refresh() {
  const own = sequence(), n = rowCount(), heads = mapOf(state.layer).heads;
  state.asks = Math.min(state.asks, n - 1);
  if (state.read !== null && state.read >= n) state.read = null;
  if (state.head >= heads) state.head = MEAN;
  options(byId("sequence"), data.sequences.map((one, i) => [i, `${i} (${counted(one.steps, one.labels && one.isText ? "token" : "step")})`]), state.sequence);
  options(byId("network"), data.networks.map((number, i) => [i, number]), state.network);
  options(byId("layer"), data.layers.map((number, i) => [i, number]), state.layer);
  const several = heads > 1 ? [[MEAN, "mean of heads"]] : [];
  if (heads === 1) state.head = 0;
  options(byId("head"), [...several, ...[...Array(heads).keys()].map((h) => [h, `head ${h}`])], state.head);
  byId("step").max = n - 1;
  byId("slider-name").textContent = capital(unit());
  byId("most-what").textContent = capital(unit());
  const kept = own.block > 1 ? `, averaged in blocks of ${own.block}` : "";
  byId("note").textContent = `Steps, layers and heads are counted from 0. Weights are rounded to ${data.bits} bits of the ` +
    "largest in their row, which is exact. They tell what is read, not what matters to the result.";
  byId("sequence-title").textContent =
    `Sequence ${state.sequence}: ${counted(own.steps)}` + (isMany() ? ` in ${n} rows${kept}` : "");
  for (const [id, what] of [["text", "Text"], ["signal", "Signal"], ["map", "Map"]]) {
    byId(id).setAttribute("aria-label", `${what} of sequence ${state.sequence}; arrow keys choose a ${unit()}`);
  }
  drawBase();
  drawMapImage();
  makeHeads();
  draw();
}

function ask(i, read = null) {
  state.asks = Math.min(rowCount() - 1, Math.max(0, i));
  state.read = read;
  drawSoon();
}
// The pointer is over a row: that asks, or where one is held is read by it.
function meet(i) {
  if (!state.held) ask(i); else { state.read = i; drawSoon(); }
}

// ---- Hands ----

function rowOnSignal(event) {
  const x = event.clientX - byId("signal-canvas").getBoundingClientRect().left;
  return rowAtStep(Math.min(sequence().steps - 0.01, Math.max(0, (x - MARGIN.left) / stepWidth())));
}
function rowOnText(event) {
  const token = event.target.closest(".token");
  return token === null ? null : +token.dataset.row;
}
function cellOnMap(event) {
  const box = byId("map-canvas").getBoundingClientRect(), n = rowCount();
  const within = (share) => Math.min(n - 1, Math.max(0, Math.floor(share * n)));
  return [within((event.clientY - box.top) / inner()), within((event.clientX - box.left - mapBox.edge) / inner())];
}

function listen(id, move) {
  const host = byId(id);
  host.addEventListener("pointermove", move);
  host.addEventListener("pointerdown", move);
  host.addEventListener("pointerleave", () => { if (state.read !== null) { state.read = null; drawSoon(); } });
  host.addEventListener("click", (event) => {
    // A finger has chosen by its touch, and nothing hovers that a hold would be needed for.
    if (event.pointerType === "touch") return;
    state.held = !state.held;
    if (!state.held) move(event);
    drawSoon();
  });
  host.addEventListener("keydown", (event) => { if (moveByKey(event, id)) event.preventDefault(); });
}

function moveByKey(event, id) {
  if (event.ctrlKey || event.altKey || event.metaKey) return false;
  const n = rowCount(), moves = { PageUp: -10, PageDown: 10, ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
  const read = state.read === null ? state.asks : state.read;
  if (event.key === "Enter" || event.key === " ") state.held = !state.held;
  else if (event.key === "Home") ask(0);
  else if (event.key === "End") ask(n - 1);
  else if (!(event.key in moves)) return false;
  else if (state.held || (id === "map" && /Left|Right/.test(event.key))) {
    state.read = Math.min(n - 1, Math.max(0, read + moves[event.key]));
  } else ask(state.asks + moves[event.key], id === "map" ? state.read : null);
  drawSoon();
  return true;
}

function choose(id, name) {
  byId(id).addEventListener("change", (event) => { state[name] = +event.target.value; remake(name === "sequence"); });
}
function remake(isOther) {
  if (isOther) { Object.assign(state, { asks: 0, read: null, held: false }); makeText(); }
  refresh();
}

function makeFeatures() {
  const numbers = data.features.map((feature, k) => [feature, k]).filter(([feature]) => feature.kind !== "time");
  byId("features").hidden = numbers.length < 2;
  const say = () => byId("features-summary").textContent = `Features: ${shown.size} of ${numbers.length} shown`;
  for (const [feature, k] of numbers) {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = shown.has(k);
    box.addEventListener("change", () => { if (box.checked) shown.add(k); else shown.delete(k); say(); drawBase(); draw(); });
    label.append(box, " ", feature.name);
    byId("feature-list").append(label);
  }
  say();
}

function begin() {
  ["sequence", "network", "layer", "head"].forEach((name) => choose(name, name));
  byId("shades").addEventListener("change", (event) => { state.shades = event.target.value; drawMapImage(); draw(); });
  byId("step").addEventListener("input", (event) => ask(+event.target.value));
  listen("signal", (event) => meet(rowOnSignal(event)));
  listen("text", (event) => { const row = rowOnText(event); if (row !== null) meet(row); });
  listen("map", (event) => {
    const [row, column] = cellOnMap(event);
    if (state.held) meet(column); else ask(row, column);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { state.held = false; state.read = null; drawSoon(); }
  });
  const again = () => { drawBase(); drawMapImage(); draw(); };
  darkness.addEventListener("change", again);
  // A page may begin hidden, as in a folded cell of a notebook.
  let width = roomWide();
  new ResizeObserver(() => { if (roomWide() !== width) { width = roomWide(); again(); } }).observe(byId("panels"));
  makeFeatures();
  makeText();
  refresh();
}
begin();
