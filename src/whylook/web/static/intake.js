/* Pictures come in: dropped anywhere, pasted, chosen, or a sample; they are handed over and explained at once. */

import * as api from "./api.js";
import { request } from "./choice.js";
import { el } from "./viewer.js";

const listeners = new Set();
let busy = false;
let context = { navigate: () => {}, say: () => {}, here: () => "/" };
let refused = [];

/** Hear what happens to pictures: `told({ working, trouble })`; returns how to stop hearing it. */
export function hear(told) {
  listeners.add(told);
  if (refused.length) told({ working: null, trouble: refused });
  return () => listeners.delete(told);
}

function tell(state) {
  refused = state.trouble ?? [];
  for (const told of listeners) told(state);
  if (state.working) context.say(state.working);
}

async function handed(file, limits) {
  const name = file.name || "The picture";
  if (file.size > limits.bytes) {
    throw new api.ApiError(`${name} has ${megabytes(file.size)}; this server takes at most ${megabytes(limits.bytes)}.`);
  }
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  try {
    return await api.post("/api/pictures", form);
  } catch (error) {
    if (error.message.includes(file.name)) throw error;
    throw new api.ApiError(`${name}: ${error.message}`, error.status);
  }
}

const megabytes = (bytes) => `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: bytes < 1e7 ? 1 : 0 })} MB`;

/** Hand in files and have them explained; those that cannot be read are named, the others go on. */
export async function explainFiles(files) {
  const given = [...files];
  if (busy || !given.length) return;
  busy = true;
  const trouble = [];
  const refs = [];
  try {
    const { limits } = await api.once("/api/health");
    if (given.length > limits.pictures) {
      trouble.push(`${given.length} pictures are too many for one result; the first ${limits.pictures} are taken.`);
      given.length = limits.pictures;
    }
    for (const [i, file] of given.entries()) {
      const count = given.length > 1 ? ` (${i + 1} of ${given.length})` : "";
      tell({ working: `Reading ${file.name || "the picture"}${count} …`, trouble });
      try {
        refs.push((await handed(file, limits)).ref);
      } catch (error) {
        trouble.push(error.message);
      }
    }
    if (refs.length) await begin(await request(refs), trouble);
  } catch (error) {
    trouble.push(error.message);
  } finally {
    busy = false;
    tell({ working: null, trouble });
    if (trouble.length && !refs.length && context.here() !== "/") context.navigate("/");
  }
}

/** Have a picture explained that the server has; a sample by networks that know such pictures. */
export async function explainRef(ref, title, sample = null) {
  if (busy) return;
  busy = true;
  const trouble = [];
  tell({ working: `Taking ${title} …`, trouble });
  try {
    await begin(await request([ref], sample), trouble);
  } catch (error) {
    trouble.push(error.message);
  } finally {
    busy = false;
    tell({ working: null, trouble });
  }
}

async function begin(form, trouble) {
  const job = await api.post("/api/explanations", form);
  tell({ working: null, trouble });
  await context.navigate(`/explanations/${job.id}`);
}

/* ---- dropped anywhere, or pasted ------------------------------------------------------------------------------- */

export function intake(given) {
  context = given;
  let depth = 0;
  const curtain = el("div", { class: "curtain", "aria-hidden": "true" }, el("p", {}, "Drop to explain"));
  const shown = (on) => (on ? document.body.append(curtain) : curtain.remove());
  const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  window.addEventListener("dragenter", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    depth++;
    shown(true);
  });
  window.addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  window.addEventListener("dragleave", (event) => {
    if (!files(event)) return;
    depth = Math.max(0, depth - 1);
    if (!depth) shown(false);
  });
  window.addEventListener("drop", (event) => {
    depth = 0;
    shown(false);
    if (!files(event)) return;
    event.preventDefault();
    explainFiles(event.dataTransfer.files);
  });
  window.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    explainFiles(pasted);
  });
}
