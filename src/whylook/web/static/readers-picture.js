/* The picture that all experiments are made on: a sample, or one of the reader's own; it stays chosen. */

import { el } from "./viewer.js";

const KEY = "whylook-learn-picture";

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

function keep(picture) {
  now = picture;
  try {
    sessionStorage.setItem(KEY, JSON.stringify(picture));
  } catch {
    // A browser that keeps nothing: the choice holds until the page is loaded anew.
  }
}

let now = kept();

const ofSample = (sample) => ({ ref: `sample:${sample.id}`, name: sample.title, src: sample.picture });

/** The picture that is chosen, or the first sample: `{ ref, name, src }`. */
export async function chosen(api) {
  const samples = await api.once("/api/samples");
  if (!now) keep(ofSample(samples[0]));
  return now;
}

/** The reference of the picture that is chosen. */
export const reference = () => now?.ref ?? null;

/** A strip with the picture and the means to take another; `changed()` when it is another. */
export function strip({ api, say }, picture, changed) {
  const thumb = el("img", { alt: "", width: "52", height: "52" });
  const choice = el("select", { "aria-label": "Picture for the experiments" });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const file = el("input", { type: "file", accept: "image/*", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  const button = el("button", { type: "button", onclick: () => file.click() }, "Take your own …");
  const show = async () => {
    const samples = (await api.once("/api/samples")).map(ofSample);
    const all = samples.some((s) => s.ref === now.ref) ? samples : [now, ...samples];
    choice.replaceChildren(...all.map((p) => el("option", { value: p.ref, selected: p.ref === now.ref }, p.name)));
    choice.onchange = () => take(all.find((p) => p.ref === choice.value));
    thumb.src = now.src;
  };
  const take = (next) => {
    keep(next);
    show();
    say(`The experiments are made on ${next.name}.`);
    changed();
  };
  thumb.addEventListener("error", async () => {
    if (!now.ref.startsWith("upload:")) return;
    trouble.textContent = `${now.name} is no longer on the server; a sample is taken instead.`;
    take(ofSample((await api.once("/api/samples"))[0]));
  });
  file.addEventListener("change", async () => {
    const [given] = file.files;
    if (!given) return;
    trouble.textContent = "";
    button.disabled = true;
    const form = new FormData();
    form.append("file", given, given.name);
    try {
      const { ref, picture: src } = await api.post("/api/pictures", form);
      take({ ref, name: given.name, src });
    } catch (error) {
      trouble.textContent = `${given.name}: ${error.message}`;
    } finally {
      button.disabled = false;
      file.value = "";
    }
  });
  show();
  return el(
    "section",
    { class: "readers-picture", "aria-label": "Your picture" },
    thumb,
    el("div", {}, el("p", { class: "fine" }, "The experiments are made on"), el("p", { class: "actions" }, choice, button, file)),
    trouble,
  );
}
