/* Models, methods and class, chosen from what the server says there is. */

import { once } from "./api.js";
import { defaults, modelsFor } from "./choice.js";
import { combobox } from "./combobox.js";
import { el, segmented } from "./viewer.js";

const SOURCES = { configured: "Configured on this server", reference: "Reference networks, ImageNet", phantom: "Embedded networks, drawn chest films" };
const FAMILIES = {
  gradient: "Gradients", cam: "Class activation maps", path: "Paths from a baseline", perturbation: "Perturbation", surrogate: "Surrogates",
  region: "Regions", rules: "Propagation rules", attention: "Attention",
};

/** Entries in groups with titles, in the order of `titles`; groups that it does not know come last, under their own name. */
function grouped(entries, of, titles) {
  const groups = new Map(Object.keys(titles).map((key) => [key, []]));
  for (const entry of entries) groups.set(of(entry), [...(groups.get(of(entry)) ?? []), entry]);
  return [...groups].filter(([, those]) => those.length).map(([key, those]) => [titles[key] ?? key, those]);
}

function checks({ legend, groups, chosen, text, changed }) {
  const boxes = [];
  const box = (entry) => {
    const { about, remedy } = text(entry);
    const id = `pick-${entry.name.replace(/[^\w-]/g, "-")}`;
    const input = el("input", {
      type: "checkbox",
      value: entry.name,
      checked: chosen.includes(entry.name),
      disabled: Boolean(remedy),
      "aria-describedby": `${id}-about`,
      onchange: () => changed(boxes.filter((b) => b.checked).map((b) => b.value)),
    });
    boxes.push(input);
    return el(
      "div",
      { class: remedy ? "pick missing" : "pick" },
      el("label", {}, input, el("span", { class: "name" }, text(entry).title)),
      el("p", { class: "about", id: `${id}-about`, dir: "auto" }, about, remedy && el("span", { class: "remedy" }, remedy)),
    );
  };
  const node = el(
    "fieldset",
    { class: "picks" },
    el("legend", {}, legend),
    groups.map(([name, entries]) => el("div", { class: "group", role: "group", "aria-label": name }, el("p", { class: "group-name" }, name), el("div", { class: "list" }, entries.map(box)))),
  );
  return { node, boxes };
}

/** Let a person change `choice`; `changed()` after every change. */
export async function pickers({ models, methods, choice, changed }) {
  const usual = await defaults();
  const named = checks({
    legend: "Models",
    groups: grouped(models, (m) => m.source, SOURCES),
    chosen: choice.models ?? usual.models,
    text: (m) => ({
      title: m.name,
      about: [m.title !== m.name && m.title, m.input && `${m.input.join(" × ")} pixels`, m.classes && `${m.classes.toLocaleString("en")} classes`].filter(Boolean).join(", "),
      remedy: m.available ? null : m.remedy,
    }),
    changed: (names) => {
      choice.models = names.length ? names : null;
      search.model(names[0] ?? null);
      changed();
    },
  });
  const ways = checks({
    legend: "Methods",
    groups: grouped(methods, (m) => m.family, FAMILIES),
    chosen: choice.methods ?? usual.methods,
    text: (m) => ({ title: m.title, about: [m.summary, m.limits && el("span", { class: "limits" }, ` Limits: ${m.limits}`)], remedy: null }),
    changed: (names) => {
      choice.methods = names.length ? names : null;
      changed();
    },
  });
  const search = target(choice, changed);
  search.model((await modelsFor(null, choice))[0] ?? null);
  const back = el(
    "button",
    {
      type: "button",
      onclick: () => {
        Object.assign(choice, { models: null, methods: null });
        for (const b of named.boxes) b.checked = usual.models.includes(b.value);
        for (const b of ways.boxes) b.checked = usual.methods.includes(b.value);
        changed();
      },
    },
    "Back to the default",
  );
  return el("div", { class: "pickers" }, search.node, named.node, ways.node, el("p", {}, back));
}

/** Which class is explained: by search among the labels of the first model that was chosen. */
function target(choice, changed) {
  let model = null;
  const look = async (text, signal) => {
    if (!model) return [];
    const response = await once(`/api/models/${encodeURIComponent(model)}/labels?q=${encodeURIComponent(text)}&limit=20`);
    return signal.aborted ? [] : response;
  };
  const first = combobox({ label: "Class", chosen: choice.target, look, change: (to) => ((choice.target = to), changed()) });
  const second = combobox({ label: "rather than (optional)", chosen: choice.against, look, change: (to) => ((choice.against = to), changed()) });
  const both = el("div", { class: "classes", hidden: choice.kind !== "class" }, first, second);
  const how = segmented(
    "Explain",
    "target",
    [["own", "Own answers"], ["shared", "Shared class"], ["class", "Given class"]],
    choice.kind,
    (kind) => {
      choice.kind = kind;
      both.hidden = kind !== "class";
      changed();
    },
  );
  return { node: el("div", { class: "target-of" }, how, both), model: (name) => (model = name) };
}
