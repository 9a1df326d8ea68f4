/* Comparisons: begin one over drawn films, find those there are, and read the page of one. */

import { OVER } from "./api.js";
import { style } from "./learn.js";
import { sentence } from "./progress.js";
import { when } from "./result.js";
import { el } from "./viewer.js";

export async function render(element, context) {
  await style();
  if (!context.current()) return undefined;
  return context.parameters.id ? one(element, context) : all(element, context);
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

const DATA = [
  ["shortcut", "Marker given out as in the training of the shortcut networks"],
  ["independent", "Marker by the toss of a coin"],
  ["anti", "Marker the other way round"],
];

async function all(element, context) {
  const { api, title, current } = context;
  title("Compare");
  const [models, there] = await Promise.all([api.once("/api/models"), api.get("/api/comparisons")]);
  if (!current()) return undefined;
  const list = el("ol", { class: "comparisons" }, there.map(row));
  const waiting = el("div", {});
  element.append(
    el("h1", { tabindex: "-1" }, "Compare"),
    el(
      "p",
      { class: "lead" },
      "Which network looks at the right thing? Measured over a data set, compared in pairs, and said in words that are fixed in the program: a difference, no detectable difference, or not assessable.",
    ),
    begin(models, context),
    el("section", {}, el("h2", {}, "Comparisons"), waiting, list, there.length === 0 && el("p", { class: "muted" }, "None yet. Begin one above, or start the server with --allow-folder DIR to browse those that whylook compare made below it.")),
  );
  let timer = 0;
  const refresh = async () => {
    const jobs = (await api.get("/api/jobs")).filter((job) => job.kind === "comparison" && !OVER.includes(job.state));
    if (!current()) return;
    waiting.replaceChildren(...jobs.map((job) => el("p", { class: "muted" }, el("a", { href: `/compare/${job.id}` }, job.request.data), `: ${sentence(job)}`)));
    if (jobs.length) timer = setTimeout(() => refresh().catch(() => {}), 1500);
  };
  await refresh();
  return () => clearTimeout(timer);
}

function row(one) {
  const from = one.source === "folder" ? "below the server's folder" : "made here";
  return el(
    "li",
    {},
    el("a", { href: `/compare/${one.id}` }, el("bdi", {}, one.name)),
    el("p", { class: "muted" }, `${one.models.join(", ")}; ${one.pictures} pictures; ${from}, `, el("time", { datetime: new Date(one.made * 1000).toISOString() }, when(one.made))),
    el("p", { dir: "auto" }, one.sentences[0] ?? ""),
  );
}

function begin(models, { api, navigate }) {
  const known = models.filter((m) => m.source === "phantom");
  const chosen = new Set(known.filter((m) => m.name.includes(":vgg") || m.name.includes(":resnet")).map((m) => m.name));
  const trouble = el("p", { class: "trouble", role: "alert" });
  const told = el("output", { class: "number", for: "compare-pictures" });
  const cost = el("p", { class: "fine" });
  const count = el("input", { type: "range", id: "compare-pictures", min: "6", max: "200", step: "2", value: "24", oninput: () => tell() });
  const data = el("select", { id: "compare-data" }, DATA.map(([value, text]) => el("option", { value }, text)));
  const button = el("button", { type: "submit", class: "primary" }, "Compare");
  const tell = () => {
    told.textContent = count.value;
    const minutes = Math.ceil((Number(count.value) * chosen.size * 1.2) / 60);
    cost.textContent = chosen.size
      ? `About ${minutes} minute${minutes === 1 ? "" : "s"} of one core. Fewer than about 15 pictures can show little where many comparisons are made.`
      : "Choose one network or more.";
    button.disabled = chosen.size === 0;
  };
  const box = (m) =>
    el(
      "label",
      { class: "compare-pick" },
      el("input", {
        type: "checkbox", value: m.name, checked: chosen.has(m.name),
        onchange: (event) => {
          if (event.target.checked) chosen.add(m.name);
          else chosen.delete(m.name);
          tell();
        },
      }),
      el("span", {}, m.name),
    );
  const form = el(
    "form",
    {
      class: "compare-form",
      onsubmit: async (event) => {
        event.preventDefault();
        trouble.textContent = "";
        button.disabled = true;
        try {
          const names = known.map((m) => m.name).filter((name) => chosen.has(name));
          const job = await api.post("/api/comparisons", { data: data.value, models: names, pictures: Number(count.value) });
          navigate(`/compare/${job.id}`);
        } catch (error) {
          trouble.textContent = error.message;
          button.disabled = false;
        }
      },
    },
    el("h2", {}, "Begin one, over drawn films"),
    el("p", { class: "muted" }, "In drawn films the lesion is marked and the marker suspicious, so nothing has to be prepared. Your own pictures, with masks, are compared by the command line: whylook compare FOLDER."),
    el("div", { class: "control" }, el("label", { for: "compare-data" }, "Films"), data),
    el("fieldset", { class: "compare-picks" }, el("legend", {}, "Networks"), known.map(box)),
    el("div", { class: "control" }, el("label", { for: "compare-pictures" }, "Pictures"), el("span", { class: "slide" }, count, told)),
    el("div", { class: "actions" }, button, cost),
    trouble,
  );
  tell();
  return form;
}

/* ---- one of them ----------------------------------------------------------------------------------------------- */

async function one(element, context) {
  const { api, parameters, title, current } = context;
  title("Comparison");
  const body = el("div", {});
  const heading = el("h1", { tabindex: "-1" }, "Comparison");
  element.append(el("p", { class: "fine" }, el("a", { href: "/compare" }, "All comparisons")), heading, body);
  const shown = async () => {
    const found = await api.get(`/api/comparisons/${parameters.id}`);
    if (!current()) return;
    heading.replaceChildren(el("bdi", {}, found.name));
    title(found.name);
    body.replaceChildren(page(found));
  };
  if (parameters.id.startsWith("folder")) {
    await shown();
    return undefined;
  }
  const job = await api.get(`/api/jobs/${parameters.id}`);
  if (!current()) return undefined;
  heading.replaceChildren(el("bdi", {}, job.request.data ?? "Comparison"));
  if (job.state === "done") {
    await shown();
    return undefined;
  }
  return follow(body, job, context, shown);
}

function follow(body, job, { api, say, navigate }, done) {
  const line = el("p", { class: "line" });
  const bar = el("progress", { max: "1", "aria-label": "Progress" });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const act = (what) => async () => {
    try {
      await what();
    } catch (error) {
      trouble.textContent = error.message;
    }
  };
  const cancel = el("button", { type: "button", onclick: act(() => api.remove(`/api/jobs/${job.id}`)) }, "Cancel");
  const again = el("button", { type: "button", class: "primary", onclick: act(async () => navigate(`/compare/${(await api.post(`/api/jobs/${job.id}/again`)).id}`)) }, "Run it again");
  const actions = el("p", { class: "actions" });
  body.replaceChildren(
    el("p", { class: "lead" }, `${job.request.models.join(", ")}; ${job.request.limit} pictures`),
    el("section", { class: "compare-state", "aria-label": "State" }, line, el("div", { class: "meter" }, bar), actions, trouble),
  );
  let state = "";
  const update = (now) => {
    line.textContent = sentence(now);
    const over = OVER.includes(now.state);
    bar.parentElement.hidden = over;
    if (now.state === "running" && now.progress.total > 0) {
      bar.max = now.progress.total;
      bar.value = now.progress.done;
    } else {
      bar.removeAttribute("value");
    }
    if (now.state !== state) {
      actions.replaceChildren(...(now.state === "done" ? [] : [over ? again : cancel]));
      say(sentence(now) || "Done.");
    }
    state = now.state;
    if (now.state === "done") done().catch((error) => (trouble.textContent = error.message));
  };
  update(job);
  if (OVER.includes(job.state)) return () => {};
  return api.events(`/api/jobs/${job.id}/events`, update, (error) => (trouble.textContent = error.message));
}

function page(found) {
  return el(
    "div",
    {},
    el("p", { class: "lead" }, `${found.models.join(", ")}; ${found.pictures} pictures, of which all get ${found.all_right} right`),
    el(
      "ul",
      { class: "downloads compare-downloads" },
      el("li", {}, el("a", { class: "button", href: found.links.page, target: "_blank", rel: "noopener" }, "Page by itself")),
      el("li", {}, el("a", { class: "button", href: found.links.scores, download: "" }, "Every value (CSV)")),
      el("li", {}, el("a", { class: "button", href: found.links.data, download: "" }, "All of it (JSON)")),
    ),
    el("iframe", { class: "compare-page", src: found.links.page, title: `The page of the comparison ${found.name}` }),
  );
}
