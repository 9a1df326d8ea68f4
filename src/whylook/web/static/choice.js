/* What a person wants explained, and by what: kept while the pages are open, empty where nothing was chosen. */

import { once } from "./api.js";

export const choice = {
  models: null, // names, or null for the default
  methods: null,
  kind: "own", // "own", "shared" or "class"
  target: null, // {index, label}
  against: null,
};

export async function defaults() {
  const [models, methods] = await Promise.all([once("/api/models"), once("/api/methods")]);
  const there = models.filter((m) => m.available);
  return {
    models: there.filter((m) => m.chosen).map((m) => m.name),
    methods: methods.filter((m) => m.chosen).map((m) => m.name),
  };
}

/** The models that are asked about a picture; a drawn sample is shown to networks that know such films. */
export async function modelsFor(sample = null) {
  const usual = choice.models ?? (await defaults()).models;
  if (!sample) return usual;
  const fitting = usual.filter((name) => sample.models.includes(name));
  return choice.models && fitting.length ? fitting : sample.models.slice(0, 4);
}

/** What is to be sent to /api/explanations for pictures given by their refs. */
export async function request(refs, sample = null) {
  const form = new FormData();
  const models = await modelsFor(sample);
  const methods = choice.methods ?? (await defaults()).methods;
  for (const ref of refs) form.append("picture", ref);
  for (const name of models) form.append("models", name);
  for (const name of methods) form.append("methods", name);
  if (choice.kind === "shared") form.append("target", "shared");
  if (choice.kind === "class" && choice.target) {
    const known = await once("/api/models");
    const classes = new Set(models.map((name) => known.find((m) => m.name === name)?.classes));
    const name = ({ index, label }) => (classes.size === 1 ? String(index) : label);
    form.append("target", name(choice.target));
    if (choice.against) form.append("against", name(choice.against));
  }
  return form;
}
