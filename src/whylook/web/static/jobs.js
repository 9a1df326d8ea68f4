/* What was asked lately: results that are there, and work that is not done. */

import { OVER } from "./api.js";
import { sentence } from "./progress.js";
import { pictureOf, when } from "./result.js";
import { el } from "./viewer.js";

const KINDS = { explanation: "Maps", trust: "Trust card", narrative: "Words", comparison: "Comparison" };
const STATES = { queued: "waiting", running: "computing", done: "done", failed: "failed", cancelled: "cancelled", interrupted: "interrupted" };

export async function jobs(element, context) {
  const { api, title, current } = context;
  title("Results");
  const list = el("ol", { class: "jobs" });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const empty = el("p", { class: "muted", hidden: true }, "Nothing yet. ", el("a", { href: "/" }, "Explain a picture"), ".");
  element.append(
    el("h1", { tabindex: "-1" }, "Results"),
    el("p", { class: "lead" }, "Kept on the server's machine for a set time, also over a restart."),
    trouble,
    empty,
    list,
  );
  let timer = 0;
  const act = async (what) => {
    trouble.textContent = "";
    try {
      await what();
    } catch (error) {
      trouble.textContent = error.message;
    }
    clearTimeout(timer);
    await refresh();
  };
  const refresh = async () => {
    const all = await api.get("/api/jobs");
    if (!current()) return;
    const own = all.filter((job) => job.kind === "explanation" || job.kind === "comparison");
    const focused = document.activeElement?.closest?.("[data-job]");
    const at = focused && [focused.dataset.job, [...focused.querySelectorAll("a, button")].indexOf(document.activeElement)];
    list.replaceChildren(...own.map((job) => row(job, all.filter((j) => j.of === job.id), act, context)));
    if (at) list.querySelector(`[data-job="${at[0]}"]`)?.querySelectorAll("a, button")[at[1]]?.focus();
    empty.hidden = own.length > 0;
    if (all.some((job) => !OVER.includes(job.state))) timer = setTimeout(() => refresh().catch(() => {}), 1500);
  };
  await refresh();
  return () => clearTimeout(timer);
}

function row(job, about, act, { api, navigate }) {
  const { pictures = [], names = [], models = [], methods = [] } = job.request;
  const where = job.kind === "comparison" ? `/compare/${job.id}` : `/explanations/${job.id}`;
  const over = OVER.includes(job.state);
  const called = names.length > 1 ? `${names[0]} and ${names.length - 1} more` : (names[0] ?? KINDS[job.kind]);
  const cards = about.filter((j) => j.kind === "trust" && j.state === "done").length;
  return el(
    "li",
    { class: "job", "data-job": job.id },
    el("span", { class: "thumb" }, pictures[0] && el("img", { src: pictureOf(pictures[0]), alt: "", width: "64", height: "64", loading: "lazy" })),
    el(
      "div",
      { class: "what" },
      el("a", { href: where }, el("bdi", {}, called)),
      el("p", { class: "muted" }, [models.join(", "), methods.join(", ")].filter(Boolean).join("; "), cards > 0 && `; ${cards} trust card${cards > 1 ? "s" : ""}`),
      !["done", "queued"].includes(job.state) && el("p", { class: job.state === "running" ? "muted" : "failed", dir: "auto" }, sentence(job)),
    ),
    el("span", { class: `state ${job.state}` }, STATES[job.state]),
    el("time", { class: "muted number", datetime: new Date(job.created * 1000).toISOString() }, when(job.created)),
    el(
      "span",
      { class: "actions" },
      over && job.state !== "done" && el("button", { type: "button", onclick: () => act(async () => navigate(`${where.slice(0, -job.id.length)}${(await api.post(`/api/jobs/${job.id}/again`)).id}`)), "aria-label": `Run ${called} again` }, "Again"),
      el("button", { type: "button", onclick: () => act(() => api.remove(`/api/jobs/${job.id}`)), "aria-label": `${over ? "Remove" : "Cancel"} ${called}` }, over ? "Remove" : "Cancel"),
    ),
  );
}
