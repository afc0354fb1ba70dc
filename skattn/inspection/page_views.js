// The text, the map, all heads, and the words.

// ---- The text: a chip for each row ----

function makeText() {
  const host = byId("text");
  host.replaceChildren();
  host.hidden = !isText();
  if (host.hidden) return;
  for (let i = 0; i < rowCount(); i++) {
    const token = document.createElement("span"), word = document.createElement("b"), share = document.createElement("small");
    token.className = "token";
    token.dataset.row = i;
    word.textContent = labelOf(i);
    token.append(word, share);
    host.append(token);
  }
}

function drawText(weights, doubt) {
  const most = largestOf(weights) || 1;
  [...byId("text").children].forEach((token, i) => {
    const colour = ramp(weights[i] / most), [word, share] = token.children;
    word.style.background = css(colour);
    word.style.color = inkOn(colour);
    share.textContent = percent(weights[i], doubt);
    token.classList.toggle("asks", i === state.asks);
    token.classList.toggle("read", i === state.read);
  });
}

// ---- The map ----

const mapBox = { size: 0, edge: 46, image: null };
const inner = () => mapBox.size - mapBox.edge;

function drawMapImage() {
  const n = rowCount(), rows = [...Array(n).keys()].map((i) => rowOf(state.layer, state.head, i).weights);
  const most = rows.reduce((a, row) => Math.max(a, largestOf(row)), 0) || 1;
  const picture = new ImageData(n, n), pixels = new Uint32Array(picture.data.buffer);
  const shades = new Uint32Array(new Uint8ClampedArray([...Array(1024).keys()].flatMap((k) => [...ramp(k / 1023), 255])).buffer);
  rows.forEach((row, i) => {
    const of = 1023 / (state.shades === "row" ? largestOf(row) || 1 : most);
    for (let j = 0; j < n; j++) pixels[i * n + j] = shades[Math.round(of * row[j])];
  });
  mapBox.image = document.createElement("canvas");
  mapBox.image.width = mapBox.image.height = n;
  mapBox.image.getContext("2d").putImageData(picture, 0, 0);
  drawScale(most);
}

function drawScale(most) {
  const colours = [...Array(17).keys()].map((k) => css(ramp(k / 16)));
  byId("scale-bar").style.background = `linear-gradient(to right, ${colours.join(", ")})`;
  const marks = state.shades === "row" ? ["0\u00a0%", "half", "largest of the row"] : [0, most / 2, most].map((w) => percent(w, 0));
  byId("scale-marks").replaceChildren(...marks.map((words) => {
    const mark = document.createElement("span");
    mark.textContent = words;
    return mark;
  }));
}

function drawMap() {
  const host = byId("map"), n = rowCount();
  mapBox.size = Math.max(150, Math.min(host.clientWidth, 560));
  const pen = byId("map-canvas").getContext("2d"), rough = (mapBox.size - 46) / n;
  pen.font = FONT;
  // As much room as the longest word needs, where not too much.
  const longest = Math.max(24, ...ticksOfMap(rough, 18).map(([, words]) => pen.measureText(words).width));
  mapBox.edge = Math.min(104, longest + 16);
  const size = inner(), cell = size / n;
  byId("map-canvas").dataset.edge = mapBox.edge;
  sized(byId("map-canvas"), mapBox.size, size + (hasWords(cell) ? mapBox.edge : 22));
  // Small maps keep their squares; of large ones a pixel is the mean of what falls on it.
  pen.imageSmoothingEnabled = cell < 1;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(mapBox.image, mapBox.edge, 0, size, size);
  pen.strokeStyle = style("--line");
  pen.strokeRect(mapBox.edge - 0.5, 0.5, size, size);
  drawMapLabels(pen, cell);
  const frame = (x, y, width, height, colour) => {
    // With a rim of the page's colour, so that it stands out from light and dark cells alike.
    for (const [name, thickness] of [["--page", 4], [colour, 2]]) {
      pen.strokeStyle = style(name);
      pen.lineWidth = thickness;
      pen.strokeRect(x, y, width, height);
    }
  };
  const thick = Math.max(cell, 4), y = Math.min(state.asks * cell, size - thick);
  if (state.read !== null) frame(mapBox.edge + Math.min(state.read * cell, size - thick), 1, thick, size - 2, "--weight");
  frame(mapBox.edge, y, size - 1, thick, "--asks");
  pen.fillStyle = style("--asks");
  pen.beginPath();
  pen.moveTo(mapBox.edge - 2, y + thick / 2);
  pen.lineTo(mapBox.edge - 9, y + thick / 2 - 5);
  pen.lineTo(mapBox.edge - 9, y + thick / 2 + 5);
  pen.fill();
}

// Rows whose labels have room, and these: words of each, or round numbers.
const hasWords = (cell) => isText() && cell >= 14;
function ticksOfMap(cell, room) {
  const n = rowCount(), { steps } = sequence(), every = roundUp(Math.ceil(room / cell / n * steps)), ticks = [];
  if (hasWords(cell)) return [...Array(n).keys()].map((i) => [i, labelOf(i)]);
  for (let i = 0, next = 0; i < n; i++) {
    const [first, end] = span(i);
    if (end <= next) continue;
    ticks.push([i, String(Math.max(first, next))]);
    next = Math.max(next + every, Math.ceil(end / every) * every);
  }
  return ticks;
}

function drawMapLabels(pen, cell) {
  const size = inner(), isUpright = hasWords(cell), room = mapBox.edge - 14;
  pen.fillStyle = style("--soft");
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const [i, words] of ticksOfMap(cell, 18)) {
    pen.fillText(fitted(pen, words, room), mapBox.edge - 12, Math.max(6, Math.min((i + 0.5) * cell, size - 6)));
  }
  const widest = pen.measureText(String(sequence().steps)).width;
  for (const [i, label] of ticksOfMap(cell, widest + 8)) {
    const words = fitted(pen, label, room), x = mapBox.edge + (i + 0.5) * cell;
    pen.save();
    pen.textAlign = isUpright ? "right" : "center";
    pen.translate(isUpright ? x : Math.min(x, mapBox.size - pen.measureText(words).width / 2), size + (isUpright ? 7 : 13));
    if (isUpright) pen.rotate(-Math.PI / 2);
    pen.fillText(words, 0, 0);
    pen.restore();
  }
  pen.textBaseline = "alphabetic";
}
function fitted(pen, words, room) {
  let most = 40, text = short(words, most);
  while (most > 1 && pen.measureText(text).width > room) text = short(words, --most);
  return text;
}

// ---- All heads: the same row by each ----

function makeHeads() {
  const host = byId("heads");
  host.replaceChildren();
  data.layers.forEach((number, layer) => {
    for (let head = 0; head < mapOf(layer).heads; head++) {
      const button = document.createElement("button"), strip = document.createElement("canvas");
      const name = document.createElement("span"), most = document.createElement("span");
      button.type = "button";
      button.className = "head";
      name.textContent = `layer ${number} head ${head}`;
      strip.width = Math.min(rowCount(), 400);
      strip.height = 1;
      button.append(name, strip, most);
      button.addEventListener("click", () => { state.layer = layer; state.head = head; refresh(); });
      Object.assign(button.dataset, { layer, head });
      host.append(button);
    }
  });
}

function drawHeads() {
  byId("heads-title").textContent = `${capital(placeOf(state.asks))} by every head, and its largest weight`;
  for (const button of byId("heads").children) {
    const layer = +button.dataset.layer, head = +button.dataset.head, { weights, doubt } = rowOf(layer, head, state.asks);
    const most = largestOf(weights), [, strip, words] = button.children, pen = strip.getContext("2d");
    const picture = pen.createImageData(strip.width, 1);
    for (let x = 0; x < strip.width; x++) {
      const from = Math.floor(x * weights.length / strip.width);
      const part = weights.subarray(from, Math.max(from + 1, Math.floor((x + 1) * weights.length / strip.width)));
      picture.data.set([...ramp(most ? largestOf(part) / most : 0), 255], 4 * x);
    }
    pen.putImageData(picture, 0, 0);
    words.textContent = percent(most, doubt);
    const isChosen = layer === state.layer && (head === state.head || state.head === MEAN);
    button.classList.toggle("chosen", isChosen);
    button.setAttribute("aria-pressed", String(isChosen));
  }
}

// ---- What is read, in words and in a table ----

function drawReading(weights, doubt) {
  const { words, order } = wordsOf(weights, doubt), name = nameOf(state.asks);
  byId("who").textContent = capital(name) + (state.held ? " (held)" : "");
  byId("words").textContent = words;
  const read = state.read;
  byId("pair").textContent = read === null ? "" : `to ${nameOf(read)}: ${percent(weights[read], doubt)}`;
  byId("step").value = state.asks;
  byId("step").setAttribute("aria-valuetext", `${name}. ${words}`);
  byId("most").tBodies[0].replaceChildren(...order.slice(0, 5).filter((i) => weights[i] > 0).map((i) => {
    const line = document.createElement("tr"), bar = document.createElement("i");
    [nameOf(i), percent(weights[i], doubt)].forEach((text) => line.insertCell().textContent = text);
    line.cells[1].className = "number";
    bar.style.width = `${100 * weights[i] / weights[order[0]]}%`;
    line.insertCell().append(bar);
    return line;
  }));
}
