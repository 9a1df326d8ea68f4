/* Trust cards: started from beside a map, the verdict shown there, the whole card below. */

import { OVER } from "./api.js";
import { svg } from "./plot.js";
import { el } from "./viewer.js";

const CLASS = { supported: "supported", "not better than chance": "chance-level", "not assessable": "unknown" };
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const sentence = (text) => capital(/[.!?]$/.test(text) ? text : `${text}.`);

/**
 * `beside(map)` makes what stands under a map, `node` holds the card that is being read, `start()` begins the
 * first card by itself unless it is there already, `stop()` ends all listening.
 */
export function trust(job, view, context) {
  const { api, say } = context;
  const places = []; // {map, node}
  const stops = [];
  const node = el("section", { class: "believe", "aria-labelledby": "believe-title", hidden: true });
  const cards = new Map();

  const called = ({ map }) => `${view.methods[map.method].title} of ${map.model}`;
  const pictureOf = (map) => view.pictures[view.sections.flatMap((s) => s.explanations)[map.of].picture].name;
  const beside = (map) => {
    const place = { map, node: el("div", { class: "belief" }) };
    if (!map.reason) {
      places.push(place);
      offer(place);
    }
    return place.node;
  };
  const offer = (place, trouble = "") =>
    place.node.replaceChildren(
      el("button", { type: "button", class: "quiet", onclick: () => begin(place), "aria-label": `Can the ${called(place)} map be believed?` }, "Can it be believed?"),
      trouble && el("p", { class: "failed", role: "alert", dir: "auto" }, trouble),
    );
  const begin = async (place) => {
    waiting(place, "asked");
    try {
      const { of, model, method, target } = place.map;
      follow(place, await api.post(`/api/explanations/${job.id}/trust`, { picture: of, model, method, target: target.index }));
    } catch (error) {
      offer(place, error.message);
    }
  };
  const waiting = (place, text, cancel = null) => place.node.replaceChildren(el("span", { class: "muted measuring" }, text), cancel ?? "");
  const follow = (place, first) => {
    const cancel = el("button", { type: "button", class: "quiet", onclick: () => api.remove(`/api/jobs/${first.id}`).catch(() => {}), "aria-label": `Stop measuring the ${called(place)} map` }, "Stop");
    const update = (now) => {
      const { done, total } = now.progress;
      if (now.state === "queued") waiting(place, now.position ? `Believable? ${now.position} before it` : "Believable? Next in line", cancel);
      else if (now.state === "running") waiting(place, total ? `Believable? Measuring, ${Math.floor((100 * done) / total)} %` : "Believable? Measuring", cancel);
      else if (now.state === "done") ready(place, now).catch((error) => offer(place, error.message));
      else offer(place, now.state === "cancelled" ? "" : (now.error ?? ""));
    };
    update(first);
    if (!OVER.includes(first.state)) stops.push(api.events(`/api/jobs/${first.id}/events`, update, (error) => offer(place, error.message)));
  };
  const ready = async (place, done) => {
    const card = await api.get(`/api/jobs/${done.id}/result`);
    cards.set(place, card);
    place.node.replaceChildren(
      el("span", { class: `tag ${CLASS[card.verdict]}` }, capital(card.verdict)),
      el("button", { type: "button", class: "quiet", onclick: () => read(place, true), "aria-label": `Why: trust card of the ${called(place)} map` }, "Why"),
    );
    say(`Trust card of ${called(place)}: ${card.verdict}.`);
    if (node.hidden || node.dataset.of === "first") read(place, false);
  };
  const read = (place, go) => {
    node.hidden = false;
    node.dataset.of = go ? "chosen" : "first";
    node.replaceChildren(...whole(cards.get(place), called(place), view.pictures.length > 1 ? pictureOf(place.map) : null));
    if (!go) return;
    node.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    node.querySelector("h2").focus({ preventScroll: true });
  };

  const start = async () => {
    const known = (await api.get("/api/jobs").catch(() => [])).filter((j) => j.of === job.id && j.kind === "trust");
    if (!context.current()) return;
    for (const place of places) {
      const { of, model, method, target } = place.map;
      const own = known.find(({ request: r }) => r.picture === of && r.model === model && r.method === method && r.target === target.index);
      if (own && ["queued", "running", "done"].includes(own.state)) follow(place, own);
      else if (place === places[0] && !own) begin(place);
    }
  };
  return { node, beside, start, stop: () => stops.forEach((stop) => stop()) };
}

/* ---- the card -------------------------------------------------------------------------------------------------- */

function whole(card, called, picture) {
  const count = card.questions.filter((q) => q.decides).length;
  const deciding = { 2: "two", 3: "three" }[count] ?? count;
  return [
    el("h2", { id: "believe-title", tabindex: "-1" }, `Can it be believed? ${called}`, picture && [", ", el("bdi", {}, picture)]),
    el("div", { class: `verdict ${CLASS[card.verdict]}` }, el("p", { class: "word" }, capital(card.verdict)), el("p", {}, card.because)),
    card.warnings.length > 0 && el("ul", { class: "warnings" }, card.warnings.map((w) => el("li", {}, w))),
    el("p", { class: "muted" }, `Shaded: what chance reaches. Upright line: its level. Dot: this map. The first ${deciding} questions decide; the others inform.`),
    el("div", { class: "questions" }, card.questions.filter((q) => q.decides).map(question)),
    el("div", { class: "questions others" }, card.questions.filter((q) => !q.decides).map(question)),
    (card.error_rates).map((text) => el("p", { class: "muted" }, text)),
    el("p", { class: "muted" }, card.spent),
  ]
    .flat()
    .filter(Boolean);
}

function question(q) {
  return el(
    "section",
    { class: "question" },
    el("header", {}, el("h3", {}, q.asks), el("span", { class: `tag ${CLASS[q.verdict]}` }, q.verdict)),
    el("p", {}, sentence(q.because)),
    q.figures.length > 0 && el("div", { class: "figures" }, q.figures.map(figure)),
  );
}

function figure(f) {
  const better = { higher: " Higher is better.", lower: " Lower is better." }[f.better] ?? "";
  return el(
    "div",
    { class: "figure" },
    el("p", { class: "name" }, el("span", {}, f.title), el("span", { class: "number" }, f.text)),
    f.value === null
      ? el("p", { class: "says" }, `Not assessable: ${f.reason ?? "it was not measured"}`)
      : [bar(f), f.chance_text && el("p", { class: "chance-is" }, capital(f.chance_text)), el("p", { class: "says" }, f.meaning + better)],
  );
}

/** From the lowest to the highest value there can be: chance as a band and a tick, the map as a dot. */
function bar(f) {
  const [low, high] = f.axis;
  const at = (value) => 5 + ((Math.min(Math.max(value, low), high) - low) / (high - low)) * 290;
  const root = svg("svg", { class: "bar-of", viewBox: "0 0 300 22", role: "img", "aria-label": `${f.title}: ${f.text}. ${f.chance_text ?? ""}` });
  root.append(svg("line", { class: "axis", x1: 0, x2: 300, y1: 11, y2: 11 }));
  if (f.band) root.append(svg("rect", { class: "chance", x: at(f.band[0]), y: 3, width: Math.max(1, at(f.band[1]) - at(f.band[0])), height: 16, rx: 2 }));
  if (f.chance !== null) root.append(svg("line", { class: "tick", x1: at(f.chance), x2: at(f.chance), y1: 2, y2: 20 }));
  if (f.interval) root.append(svg("line", { class: "span", x1: at(f.interval[0]), x2: at(f.interval[1]), y1: 11, y2: 11 }));
  root.append(svg("circle", { class: "dot", cx: at(f.value), cy: 11, r: 5 }));
  return root;
}
