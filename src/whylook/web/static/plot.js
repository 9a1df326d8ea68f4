/* The margin after every step, a line per model: small enough to stand beside what it is about. */

import { number } from "./viewer.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDE, HIGH] = [420, 150];
const [LEFT, RIGHT, TOP, BOTTOM] = [34, 8, 10, 18];

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** `series`: [{name, values}], a value per step, the first before anything was done; `steps`: what was done. */
export function plot(series, steps) {
  const all = series.flatMap((s) => s.values).filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...all), Math.max(0, ...all)];
  const span = high - low || 1;
  const count = Math.max(2, steps.length);
  const x = (i) => LEFT + (i / (count - 1)) * (WIDE - LEFT - RIGHT);
  const y = (v) => TOP + ((high - v) / span) * (HIGH - TOP - BOTTOM);
  const said = series.map((s) => `${s.name}: ${s.values.map((v) => number(v)).join(", ")}`).join(". ");
  const root = svg("svg", { class: "history", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `Margin step by step. ${said}.` });
  for (const value of new Set([low, 0, high])) {
    root.append(
      svg("line", { class: value === 0 ? "zero" : "rule", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick-text", x: LEFT - 5, y: y(value) + 3.5, "text-anchor": "end" }, number(Math.abs(value) < 10 ? Math.round(value * 10) / 10 : Math.round(value))),
    );
  }
  steps.forEach((_, i) => {
    if (steps.length <= 12 || i % Math.ceil(steps.length / 12) === 0) {
      root.append(svg("text", { class: "tick-text", x: x(i), y: HIGH - 4, "text-anchor": "middle" }, String(i)));
    }
  });
  series.forEach((s, k) => {
    const known = s.values.map((v, i) => [v, i]).filter(([v]) => Number.isFinite(v)); // a step that was overtaken has none
    const points = known.map(([v, i]) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
    root.append(svg("polyline", { class: `line of-${k % 8}`, points: points.join(" ") }));
    known.forEach(([v, i]) => {
      const dot = svg("circle", { class: `point of-${k % 8}`, cx: x(i).toFixed(1), cy: y(v).toFixed(1), r: 3 });
      dot.append(svg("title", {}, `${s.name}, ${steps[i]}: ${number(v)}`));
      root.append(dot);
    });
  });
  return root;
}
