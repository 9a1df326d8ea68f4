/* Plots of the tutorial's experiments: lines, dots, bands and bars, drawn from data at the width there is. */

import { el, number } from "./viewer.js";
import { svg } from "./plot.js";

const HIGH = 230;
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 14, 12, 40];

/** A plot or bars, as the server tells them: a figure with its title, legend, drawing and, for ears, its sentence. */
export function chart(data) {
  const drawing = el("div", { class: "drawing" });
  const draw = data.kind === "bars" ? bars : plot;
  let width = 0;
  const redraw = () => {
    const now = Math.round(Math.min(620, drawing.clientWidth || 480));
    if (now === width) return;
    width = now;
    drawing.replaceChildren(draw(data, width));
  };
  const watch = new ResizeObserver(redraw);
  watch.observe(drawing);
  requestAnimationFrame(redraw);
  const node = el(
    "figure",
    { class: "chart-of" },
    el("figcaption", { class: "chart-title" }, data.title),
    data.kind === "bars" ? el("p", { class: "fine" }, data.axis) : legend(data),
    drawing,
  );
  return { node, stop: () => watch.disconnect() };
}

function legend({ series, levels }) {
  const entries = series.map((s, i) => el("li", {}, swatch(s.drawn, i), el("bdi", {}, s.name)));
  const lines = levels.map((l, i) => el("li", {}, swatch(`level level-${i}`, null), el("bdi", {}, `${l.name}: ${number(l.y)}`)));
  return el("ul", { class: "chart-legend" }, entries, lines);
}

function swatch(kind, i) {
  const mark = svg("svg", { viewBox: "0 0 22 10", width: 22, height: 10, "aria-hidden": "true", class: i === null ? kind : `of-${i}` });
  if (kind === "band") mark.append(svg("rect", { class: "band", x: 0, y: 1, width: 22, height: 8 }));
  else if (kind === "dots" || kind === "hollow") mark.append(svg("circle", { class: kind === "dots" ? "point" : "hollow", cx: 11, cy: 5, r: 4 }));
  else mark.append(svg("line", { class: "line", x1: 0, x2: 22, y1: 5, y2: 5 }));
  return mark;
}

/** Round numbers between two ends, about `count` of them. */
export function ticks(low, high, count) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= count) ?? 10 * power;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function ends(values) {
  const known = values.filter(Number.isFinite);
  let [low, high] = [Math.min(...known), Math.max(...known)];
  if (!known.length) return [0, 1];
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  return [low, high];
}

function plot({ series, levels, x: across, y: up, says, title }, wide) {
  const [x0, x1] = ends(series.flatMap((s) => s.x));
  let [y0, y1] = ends([...series.flatMap((s) => [...s.y, ...s.top]), ...levels.map((l) => l.y)]);
  if (y0 > 0 && y0 < 0.5 * y1) y0 = 0; // an axis that nearly reaches 0 begins there
  const room = (y1 - y0) * 0.05;
  if (y0 !== 0) y0 -= room;
  y1 += room;
  const x = (v) => LEFT + ((v - x0) / (x1 - x0)) * (wide - LEFT - RIGHT);
  const y = (v) => TOP + ((y1 - v) / (y1 - y0)) * (HIGH - TOP - BOTTOM);
  const root = svg("svg", { class: "graph", viewBox: `0 0 ${wide} ${HIGH}`, width: wide, height: HIGH, role: "img", "aria-label": `${title}. ${says}` });
  for (const v of ticks(y0, y1, 5)) {
    root.append(
      svg("line", { class: v === 0 ? "zero" : "rule", x1: LEFT, x2: wide - RIGHT, y1: y(v), y2: y(v) }),
      svg("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, number(v)),
    );
  }
  for (const v of ticks(x0, x1, wide < 420 ? 5 : 8)) root.append(svg("text", { x: x(v), y: HIGH - BOTTOM + 16, "text-anchor": "middle" }, number(v)));
  root.append(svg("text", { class: "axis-name", x: LEFT + (wide - LEFT - RIGHT) / 2, y: HIGH - 5, "text-anchor": "middle" }, across));
  const side = svg("text", { class: "axis-name", x: 0, y: 0, "text-anchor": "middle", transform: `translate(11 ${TOP + (HIGH - TOP - BOTTOM) / 2}) rotate(-90)` }, short(up, 36));
  if (short(up, 36) !== up) side.append(svg("title", {}, up));
  root.append(side);
  series.forEach((s, i) => root.append(drawn(s, i, x, y)));
  levels.forEach((l, i) => root.append(svg("line", { class: `level level-${i}`, x1: LEFT, x2: wide - RIGHT, y1: y(l.y), y2: y(l.y) })));
  return root;
}

const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function drawn(s, i, x, y) {
  const group = svg("g", { class: `of-${i}` });
  const at = (k, v) => `${x(s.x[k]).toFixed(1)},${y(v).toFixed(1)}`;
  if (s.drawn === "band") {
    const upper = s.top.map((v, k) => at(k, v));
    const lower = s.y.map((v, k) => at(k, v)).reverse();
    group.append(svg("polygon", { class: "band", points: [...upper, ...lower].join(" ") }));
    return group;
  }
  if (s.drawn === "line") group.append(svg("polyline", { class: "line", points: s.y.map((v, k) => at(k, v)).join(" ") }));
  if (s.drawn !== "line" || s.y.length < 12) {
    s.y.forEach((v, k) => {
      const dot = svg("circle", { class: s.drawn === "hollow" ? "hollow" : "point", cx: x(s.x[k]).toFixed(1), cy: y(v).toFixed(1), r: s.drawn === "line" ? 3 : 4 });
      dot.append(svg("title", {}, `${s.name}: ${number(s.x[k])}, ${number(v)}`));
      group.append(dot);
    });
  }
  return group;
}

function bars({ bars: rows, says, title }, wide) {
  const [low, high] = ends([0, ...rows.flatMap((b) => [b.value, ...(b.interval ?? [])])]);
  const from = 0;
  const room = 74; // for the number behind the longest bar
  const before = low < 0 ? room : 0;
  const x = (v) => before + ((v - low) / (high - low)) * (wide - room - before);
  const step = 44;
  const root = svg("svg", { class: "graph bars", viewBox: `0 0 ${wide} ${rows.length * step}`, width: wide, height: rows.length * step, role: "img", "aria-label": `${title}. ${says}` });
  rows.forEach((bar, i) => {
    const top = i * step;
    const [a, b] = [x(Math.min(from, bar.value)), x(Math.max(from, bar.value))];
    root.append(
      svg("text", { class: "bar-name", x: 0, y: top + 13 }, bar.name),
      svg("rect", { class: "bar", x: a, y: top + 19, width: Math.max(1, b - a), height: 14, rx: 2 }),
    );
    if (bar.interval) root.append(svg("line", { class: "whisker", x1: x(bar.interval[0]), x2: x(bar.interval[1]), y1: top + 26, y2: top + 26 }));
    const behind = Math.max(b, bar.interval ? x(bar.interval[1]) : b);
    root.append(
      bar.value < 0
        ? svg("text", { x: a - 6, y: top + 31, "text-anchor": "end" }, number(bar.value))
        : svg("text", { x: behind + 6, y: top + 31 }, number(bar.value)),
    );
  });
  root.append(svg("line", { class: "zero", x1: x(from), x2: x(from), y1: 17, y2: rows.length * step - 6 }));
  return root;
}
