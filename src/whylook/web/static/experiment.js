/* One experiment of a chapter: its controls, made from the parameters' data, and what comes out. */

import { chart } from "./charts.js";
import { reference } from "./readers-picture.js";
import { el } from "./viewer.js";

const PATIENT = "whylook-learn-patient"; // the one setting besides the picture that goes with the reader
let serial = 0;

function remembered(name) {
  if (name !== "patient") return undefined;
  try {
    const value = Number(sessionStorage.getItem(PATIENT) ?? NaN);
    return Number.isFinite(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function remember(name, value) {
  if (name !== "patient") return;
  try {
    sessionStorage.setItem(PATIENT, String(value));
  } catch {
    // Not kept; nothing is lost but convenience.
  }
}

function field(control, start, changed) {
  const id = `experiment-${++serial}`;
  if (control.kind === "number") {
    const told = el("output", { class: "number", for: id });
    const unit = control.unit ? ` ${control.unit}` : "";
    const digits = (String(control.step).split(".")[1] ?? "").length;
    const tell = () => (told.textContent = `${Number(input.value).toFixed(digits)}${unit}`);
    const input = el("input", {
      type: "range", id, min: control.low, max: control.high, step: control.step, value: start,
      oninput: tell,
      onchange: () => changed(control.name, Number(input.value)),
    });
    tell();
    return el("div", { class: "control" }, el("label", { for: id }, control.title), el("span", { class: "slide" }, input, told));
  }
  const select = el(
    "select",
    { id, onchange: () => changed(control.name, select.value) },
    control.options.map((o) => el("option", { value: o.value, selected: o.value === start }, o.title)),
  );
  return el("div", { class: "control" }, el("label", { for: id }, control.title), select);
}

/** Make an experiment in `place`; returns `{ pictureChanged, stop }`. */
export function experiment(place, data, context) {
  const { api, mount, say } = context;
  const heading = `experiment-title-${++serial}`;
  const values = {};
  let asked = null; // what is being computed
  let made = false;
  let viewer = null;
  let charts = [];
  const changed = (name, value) => {
    values[name] = value;
    remember(name, value);
    if (made) run();
  };
  const fields = data.controls.map((control) => {
    const start = data.parameters[control.name] ?? remembered(control.name) ?? control.default;
    values[control.name] = start;
    return field(control, start, changed);
  });
  const button = el("button", { type: "submit", class: "primary" }, "Run");
  const state = el("span", { class: "fine", role: "status" });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const sentences = el("ul", { class: "sentences" });
  const graphs = el("div", { class: "graphs" });
  const table = el("div", {});
  const shown = el("div", { class: "shown" });
  const outcome = el("div", { class: "outcome", hidden: true }, sentences, graphs, table, shown);
  const form = el("form", { class: "controls", onsubmit: (event) => (event.preventDefault(), run()) }, fields, el("p", { class: "actions" }, button, state));
  place.append(
    el(
      "section",
      { class: "experiment-box", "aria-labelledby": heading },
      el("p", { class: "part-name" }, data.picture ? "Experiment on your picture" : "Experiment on drawn films"),
      el("h2", { id: heading }, data.title),
      el("p", { class: "about" }, data.about),
      form,
      trouble,
      outcome,
    ),
  );

  async function run() {
    asked?.abort();
    const own = (asked = new AbortController());
    state.textContent = "Computing …";
    outcome.classList.add("stale");
    trouble.textContent = "";
    try {
      const got = await api.post(`/api/experiments/${data.name}`, { picture: data.picture ? reference() : null, parameters: { ...values } }, own.signal);
      if (own !== asked) return;
      await show(got);
      made = true;
      button.textContent = "Run again";
      state.textContent = "";
      say(got.sentences.slice(0, 3).join(" "));
    } catch (error) {
      if (own !== asked || error.name === "AbortError") return;
      state.textContent = "";
      trouble.textContent = error.message;
    } finally {
      if (own === asked) outcome.classList.remove("stale");
    }
  }

  async function show(got) {
    sentences.replaceChildren(...got.sentences.map((s) => el("li", { dir: "auto" }, s)));
    for (const c of charts) c.stop();
    charts = got.plots.map(chart);
    graphs.replaceChildren(...charts.map((c) => c.node));
    table.replaceChildren(...(got.table ? [rows(got.table, data.title)] : []));
    outcome.hidden = false;
    if (!got.view) {
      viewer?.destroy();
      viewer = null;
      shown.replaceChildren();
    } else if (viewer) {
      await viewer.update(got.view);
    } else {
      const body = el("div");
      shown.replaceChildren(body);
      viewer = mount(body, got.view, { embedded: true });
    }
  }

  return {
    pictureChanged: () => data.picture && made && run(),
    stop() {
      asked?.abort();
      for (const c of charts) c.stop();
      viewer?.destroy();
    },
  };
}

function rows({ columns, rows: lines, note }, title) {
  const counts = (cell) => cell === null || typeof cell === "number" || /^[<>≤≥~]?\s*[+−-]?\d/.test(cell) || cell === "–";
  const numeric = columns.map((_, i) => lines.every((row) => counts(row[i])));
  const kind = (i) => (numeric[i] ? "number" : null);
  return el(
    "figure",
    { class: "table" },
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table: ${title}` },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, columns.map((c, i) => el("th", { scope: "col", class: kind(i) }, c)))),
        el("tbody", {}, lines.map((row) => el("tr", {}, row.map((cell, i) => el(i ? "td" : "th", { scope: i ? null : "row", class: kind(i) }, el("bdi", {}, String(cell ?? "–"))))))),
      ),
    ),
    note && el("figcaption", {}, note),
  );
}
