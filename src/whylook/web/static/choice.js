/* What a person wants explained, and by what. */

import { once } from "./api.js";

const nothing = () => ({
  models: null, // names, or null for the default
  methods: null,
  kind: "own", // "own", "shared" or "class"
  target: null, // {index, label}
  against: null,
});

/** For the pictures to come; kept while the pages are open. */
export const choice = nothing();

/** What was chosen for a job. */
export function choiceOf({ models, methods, target, against }) {
  const named = (text) => (text ? { index: text, label: text } : null);
  const kind = !target.length ? "own" : target[0] === "shared" ? "shared" : "class";
  return { ...nothing(), models, methods, kind, target: kind === "class" ? named(target[0]) : null, against: named(against) };
}

export async function defaults() {
  const [models, methods] = await Promise.all([once("/api/models"), once("/api/methods")]);
  const there = models.filter((m) => m.available);
  return {
    models: there.filter((m) => m.chosen).map((m) => m.name),
    methods: methods.filter((m) => m.chosen).map((m) => m.name),
  };
}

/** The models that are asked about a picture; a drawn sample is shown to networks that know such films. */
export async function modelsFor(sample = null, of = choice) {
  const usual = of.models ?? (await defaults()).models;
  if (!sample) return usual;
  const fitting = usual.filter((name) => sample.models.includes(name));
  return of.models && fitting.length ? fitting : sample.models.slice(0, 4);
}

/** What is to be sent to /api/explanations for pictures given by their refs. */
export async function request(refs, sample = null, of = choice) {
  const form = new FormData();
  const models = await modelsFor(sample, of);
  const methods = of.methods ?? (await defaults()).methods;
  for (const ref of refs) form.append("picture", ref);
  for (const name of models) form.append("models", name);
  for (const name of methods) form.append("methods", name);
  if (of.kind === "shared") form.append("target", "shared");
  if (of.kind === "class" && of.target) {
    const known = await once("/api/models");
    const classes = new Set(models.map((name) => known.find((m) => m.name === name)?.classes));
    const name = ({ index, label }) => (classes.size === 1 ? String(index) : label);
    form.append("target", name(of.target));
    if (of.against) form.append("against", name(of.against));
  }
  return form;
}
