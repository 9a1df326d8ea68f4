/* One result: what is being done, then the maps, the words, the trust cards, and a picture to poke at. */

import { OVER } from "./api.js";
import { choiceOf, request } from "./choice.js";
import { hear } from "./intake.js";
import { language } from "./language.js";
import { pickers } from "./pickers.js";
import { poking } from "./poke.js";
import { progress } from "./progress.js";
import { trust } from "./trust.js";
import { el, mount } from "./viewer.js";

export async function result(element, context) {
  const { api, parameters, title } = context;
  let job = await api.get(`/api/jobs/${parameters.id}`);
  if (!context.current()) return undefined;
  if (job.kind !== "explanation") {
    if (job.of) return context.navigate(`/explanations/${job.of}`, { replace: true });
    throw new api.ApiError("That is no explanation; the results are listed under Results.");
  }
  const stops = [];
  const names = job.request.names ?? [];
  const called = names.length > 1 ? `${names[0]} and ${names.length - 1} more` : (names[0] ?? "Picture");
  title(called);
  const head = el(
    "header",
    { class: "result-head" },
    el("h1", { tabindex: "-1" }, el("bdi", {}, called)),
    el("p", { class: "muted" }, `${job.request.models.join(", ")}. Asked ${when(job.created)}, kept until ${when(job.expires)}.`),
  );
  const body = el("div", { class: "result-body" });
  const trouble = el("div", { class: "trouble", role: "alert" });
  element.append(head, trouble, body);
  stops.push(hear((state) => trouble.replaceChildren(...(state.trouble ?? []).map((text) => el("p", { dir: "auto" }, text)))));

  const finished = async () => {
    if (job.state !== "done") return;
    const done = await shown(job, head, body, context);
    if (context.current()) stops.push(done);
    else done();
  };
  if (OVER.includes(job.state) && job.state === "done") await finished();
  else stops.push(progress(body, job, context, async (now) => ((job = now), finished())));
  return () => stops.forEach((stop) => stop());
}

export const when = (seconds) =>
  new Date(seconds * 1000).toLocaleString("en", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** A picture's address, from its ref. */
export function pictureOf(ref) {
  const [kind, name] = ref.split(":");
  return kind === "sample" ? `/api/samples/${name}/picture` : `/api/pictures/${name}`;
}

async function shown(job, head, body, context) {
  const { api } = context;
  const [view, health] = await Promise.all([api.get(job.links.view), api.once("/api/health")]);
  const sections = view.sections.filter((s) => s.explanations.length);
  const told = await Promise.all(sections.map((_, picture) => words(api, job, picture)));
  if (!context.current()) return () => {};
  if (view.pictures.length === 1) view.title = view.pictures[0].name; // the page's own heading says it
  sections.forEach((section, i) => (section.narrative = told[i].paragraphs ? told[i] : null));
  head.append(downloads(job, view));

  const maps = el("div", { id: "panel-maps", role: "tabpanel", "aria-labelledby": "tab-maps" });
  const poke = el("div", { id: "panel-poke", role: "tabpanel", "aria-labelledby": "tab-poke", hidden: true });
  const again = el("div", { id: "panel-again", role: "tabpanel", "aria-labelledby": "tab-again", hidden: true });
  const panels = { maps, poke, again };
  const stops = [];
  const open = (name) => {
    for (const [key, panel] of Object.entries(panels)) panel.hidden = key !== name;
    if (name === "poke" && !poke.firstChild) stops.push(poking(poke, { job, view, context }));
    if (name === "again" && !again.firstChild) asking(again, job, context);
  };
  const root = el("div", {});
  const believed = trust(job, view, context);
  maps.append(root);
  told.filter((t) => t.trouble).forEach((t) => maps.append(el("p", { class: "trouble" }, t.trouble)));
  if (health.llm) maps.append(language(job, view, context));
  maps.append(believed.node);
  body.replaceChildren(tabs([["maps", "Maps and words"], ["poke", "Poke at it"], ["again", "Ask again"]], open), maps, poke, again);
  const viewer = mount(root, view, { embedded: true, beside: believed.beside });
  const methods = root.querySelector(".methods");
  if (methods) maps.append(methods); // what the methods are comes last, after the cards
  await viewer.loaded;
  if (!context.current()) return () => viewer.destroy();
  believed.start();
  context.say("The maps are there.");
  stops.push(() => viewer.destroy(), believed.stop);
  return () => stops.forEach((stop) => stop());
}

async function words(api, job, picture) {
  try {
    return await api.post(`/api/explanations/${job.id}/narrative`, { by: "template", picture });
  } catch (error) {
    return { trouble: `In words: ${error.message}` };
  }
}

/** The same pictures, asked of other models, by other methods, about another class. */
async function asking(panel, job, { api, navigate }) {
  const trouble = el("p", { class: "trouble", role: "alert" });
  const choice = choiceOf(job.request);
  const go = el(
    "button",
    {
      type: "button",
      class: "primary",
      onclick: async () => {
        trouble.textContent = "";
        go.disabled = true;
        try {
          navigate(`/explanations/${(await api.post("/api/explanations", await request(job.request.pictures, null, choice))).id}`);
        } catch (error) {
          trouble.textContent = error.message;
        }
        go.disabled = false;
      },
    },
    "Explain the same again",
  );
  panel.append(el("p", { class: "lead" }, "The same pictures, by other models and methods, or about another class; this result stays."), el("p", { class: "actions" }, go), trouble);
  try {
    const [models, methods] = await Promise.all([api.once("/api/models"), api.once("/api/methods")]);
    panel.append(await pickers({ models, methods, choice, changed: () => {} }));
  } catch (error) {
    trouble.textContent = error.message;
  }
}

function downloads(job, view) {
  const link = (href, text, what) => el("a", { class: "button", href, download: true, title: what }, text);
  const several = view.pictures.length > 1;
  return el(
    "ul",
    { class: "downloads", "aria-label": "Downloads" },
    el("li", {}, link(job.links.report, "Report", "One HTML file that needs no other")),
    el("li", {}, link(job.links.figure, "Figure", several ? "PNG of the first picture; all are in the folder" : "PNG")),
    el("li", {}, link(job.links.arrays, "Arrays", "Raw maps for NumPy, maps.npz")),
    el("li", {}, link(job.links.folder, "Folder", "All of it as a ZIP archive")),
  );
}

/** Tabs by the ARIA pattern: arrows choose, and what is chosen is shown. */
function tabs(entries, open) {
  const buttons = entries.map(([name, text], i) =>
    el(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": `panel-${name}`,
        "aria-selected": String(i === 0),
        tabindex: i === 0 ? "0" : "-1",
        onclick: () => choose(i),
      },
      text,
    ),
  );
  const choose = (at) => {
    buttons.forEach((button, i) => {
      button.setAttribute("aria-selected", String(i === at));
      button.tabIndex = i === at ? 0 : -1;
    });
    open(entries[at][0]);
  };
  return el(
    "div",
    {
      role: "tablist",
      class: "tabs",
      "aria-label": "What to do with the result",
      onkeydown: (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const at = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
        event.preventDefault();
        choose(at);
        buttons[at].focus();
      },
    },
    buttons,
  );
}
