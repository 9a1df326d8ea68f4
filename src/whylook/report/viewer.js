/* The viewer: mount(element, payload) shows pictures and their attribution maps. Plain ES module, fetches nothing. */

const SCHEMA = "whylook-view/1";
const MOST_ZOOM = 32;
const ALL_DRAWN = 80; // canvases; a page with more keeps pixels only for those near what is in sight
let serial = 0;

/* ---- values ------------------------------------------------------------------------------------------------ */

function bytes(base64) {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

/** Decode base64 little-endian float16 times a scale into a Float32Array (Float16Array is too new to rely on). */
export function decode(base64, scale) {
  const raw = bytes(base64);
  const out = new Float32Array(raw.length >> 1);
  for (let i = 0; i < out.length; i++) {
    const half = raw[2 * i] | (raw[2 * i + 1] << 8);
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    let value;
    if (exponent === 31) value = NaN;
    else if (exponent === 0) value = fraction * 2 ** -24;
    else value = (1 + fraction / 1024) * 2 ** (exponent - 15);
    out[i] = (half & 0x8000 ? -value : value) * scale;
  }
  return out;
}

/** Where picture coordinate `at` falls among `cells` cells that span [from, to]: two neighbors and a weight. */
function between(at, from, to, cells) {
  const inside = Math.min(Math.max(((at - from) / (to - from)) * cells - 0.5, 0), cells - 1);
  const low = Math.floor(inside);
  return [low, Math.min(low + 1, cells - 1), inside - low];
}

function nearest(at, from, to, cells) {
  return Math.min(Math.max(Math.floor(((at - from) / (to - from)) * cells), 0), cells - 1);
}

/**
 * Read a map at picture coordinates (x, y), (0, 0) being the outer corner of the first pixel: bilinear between cell
 * centers and constant beyond the outermost, or the cell itself with `cells`. NaN where the model was not shown
 * the picture.
 */
export function sample(map, x, y, cells = false) {
  const [top, left, bottom, right] = map.placement;
  const [seenTop, seenLeft, seenBottom, seenRight] = map.visible;
  const slack = 1e-9;
  if (y < seenTop - slack || y > seenBottom + slack || x < seenLeft - slack || x > seenRight + slack) return NaN;
  const [rows, columns] = map.grid;
  const v = map.data;
  if (cells) return v[nearest(y, top, bottom, rows) * columns + nearest(x, left, right, columns)];
  const [y0, y1, fy] = between(y, top, bottom, rows);
  const [x0, x1, fx] = between(x, left, right, columns);
  const upper = v[y0 * columns + x0] * (1 - fx) + v[y0 * columns + x1] * fx;
  const lower = v[y1 * columns + x0] * (1 - fx) + v[y1 * columns + x1] * fx;
  return upper * (1 - fy) + lower * fy;
}

const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** Three significant digits, powers of ten written out. */
export function number(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const sign = value < 0 ? "−" : "";
  const size = Number(Math.abs(value).toPrecision(3));
  if (size >= 1e-3 && size < 1e4) return sign + String(size);
  const [mantissa, exponent] = Math.abs(value).toExponential(2).split("e");
  const power = String(Number(exponent)).replace(/./g, (c) => SUPERSCRIPT[c]);
  return `${sign}${String(Number(mantissa))} × 10${power}`;
}

/* ---- elements ---------------------------------------------------------------------------------------------- */

/** Make an element; text goes through textContent, so that no name or label is ever read as markup. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** Text of unknown writing direction, kept from reordering its surroundings. */
export const isolate = (text, className) => el("bdi", { class: className }, text);

export function segmented(legend, name, options, chosen, change) {
  const group = `whylook-${name}-${++serial}`;
  return el(
    "fieldset",
    { class: "segmented" },
    el("legend", {}, legend),
    el(
      "span",
      { class: "options" },
      options.map(([value, text]) =>
        el(
          "label",
          {},
          el("input", {
            type: "radio",
            name: group,
            value,
            checked: value === chosen,
            onchange: () => change(value),
          }),
          el("span", {}, text),
        ),
      ),
    ),
  );
}

/* ---- one linked view --------------------------------------------------------------------------------------- */

/** What pictures of one size share: zoom, center (as fractions of the picture) and probed point (in pixels). */
class View {
  constructor(width, height) {
    const aspect = Math.min(Math.max(width / height, 0.5), 4);
    Object.assign(this, { width, height, aspect, zoom: 1, cx: 0.5, cy: 0.5, probe: null, panes: [], lines: [] });
  }

  /** Picture to canvas: canvas = picture * s + (ox, oy), in CSS pixels of a pane. */
  transform(w, h) {
    const s = Math.min(w / this.width, h / this.height) * this.zoom;
    const place = (size, picture, center) => {
      const length = picture * s;
      if (length <= size) return (size - length) / 2;
      return Math.min(0, Math.max(size - length, size / 2 - center * length));
    };
    return { s, ox: place(w, this.width, this.cx), oy: place(h, this.height, this.cy) };
  }

  /** Zoom by `factor` so that picture point (x, y) stays where it is at canvas point (px, py). */
  zoomAt(factor, x, y, px, py, w, h) {
    const zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    if (zoom === this.zoom) return false;
    this.zoom = zoom;
    const s = Math.min(w / this.width, h / this.height) * zoom;
    this.centerAt(x + (w / 2 - px) / s, y + (h / 2 - py) / s, w, h);
    return true;
  }

  centerAt(x, y, w, h) {
    const s = Math.min(w / this.width, h / this.height) * this.zoom;
    const clamp = (at, size, picture) => {
      const half = Math.min(0.5, size / 2 / (picture * s));
      return Math.min(Math.max(at / picture, half), 1 - half);
    };
    this.cx = clamp(x, w, this.width);
    this.cy = clamp(y, h, this.height);
    this.changed();
  }

  reset() {
    Object.assign(this, { zoom: 1, cx: 0.5, cy: 0.5 });
    this.changed();
  }

  changed() {
    for (const pane of this.panes) pane.request();
  }
}

/* ---- one canvas -------------------------------------------------------------------------------------------- */

class Pane {
  constructor(app, view, picture, map, boxes) {
    Object.assign(this, { app, view, picture, map, boxes });
    this.seen = true;
    this.overlayKey = "";
    this.pointers = new Map();
    this.canvas = el("canvas", {
      class: "pane",
      tabindex: "0",
      role: "application",
      "aria-roledescription": map ? "attribution map" : "picture",
      "aria-label": map ? map.alt : `Picture ${picture.name}, ${picture.width} × ${picture.height} pixels.`,
      "aria-describedby": app.helpId,
    });
    this.canvas.style.aspectRatio = String(view.aspect);
    view.panes.push(this);
    app.panes.push(this);
    this.listen();
  }

  request() {
    this.app.dirty.add(this);
    this.app.schedule();
  }

  /** Give back the pixels of a canvas that is out of sight: a page may hold hundreds. */
  rest() {
    this.overlayCanvas = null;
    this.overlayKey = "";
    this.canvas.width = 0;
    this.canvas.height = 0;
  }

  size() {
    return [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  draw() {
    const [w, h] = this.size();
    if (!w || !h) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(w * ratio);
    const height = Math.round(h * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const { app, view, map } = this;
    const { s, ox, oy } = view.transform(w, h);
    const ctx = this.canvas.getContext("2d");
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    const image = map && app.state.gray ? this.picture.gray : this.picture.image;
    if (image) {
      ctx.imageSmoothingEnabled = (s * this.picture.width) / image.width < 6;
      ctx.imageSmoothingQuality = "high";
      ctx.drawImage(image, ox, oy, view.width * s, view.height * s);
    }
    if (map && !map.reason) {
      ctx.save();
      ctx.setTransform(1, 0, 0, 1, 0, 0);
      ctx.globalAlpha = app.state.opacity / 100;
      ctx.drawImage(this.overlay(width, height, s * ratio, ox * ratio, oy * ratio), 0, 0);
      ctx.restore();
    }
    for (const box of this.boxes) this.drawUnseen(ctx, box, s, ox, oy, Boolean(map));
    if (view.probe) this.drawProbe(ctx, s, ox, oy);
  }

  /** The map in color at canvas resolution; made again only when what it depends on changes, not for opacity. */
  overlay(width, height, s, ox, oy) {
    const { app, map } = this;
    const key = [width, height, s, ox, oy, app.state.grid, app.state.scale, app.state.colors].join();
    if (key === this.overlayKey) return this.overlayCanvas;
    this.overlayKey = key;
    this.overlayCanvas ??= document.createElement("canvas");
    this.overlayCanvas.width = width;
    this.overlayCanvas.height = height;
    const ctx = this.overlayCanvas.getContext("2d");
    const image = ctx.createImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    const [top, left, bottom, right] = map.placement;
    const [seenTop, seenLeft, seenBottom, seenRight] = map.visible;
    const [rows, columns] = map.grid;
    const v = map.data;
    const lut = app.lut(map);
    const [low, high] = app.limits(map);
    const step = 255 / (high - low);
    const cells = app.state.grid === "cells";
    const x0s = new Int32Array(width);
    const x1s = new Int32Array(width);
    const fxs = new Float64Array(width);
    for (let i = 0; i < width; i++) {
      const x = (i + 0.5 - ox) / s;
      if (x < seenLeft || x > seenRight) x0s[i] = -1;
      else if (cells) x0s[i] = x1s[i] = nearest(x, left, right, columns);
      else [x0s[i], x1s[i], fxs[i]] = between(x, left, right, columns);
    }
    for (let j = 0; j < height; j++) {
      const y = (j + 0.5 - oy) / s;
      if (y < seenTop || y > seenBottom) continue;
      const [y0, y1, fy] = cells
        ? [nearest(y, top, bottom, rows), 0, 0]
        : between(y, top, bottom, rows);
      const upper = y0 * columns;
      const lower = (cells ? y0 : y1) * columns;
      for (let i = 0, at = j * width; i < width; i++, at++) {
        const x0 = x0s[i];
        if (x0 < 0) continue;
        const x1 = x1s[i];
        const fx = fxs[i];
        const a = v[upper + x0] * (1 - fx) + v[upper + x1] * fx;
        const b = v[lower + x0] * (1 - fx) + v[lower + x1] * fx;
        const color = Math.round((a * (1 - fy) + b * fy - low) * step);
        if (color === color) out[at] = lut[color < 0 ? 0 : color > 255 ? 255 : color];
      }
    }
    ctx.putImageData(image, 0, 0);
    return this.overlayCanvas;
  }

  /** Outline what the model was shown; on a map, also dim and hatch what it never saw. */
  drawUnseen(ctx, [top, left, bottom, right], s, ox, oy, hatch) {
    const { width, height } = this.view;
    if (top < 0.5 && left < 0.5 && height - bottom < 0.5 && width - right < 0.5) return;
    const x = left * s + ox;
    const y = top * s + oy;
    const w = (right - left) * s;
    const h = (bottom - top) * s;
    ctx.save();
    if (hatch) {
      ctx.beginPath();
      ctx.rect(ox, oy, width * s, height * s);
      ctx.rect(x, y, w, h);
      ctx.clip("evenodd");
      ctx.fillStyle = "rgba(20, 22, 26, 0.35)";
      ctx.fillRect(ox, oy, width * s, height * s);
      const [cw, ch] = this.size();
      ctx.strokeStyle = "rgba(255, 255, 255, 0.45)";
      ctx.lineWidth = 1;
      ctx.beginPath();
      for (let d = -ch; d < cw; d += 7) {
        ctx.moveTo(d, ch);
        ctx.lineTo(d + ch, 0);
      }
      ctx.stroke();
      ctx.restore();
      ctx.save();
    }
    ctx.lineWidth = 3;
    ctx.strokeStyle = "rgba(0, 0, 0, 0.45)";
    ctx.strokeRect(x, y, w, h);
    ctx.lineWidth = 1.25;
    ctx.strokeStyle = "rgba(255, 255, 255, 0.95)";
    ctx.strokeRect(x, y, w, h);
    ctx.restore();
  }

  drawProbe(ctx, s, ox, oy) {
    const x = (this.view.probe.x + 0.5) * s + ox;
    const y = (this.view.probe.y + 0.5) * s + oy;
    for (const [width, color] of [[3.5, "rgba(0, 0, 0, 0.75)"], [1.5, "#fff"]]) {
      ctx.lineWidth = width;
      ctx.strokeStyle = color;
      ctx.beginPath();
      ctx.arc(x, y, 6, 0, 2 * Math.PI);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        ctx.moveTo(x + 6 * dx, y + 6 * dy);
        ctx.lineTo(x + 11 * dx, y + 11 * dy);
      }
      ctx.stroke();
    }
  }

  /* -- hands -- */

  local(event) {
    const box = this.canvas.getBoundingClientRect();
    const [w, h] = this.size();
    const px = event.clientX - box.left - this.canvas.clientLeft;
    const py = event.clientY - box.top - this.canvas.clientTop;
    const { s, ox, oy } = this.view.transform(w, h);
    return { px, py, w, h, x: (px - ox) / s, y: (py - oy) / s, s };
  }

  zoom(factor, at) {
    const [w, h] = this.size();
    const { s, ox, oy } = this.view.transform(w, h);
    const px = at ? at.px : w / 2;
    const py = at ? at.py : h / 2;
    const done = this.view.zoomAt(factor, (px - ox) / s, (py - oy) / s, px, py, w, h);
    this.app.zoomed();
    return done;
  }

  pan(dx, dy) {
    const [w, h] = this.size();
    const { s, ox, oy } = this.view.transform(w, h);
    this.view.centerAt((w / 2 - dx - ox) / s, (h / 2 - dy - oy) / s, w, h);
  }

  point(at) {
    const { width, height } = this.view;
    if (at.x < 0 || at.y < 0 || at.x >= width || at.y >= height) return;
    this.app.probe(this.view, Math.floor(at.x), Math.floor(at.y));
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener(
      "wheel",
      (event) => {
        // A wheel scrolls the page unless the map has been chosen: a page that stops under the hand is worse.
        if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
        const lines = event.deltaMode === 1 ? 16 : 1;
        const speed = event.ctrlKey ? 0.01 : 0.0022;
        if (this.zoom(Math.exp(-event.deltaY * lines * speed), this.local(event)) || event.ctrlKey) {
          event.preventDefault();
        }
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      this.moved = 0;
      this.spread = 0;
      if (event.pointerType !== "touch" || this.view.zoom > 1) canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = this.pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType !== "touch") this.point(this.local(event));
        return;
      }
      const dx = event.clientX - before.x;
      const dy = event.clientY - before.y;
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      this.moved += Math.hypot(dx, dy);
      if (this.pointers.size === 2) {
        const [a, b] = [...this.pointers.values()];
        const spread = Math.hypot(a.x - b.x, a.y - b.y);
        const middle = this.local({ clientX: (a.x + b.x) / 2, clientY: (a.y + b.y) / 2 });
        if (this.spread) this.zoom(spread / this.spread, middle);
        this.spread = spread;
        this.pan(dx / 2, dy / 2);
      } else if (this.view.zoom > 1 && this.moved > 3) {
        this.pan(dx, dy);
      }
    });
    const end = (event) => {
      if (this.pointers.delete(event.pointerId) && event.type === "pointerup" && this.moved < 6) {
        this.point(this.local(event));
      }
      this.spread = 0;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("dblclick", (event) => {
      if (this.view.zoom > 1) {
        this.view.reset();
        this.app.zoomed();
      } else {
        this.zoom(3, this.local(event));
      }
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { view, map } = this;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const stride = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(view.width, view.height) / 40 / view.zoom));
      const from = view.probe ?? this.middle();
      const inside = (at, size) => Math.min(Math.max(at, 0), size - 1);
      const x = view.probe ? inside(from.x + step[0] * stride, view.width) : from.x;
      const y = view.probe ? inside(from.y + step[1] * stride, view.height) : from.y;
      this.app.probe(view, x, y);
      this.follow(x, y);
    } else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-" || event.key === "_") this.zoom(1 / 1.5);
    else if (event.key === "0") {
      view.reset();
      this.app.zoomed();
    } else if (event.key.toLowerCase() === "m" && map?.peak) {
      const [x, y] = [Math.min(Math.floor(map.peak[0]), view.width - 1), Math.min(Math.floor(map.peak[1]), view.height - 1)];
      this.app.probe(view, x, y);
      this.follow(x, y);
    } else if (event.key === "Escape") this.app.probe(view, null);
    else return;
    event.preventDefault();
  }

  middle() {
    const [w, h] = this.size();
    const { s, ox, oy } = this.view.transform(w, h);
    return { x: Math.floor((w / 2 - ox) / s), y: Math.floor((h / 2 - oy) / s) };
  }

  /** Keep the probed point in sight while it is moved by keys. */
  follow(x, y) {
    const [w, h] = this.size();
    const { s, ox, oy } = this.view.transform(w, h);
    const px = x * s + ox;
    const py = y * s + oy;
    if (px < 0 || py < 0 || px > w || py > h) this.view.centerAt(x, y, w, h);
  }
}

/* ---- words ------------------------------------------------------------------------------------------------- */

/** Sentences; behind each, the numbers of the facts that it rests on, which are listed below and told on hover. */
export function narrative({ by, paragraphs, dropped, not_assessable, notes, facts }, headingTag) {
  const told = ++serial;
  const ids = Object.keys(facts);
  const anchor = (id) => `fact-${told}-${ids.indexOf(id) + 1}`;
  const mark = (id) => {
    const number = ids.indexOf(id) + 1;
    return el("a", { class: "fact", href: `#${anchor(id)}`, title: facts[id], "aria-label": `Fact ${number}`, onclick: () => (list.open = true) }, number);
  };
  const sentence = (claim) => [
    el("span", { class: `claim ${claim.kind}`, title: claim.kind === "interpretation" ? "An interpretation, not a measurement" : null }, claim.text),
    el("sup", {}, claim.fact_ids.map(mark)),
    " ",
  ];
  const list = el(
    "details",
    { class: "facts" },
    el("summary", {}, `The ${ids.length} facts behind these sentences`),
    el("ol", {}, ids.map((id) => el("li", { id: anchor(id), dir: "auto" }, facts[id]))),
  );
  const below = headingTag === "h2" ? "h3" : "h4";
  const headed = (title, open, rows) => rows.length > 0 && el("details", { class: "dropped", open }, el("summary", {}, title), el("ul", {}, rows));
  return el(
    "div",
    { class: "narrative" },
    el(headingTag, {}, "In words"),
    el("p", { class: "by" }, `Told by ${by}; every sentence was checked against the facts. Interpretations are in italics.`),
    paragraphs.map(({ heading, claims }) => [el(below, {}, isolate(heading)), el("p", { class: "prose", dir: "auto" }, claims.map(sentence))]),
    notes.map((note) => el("p", { class: "by", dir: "auto" }, note)),
    headed(
      `Dropped: ${dropped.length} that did not pass the check`,
      true,
      dropped.map((claim) => el("li", { dir: "auto" }, el("s", {}, claim.text), " ", el("span", { class: "why" }, claim.reason))),
    ),
    headed("Not assessable, in the narrator's own words (not checked)", false, not_assessable.map((text) => el("li", { dir: "auto" }, text))),
    list,
  );
}

async function decodePicture(picture) {
  const image = new Image();
  image.src = picture.src;
  await image.decode();
  const gray = document.createElement("canvas");
  gray.width = image.naturalWidth;
  gray.height = image.naturalHeight;
  const ctx = gray.getContext("2d");
  ctx.drawImage(image, 0, 0);
  const pixels = ctx.getImageData(0, 0, gray.width, gray.height);
  const d = pixels.data;
  for (let i = 0; i < d.length; i += 4) {
    d[i] = d[i + 1] = d[i + 2] = 0.299 * d[i] + 0.587 * d[i + 1] + 0.114 * d[i + 2];
  }
  ctx.putImageData(pixels, 0, 0);
  Object.assign(picture, { image, gray });
}

/* ---- the component ----------------------------------------------------------------------------------------- */

class App {
  constructor(root, payload, options) {
    if (payload.schema !== SCHEMA) throw new Error(`This viewer reads ${SCHEMA}, not ${payload.schema}.`);
    this.root = root;
    this.payload = payload;
    this.options = options;
    this.state = { opacity: 75, colors: "inferno", scale: "map", grid: "smooth", gray: true, ...options.state };
    this.panes = [];
    this.views = [];
    this.legends = [];
    this.dirty = new Set();
    this.helpId = `whylook-help-${++serial}`;
    this.tables = Object.fromEntries(
      Object.entries(payload.colors).map(([name, packed]) => [name, new Uint32Array(bytes(packed).buffer)]),
    );
    payload.sections.flatMap((s) => s.explanations).forEach((explanation, of) => {
      for (const map of explanation.maps) Object.assign(map, { data: decode(map.values, map.scale), of });
    });
    this.build();
    this.loaded = Promise.all(payload.pictures.map((p) => this.load(p)));
    this.observe();
  }

  lut(map) {
    return this.tables[map.signed ? this.payload.diverging : this.state.colors];
  }

  /** The values that the ends of the color scale stand for: the map's own, or the widest of its method on its picture. */
  limits(map) {
    return this.state.scale === "map" ? map.limits : map.shared;
  }

  async load(picture) {
    if (!picture.image) await decodePicture(picture);
    for (const pane of this.panes) if (pane.picture === picture) pane.request();
  }

  observe() {
    const of = new Map(this.panes.map((p) => [p.canvas, p]));
    const sizes = new ResizeObserver((entries) => entries.forEach((e) => of.get(e.target)?.request()));
    const sight = new IntersectionObserver(
      (entries) => {
        for (const e of entries) {
          const pane = of.get(e.target);
          pane.seen = e.isIntersecting;
          if (pane.seen) pane.request();
          else if (this.panes.length > ALL_DRAWN) pane.rest();
        }
      },
      { rootMargin: "300px" },
    );
    for (const pane of this.panes) {
      sizes.observe(pane.canvas);
      sight.observe(pane.canvas);
    }
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    const repaint = () => this.legends.forEach((draw) => draw());
    scheme.addEventListener("change", repaint);
    const print = () => this.panes.forEach((pane) => pane.draw());
    window.addEventListener("beforeprint", print);
    this.stop = () => {
      cancelAnimationFrame(this.frame);
      clearTimeout(this.later);
      clearTimeout(this.talking);
      sizes.disconnect();
      sight.disconnect();
      scheme.removeEventListener("change", repaint);
      window.removeEventListener("beforeprint", print);
    };
  }

  /** Draw what is in sight with the next frame, and the rest of a page of usual size when there is time. */
  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      for (const pane of [...this.dirty]) if (pane.seen) this.paint(pane);
      if (this.dirty.size && this.panes.length <= ALL_DRAWN) this.later ||= setTimeout(() => this.catchUp(), 120);
    });
  }

  catchUp() {
    this.later = 0;
    const [pane] = this.dirty;
    if (!pane) return;
    this.paint(pane);
    if (this.dirty.size) this.later = setTimeout(() => this.catchUp(), 8);
  }

  paint(pane) {
    this.dirty.delete(pane);
    pane.draw();
  }

  set(change) {
    Object.assign(this.state, change);
    for (const pane of this.panes) pane.request();
    if ("opacity" in change) return;
    this.legends.forEach((draw) => draw());
    for (const view of this.views) this.read(view);
    this.statement.textContent = this.scaleSentence();
  }

  scaleSentence() {
    const scale =
      this.state.scale === "map"
        ? "Scale: every map has its own. Equal colors in two maps are not equal values; the numbers under them are raw."
        : "Scale: one per method, shared by the models of a picture. Within a method equal colors are equal values; " +
          "raw scores of two models need not mean the same.";
    const signed = this.panes.some((pane) => pane.map?.signed);
    return `${scale} Nothing is painted at 0.${signed ? " Signed maps: red is positive, blue negative." : ""}`;
  }

  probe(view, x, y) {
    view.probe = x === null ? null : { x, y };
    view.changed();
    this.read(view);
    this.announce(view);
  }

  /** Write what every map of the view holds at the probed point. */
  read(view) {
    for (const pane of view.panes) {
      if (!pane.readout) continue;
      if (!view.probe) {
        pane.readout.textContent = "";
        delete pane.readout.dataset.value;
        this.tick(pane, NaN);
        continue;
      }
      const { x, y } = view.probe;
      const value = sample(pane.map, x + 0.5, y + 0.5, this.state.grid === "cells");
      pane.readout.dataset.value = String(value);
      pane.readout.textContent = Number.isNaN(value) ? "not shown to the model" : number(value);
      this.tick(pane, value);
    }
    const where = view.probe ? `x ${view.probe.x}, y ${view.probe.y}` : "";
    for (const line of view.lines) line.textContent = where;
  }

  /** Mark the probed value on the map's color bar. */
  tick(pane, value) {
    if (!pane.mark) return;
    const [low, high] = this.limits(pane.map);
    pane.mark.hidden = Number.isNaN(value);
    pane.mark.style.left = `${100 * Math.min(Math.max((value - low) / (high - low), 0), 1)}%`;
  }

  announce(view) {
    clearTimeout(this.talking);
    this.talking = setTimeout(() => {
      if (!view.probe) {
        this.live.textContent = "";
        return;
      }
      const said = view.panes
        .filter((p) => p.readout)
        .map((p) => `${p.map.model} ${this.payload.methods[p.map.method].title}: ${p.readout.textContent}`);
      this.live.textContent = `x ${view.probe.x}, y ${view.probe.y}. ${said.join("; ")}.`;
    }, 500);
  }

  /** Look where another viewer looked, picture size by picture size. */
  takeOver({ views }) {
    for (const view of this.views) {
      const same = views.find((v) => v.width === view.width && v.height === view.height);
      if (!same) continue;
      Object.assign(view, { zoom: same.zoom, cx: same.cx, cy: same.cy, probe: same.probe });
      this.read(view);
    }
    this.zoomed();
  }

  zoomed() {
    const most = Math.max(1, ...this.views.map((v) => v.zoom));
    this.zoomText.textContent = `${Math.round(most * 100)} %`;
    for (const pane of this.panes) pane.canvas.classList.toggle("zoomed", pane.view.zoom > 1);
  }

  zoomAll(factor) {
    for (const view of this.views) {
      const pane = view.panes[0];
      if (factor) pane?.zoom(factor);
      else view.reset();
    }
    this.zoomed();
  }

  /* -- building -- */

  build() {
    const { payload, root } = this;
    const { embedded } = this.options;
    root.replaceChildren();
    root.classList.add(embedded ? "viewer" : "whylook");
    this.statement = el("p", { class: "statement", role: "status" });
    if (!embedded) {
      root.append(el("header", { class: "top" }, el("div", {}, el("h1", {}, isolate(payload.title))), this.themeButton()));
    }
    root.append(
      this.toolbar(),
      this.statement,
      el(
        "details",
        { class: "help" },
        el("summary", {}, "Pointer, touch and keys"),
        el("p", { id: this.helpId },
        "Point at a map to read all maps at that point. Click a map, then use the wheel or + and − to zoom, drag to ",
        "move, 0 to see all, arrow keys to move the probe (with Shift by one pixel), M for the largest value, Esc to ",
        "take the probe away. On a touch screen: tap, and pinch.",
        ),
      ),
    );
    const main = el(embedded ? "div" : "main");
    for (const section of payload.sections) main.append(this.section(section));
    root.append(main);
    const methods = this.methodsList();
    if (methods) root.append(methods);
    if (!embedded) root.append(
      el("footer", { class: "foot" }, payload.note ? el("p", {}, payload.note) : null, `Made by whylook ${payload.version}. Everything on this page is in this file; it loads nothing.`),
    );
    this.statement.textContent = this.scaleSentence();
    this.live = el("div", { class: "unseen", role: "status", "aria-live": "polite" });
    root.append(this.live);
    this.legends.forEach((draw) => draw());
  }

  themeButton() {
    const dark = () =>
      this.root.dataset.theme
        ? this.root.dataset.theme === "dark"
        : window.matchMedia("(prefers-color-scheme: dark)").matches;
    const label = () => (dark() ? "Light" : "Dark");
    const button = el("button", {
      type: "button",
      class: "theme",
      onclick: () => {
        this.root.dataset.theme = dark() ? "light" : "dark";
        button.textContent = label();
        this.legends.forEach((draw) => draw());
      },
    });
    button.textContent = label();
    return button;
  }

  toolbar() {
    const { payload } = this;
    const opacity = el("output", { class: "number" }, `${this.state.opacity} %`);
    const slider = el("input", {
      type: "range",
      min: "0",
      max: "100",
      step: "1",
      value: String(this.state.opacity),
      "aria-label": "Opacity of the maps",
      oninput: () => {
        opacity.textContent = `${slider.value} %`;
        slider.setAttribute("aria-valuetext", `${slider.value} percent`);
        this.set({ opacity: Number(slider.value) });
      },
    });
    this.zoomText = el("output", { class: "number", "aria-label": "Zoom" }, "100 %");
    const more = el(
      "div",
      { class: "more", id: `whylook-more-${++serial}` },
      el(
        "label",
        { class: "field" },
        el("span", {}, "Colors"),
        el(
          "select",
          { onchange: (event) => this.set({ colors: event.target.value }) },
          Object.keys(this.tables)
            .filter((name) => name !== payload.diverging)
            .map((name) => el("option", { value: name, selected: name === this.state.colors }, name)),
        ),
      ),
      segmented("Scale", "scale", [["map", "Per map"], ["method", "Shared"]], this.state.scale, (scale) => this.set({ scale })),
      segmented("Cells", "grid", [["smooth", "Smooth"], ["cells", "True grid"]], this.state.grid, (grid) => this.set({ grid })),
      segmented("Picture", "picture", [["gray", "Gray"], ["color", "Color"]], this.state.gray ? "gray" : "color", (kind) => this.set({ gray: kind === "gray" })),
    );
    const expand = el(
      "button",
      {
        type: "button",
        class: "expand",
        "aria-expanded": "false",
        "aria-controls": more.id,
        onclick: () => {
          const open = more.classList.toggle("open");
          expand.setAttribute("aria-expanded", String(open));
        },
      },
      "View",
    );
    return el(
      "div",
      { class: "bar", role: "group", "aria-label": "View" },
      el(
        "div",
        { class: "tools" },
        el("label", { class: "field opacity" }, el("span", {}, "Opacity"), slider, opacity),
        el(
          "span",
          { class: "field zoom", role: "group", "aria-label": "Zoom" },
          el("button", { type: "button", "aria-label": "Zoom out", onclick: () => this.zoomAll(1 / 1.5) }, "−"),
          this.zoomText,
          el("button", { type: "button", "aria-label": "Zoom in", onclick: () => this.zoomAll(1.5) }, "+"),
          el("button", { type: "button", onclick: () => this.zoomAll(0) }, "All"),
        ),
        expand,
        more,
      ),
    );
  }

  section(section) {
    const node = el("section", { class: "part" });
    if (section.title) node.append(el("h2", {}, isolate(section.title)));
    for (const paragraph of section.text) node.append(el("p", { class: "prose", dir: "auto" }, paragraph));
    const { embedded } = this.options;
    if (section.table && !embedded) node.append(this.table(section.table));
    const views = new Map();
    for (const explanation of section.explanations) {
      const picture = this.payload.pictures[explanation.picture];
      const key = `${picture.width}×${picture.height}`;
      if (!views.has(key)) {
        const view = new View(picture.width, picture.height);
        views.set(key, view);
        this.views.push(view);
      }
      node.append(this.explanation(explanation, picture, views.get(key), section.title ? "h3" : "h2"));
    }
    if (section.table && embedded) {
      // Among other things maps come first.
      node.append(el("details", { class: "read-off" }, el("summary", {}, "What can be read off these maps"), this.table(section.table)));
    }
    if (section.narrative) node.append(narrative(section.narrative, section.title ? "h3" : "h2"));
    for (const { facts, picture } of section.explanations) {
      if (facts?.length) node.append(this.facts(facts, section.explanations.length > 1 ? this.payload.pictures[picture].name : ""));
    }
    return node;
  }

  // Everything that was measured, folded; the rows are made when it is first opened.
  facts(rows, picture) {
    const box = el("details", { class: "all-facts" }, el("summary", {}, `All ${rows.length} facts measured`, picture && [" of ", isolate(picture)]));
    box.addEventListener("toggle", () => {
      if (!box.open || box.childElementCount > 1) return;
      box.append(this.table({ columns: ["id", "fact", "value", "by chance", "cells or pairs"], rows, note: "The same as in facts.json." }));
    });
    return box;
  }

  table({ columns, rows, note }) {
    const counts = (cell) => cell === null || typeof cell === "number" || /^[<>≤≥~]?\s*[+−-]?\d/.test(cell);
    const numeric = columns.map((_, i) => rows.every((row) => counts(row[i])));
    const cell = (value, i) => {
      const kind = numeric[i] ? "number" : null;
      if (i === 0) return el("th", { scope: "row", class: kind }, value === null ? "" : isolate(value));
      if (value === null) return el("td", { class: kind });
      return el("td", { class: kind }, typeof value === "number" ? number(value) : isolate(value));
    };
    return el(
      "figure",
      { class: "table" },
      el(
        "div",
        { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table" },
        el(
          "table",
          {},
          el("thead", {}, el("tr", {}, columns.map((c, i) => el("th", { scope: "col", class: numeric[i] ? "number" : null }, isolate(c))))),
          el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell)))),
        ),
      ),
      note && el("figcaption", { dir: "auto" }, note),
    );
  }

  explanation(explanation, picture, view, headingTag) {
    for (const map of explanation.maps) {
      const same = explanation.maps.filter((m) => m.method === map.method && !m.reason);
      map.shared = same.length
        ? [Math.min(...same.map((m) => m.limits[0])), Math.max(...same.map((m) => m.limits[1]))]
        : map.limits;
    }
    const boxes = explanation.models.filter((m) => m.visible).map((m) => m.visible);
    const unique = [...new Map(boxes.map((b) => [b.map((v) => v.toFixed(1)).join(), b])).values()];
    const original = new Pane(this, view, picture, null, unique);
    const whole = ([top, left, bottom, right]) =>
      top < 0.5 && left < 0.5 && picture.height - bottom < 0.5 && picture.width - right < 0.5;
    const cropped = unique.some((b) => !whole(b));
    const named = picture.name !== this.payload.title;
    const level = Number(headingTag[1]) + (named ? 1 : 0);
    const line = el("span", { class: "where number" });
    view.lines.push(line);
    const known = [...explanation.models.map((m) => m.name)];
    const strays = explanation.failures.filter((f) => !known.includes(f.model));
    const ways = new Set(explanation.maps.map((m) => m.method)).size;
    const node = el("article", { class: ways === 1 ? "explanation one-method" : "explanation" });
    node.style.setProperty("--aspect", String(view.aspect));
    node.append(
      el(
        "div",
        { class: "picture" },
        el(
          "div",
          { class: "about" },
          named && el(headingTag, {}, isolate(picture.name)),
          el("p", { class: "muted" }, `${picture.width} × ${picture.height} pixels`),
          picture.notes.map((n) => el("p", { class: "muted", dir: "auto" }, n)),
          cropped &&
            el("p", { class: "muted" }, "White frames: what a model was shown. On its maps, what it never saw is hatched."),
          el("p", { class: "muted probe-line" }, "Probe: ", line),
        ),
        el("div", { class: "original" }, original.canvas),
      ),
    );
    const methods = [...new Set([...explanation.maps.map((m) => m.method), ...explanation.failures.map((f) => f.method).filter(Boolean)])];
    for (const model of explanation.models) node.append(this.model(explanation, model, methods, picture, view, `h${level}`));
    if (strays.length) {
      node.append(el("ul", { class: "failures" }, strays.map((f) => el("li", {}, this.failure(f)))));
    }
    return node;
  }

  failure({ model, method, reason }) {
    const what = method ? `${this.payload.methods[method]?.title ?? method} of ` : "";
    return [what, isolate(model), ": ", isolate(reason)];
  }

  model(explanation, model, methods, picture, view, heading) {
    const id = `whylook-model-${++serial}`;
    const maps = explanation.maps.filter((m) => m.model === model.name);
    const targets = [...new Map(maps.map((m) => [m.target.text, m.target])).values()];
    const failures = explanation.failures.filter((f) => f.model === model.name);
    const whole = failures.filter((f) => !f.method);
    const rows = targets.length ? targets : [null];
    const node = el("section", { class: "model", "aria-labelledby": id });
    const explained = new Set(targets.map((t) => t.index));
    node.append(
      el(
        "div",
        { class: "who" },
        el(heading, { id, class: "model-name" }, isolate(model.name)),
        model.predictions.length > 0 && this.top(model, explained),
        el("p", { class: "muted" }, model.predictions.length > 0 ? model.head : ""),
        this.how(model),
        whole.map((f) => el("p", { class: "failed", dir: "auto" }, f.reason)),
      ),
    );
    const grids = el("div", { class: "targets" });
    for (const target of rows) {
      const grid = el("div", { class: "maps", role: "list" });
      grid.style.setProperty("--methods", String(methods.length));
      for (const method of methods) {
        const map = maps.find((m) => m.method === method && (!target || m.target.text === target.text));
        const failed = failures.find((f) => f.method === method);
        if (map) grid.append(this.cell(map, picture, view));
        else if (failed || !whole.length) grid.append(this.gap(method, failed));
      }
      if (target) {
        const first = model.predictions[0];
        const same = first && first.index === target.index && targets.length === 1;
        grids.append(
          el("p", { class: "target" }, "Maps explain ", isolate(target.text, "strong"), same ? ", its first answer" : ""),
        );
      }
      if (grid.children.length) grids.append(grid);
    }
    node.append(grids);
    return node;
  }

  top(model, explained) {
    return el(
      "ol",
      { class: "top5", "aria-label": `Most probable classes by ${model.name}` },
      model.predictions.map((p) => {
        const fill = el("span", { class: "fill" });
        fill.style.width = `${100 * Math.max(0, Math.min(1, p.probability ?? 0))}%`;
        return el(
          "li",
          { class: explained.has(p.index) ? "explained" : null },
          el("span", { class: "label", title: p.label }, isolate(p.label)),
          el("span", { class: "number" }, p.percent),
          el("span", { class: "track", "aria-hidden": "true" }, fill),
        );
      }),
    );
  }

  how(model) {
    const lines = [
      model.source && model.source !== model.name && ["Source: ", isolate(model.source)],
      model.fingerprint && ["Weights: ", el("code", {}, model.fingerprint)],
      model.preprocess && [isolate(model.preprocess)],
      ...model.notes.map((n) => [isolate(n)]),
    ].filter(Boolean);
    if (!lines.length) return null;
    return el(
      "details",
      { class: "how" },
      el("summary", {}, "How it is fed, and what is known of it"),
      lines.map((l) => el("p", {}, l)),
    );
  }

  cell(map, picture, view) {
    const title = this.payload.methods[map.method].title;
    const pane = new Pane(this, view, picture, map, [map.visible]);
    pane.readout = el("span", { class: "number" });
    const legend = map.reason ? null : this.legend(map, pane);
    const facts = [
      ["Grid", `${map.grid[0]} × ${map.grid[1]}`],
      ["Smallest, largest", `${number(map.min)}, ${number(map.max)}`],
      map.layer && ["Layer", map.layer],
      ...Object.entries(map.parameters).map(([k, v]) => [k, v === null ? "not given" : typeof v === "object" ? JSON.stringify(v) : String(v)]),
      map.seed !== null && ["Seed", String(map.seed)],
      ["Time", `${number(map.seconds)} s`],
      ...Object.entries(map.passes).map(([k, v]) => [`Passes, ${k}`, String(v)]),
      ...map.facts.map(([k, v]) => [`${k[0].toUpperCase()}${k.slice(1)}`, v]),
    ].filter(Boolean);
    return el(
      "figure",
      { class: "cell", role: "listitem" },
      el("figcaption", { class: "title" }, title),
      el("div", { class: "frame" }, pane.canvas, map.reason && el("p", { class: "reason", dir: "auto" }, map.reason)),
      legend,
      el("p", { class: "read" }, pane.readout),
      this.options.beside?.(map),
      map.warning && el("p", { class: "warning", dir: "auto" }, el("strong", {}, "Warning: "), map.warning),
      el(
        "details",
        { class: "facts" },
        el("summary", {}, `${map.grid[0]} × ${map.grid[1]} cells`, map.signed ? ", signed" : ""),
        el("dl", {}, facts.map(([k, v]) => [el("dt", {}, k), el("dd", {}, isolate(v))])),
      ),
    );
  }

  gap(method, failed) {
    return el(
      "figure",
      { class: "cell", role: "listitem" },
      el("figcaption", { class: "title" }, this.payload.methods[method]?.title ?? method),
      el("div", { class: "gap" }, el("p", { dir: "auto" }, failed ? failed.reason : "Not asked for.")),
    );
  }

  /** A color bar with the raw values of its ends, drawn anew when colors or scale change. */
  legend(map, pane) {
    const canvas = el("canvas", { class: "colors", width: "256", height: "1", "aria-hidden": "true" });
    const low = el("span", {});
    const zero = map.signed ? el("span", {}, "0") : null;
    const high = el("span", {});
    const draw = () => {
      const ctx = canvas.getContext("2d");
      const image = ctx.createImageData(256, 1);
      new Uint32Array(image.data.buffer).set(this.lut(map));
      ctx.putImageData(image, 0, 0);
      const [from, to] = this.limits(map);
      const above = map.max !== null && map.max > to;
      const below = map.min !== null && map.min < from;
      low.textContent = (below ? "≤ " : "") + number(from);
      high.textContent = (above ? "≥ " : "") + number(to);
    };
    this.legends.push(draw);
    pane.mark = el("span", { class: "mark", hidden: true });
    return el("div", { class: "legend" }, canvas, pane.mark, el("div", { class: "ends number" }, low, zero, high));
  }

  methodsList() {
    const entries = Object.values(this.payload.methods).filter((m) => m.summary || m.formula || m.paper || m.limits);
    if (!entries.length) return null;
    const paper = (text) => {
      const id = /^arXiv:(\d{4}\.\d{4,5}(v\d+)?)$/.exec(text);
      if (!id) return text;
      return el("a", { href: `https://arxiv.org/abs/${id[1]}`, rel: "noreferrer" }, text);
    };
    return el(
      "section",
      { class: "methods" },
      el("h2", {}, "Methods on this page"),
      el(
        "dl",
        {},
        entries.map((m) => [
          el("dt", {}, m.title),
          el(
            "dd",
            {},
            m.summary && el("p", {}, m.summary),
            m.formula && m.formula !== m.summary && el("p", {}, el("code", {}, m.formula)),
            m.limits && el("p", {}, "Limits: ", m.limits),
            m.paper && el("p", { class: "muted" }, paper(m.paper)),
          ),
        ]),
      ),
    );
  }
}

/**
 * Show a payload in an element.
 *
 * `options`: `embedded`, for a page that has a heading, a theme and a `.whylook` around it already; `beside(map)`,
 * which may return an element to stand under a map (`map.of` counts the explanations of the payload); `state`, what to
 * start from.
 *
 * Returns `{ loaded, update, destroy }`: a promise for when the pictures are decoded; a function that shows another
 * payload and keeps zoom, probe and settings; and one that takes the viewer away.
 */
export function mount(element, payload, options = {}) {
  let app = new App(element, payload, options);
  return {
    get loaded() {
      return app.loaded;
    },
    async update(next) {
      await Promise.all(next.pictures.map(decodePicture));
      const before = app;
      before.stop();
      app = new App(element, next, { ...options, state: before.state });
      app.takeOver(before);
    },
    destroy() {
      app.stop();
      element.replaceChildren();
      element.classList.remove("whylook", "viewer");
    },
  };
}
