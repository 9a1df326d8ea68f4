/* A job that is not done: its place, how far it is, and what can be done about it. */

import { OVER } from "./api.js";
import { pictureOf } from "./result.js";
import { el } from "./viewer.js";

/** The state of a job in a sentence. */
export function sentence({ state, position, progress, error }) {
  if (state === "queued") return position > 0 ? `Waiting; ${position} before it` : "Waiting; next in line";
  if (state === "running") return progress.what ? `Computing: ${progress.what}` : "Computing";
  if (state === "cancelled") return "Cancelled.";
  if (state === "interrupted") return error ?? "Interrupted; it can be run again.";
  return error ?? "";
}

/** Follow a job in `body`; `done(job)` when its result is there. Returns how to stop. */
export function progress(body, job, context, done) {
  const { api, say, navigate } = context;
  let talked = "";
  const line = el("p", { class: "line" });
  const bar = el("progress", { max: "1", "aria-label": "Progress" });
  const count = el("span", { class: "number muted" });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const cancel = el("button", { type: "button", onclick: () => attempt(() => api.remove(`/api/jobs/${job.id}`)) }, "Cancel");
  const again = el(
    "button",
    { type: "button", class: "primary", onclick: () => attempt(async () => navigate(`/explanations/${(await api.post(`/api/jobs/${job.id}/again`)).id}`)) },
    "Run it again",
  );
  const attempt = async (act) => {
    trouble.textContent = "";
    try {
      await act();
    } catch (error) {
      trouble.textContent = error.message;
    }
  };
  const actions = el("p", { class: "actions" });
  const pictures = job.request.pictures.map((ref, i) =>
    el("img", { src: pictureOf(ref), alt: `Picture ${job.request.names?.[i] ?? i + 1}` }),
  );
  const cells = el("div", { class: "blanks", "aria-hidden": "true" });
  for (let i = 0; i < Math.min(12, job.request.models.length * job.request.methods.length); i++) cells.append(el("div", { class: "blank-map" }));
  const node = el(
    "section",
    { class: "waiting", "aria-label": "State" },
    el("div", { class: "waiting-pictures" }, pictures.slice(0, 4), pictures.length > 4 && el("p", { class: "muted" }, `and ${pictures.length - 4} more`)),
    el("div", { class: "waiting-state" }, line, el("div", { class: "meter" }, bar, count), actions, trouble),
    cells,
  );
  const update = (now) => {
    job = now;
    const { done: ready, total } = job.progress;
    const over = OVER.includes(job.state);
    line.textContent = sentence(job);
    line.classList.toggle("failed", ["failed", "interrupted"].includes(job.state));
    node.dataset.state = job.state;
    if (job.state === "running" && total > 0) {
      bar.max = total;
      bar.value = ready;
      count.textContent = `${Math.floor((100 * ready) / total)} %`;
    } else {
      bar.removeAttribute("value");
      count.textContent = "";
    }
    bar.parentElement.hidden = over;
    cells.hidden = over;
    actions.replaceChildren(...(job.state === "done" ? [] : over ? [again, el("a", { class: "button", href: "/" }, "Take another picture")] : [cancel]));
    const kind = job.state === "queued" ? `${job.state}${job.position}` : job.state;
    if (kind !== talked) say(sentence(job));
    talked = kind;
    if (job.state === "done") done(job).catch((error) => (trouble.textContent = error.message));
  };
  body.replaceChildren(node);
  update(job);
  if (OVER.includes(job.state)) return () => {};
  return api.events(
    `/api/jobs/${job.id}/events`,
    update,
    (error) => (trouble.textContent = error.message),
    (on) => (trouble.textContent = on ? "The server does not answer; this page goes on when it does." : ""),
  );
}
