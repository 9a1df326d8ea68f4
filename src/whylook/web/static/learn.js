/* The tutorial: chapters to read, and experiments on the reader's own picture. */

import { experiment } from "./experiment.js";
import { chosen, strip } from "./readers-picture.js";
import { el } from "./viewer.js";

let styled = null;

/** The tutorial's own style sheet, asked for once. */
export function style() {
  styled ??= new Promise((ready) => {
    const link = el("link", { rel: "stylesheet", href: "/static/learn.css", onload: ready, onerror: ready });
    document.head.append(link);
  });
  return styled;
}

export async function render(element, context) {
  const { api, parameters } = context;
  const [lessons] = await Promise.all([api.once("/api/lessons"), style()]);
  if (!context.current()) return undefined;
  return parameters.slug ? chapter(element, context, lessons) : contents(element, context, lessons);
}

function parts(lessons) {
  const found = new Map();
  for (const lesson of lessons) found.set(lesson.part_title, [...(found.get(lesson.part_title) ?? []), lesson]);
  return [...found];
}

function contents(element, { title }, lessons) {
  title("Learn");
  element.append(
    el("h1", { tabindex: "-1" }, "Learn"),
    el(
      "p",
      { class: "lead" },
      "What a saliency map is, how it comes about, what it is good for, and when not to believe it. Every step is computed live, on a picture of yours.",
    ),
    el("p", { class: "actions start" }, el("a", { class: "button primary", href: `/learn/${lessons[0].slug}` }, "Begin to read")),
    el(
      "div",
      { class: "learn-contents" },
      parts(lessons).map(([name, own]) => el("section", {}, el("h2", {}, name), el("ol", {}, own.map((l) => el("li", {}, el("a", { href: `/learn/${l.slug}` }, l.title)))))),
    ),
  );
}

async function chapter(element, context, lessons) {
  const { api, title, parameters, current } = context;
  const at = lessons.findIndex((l) => l.slug === parameters.slug);
  if (at < 0) {
    element.append(
      el("h1", { tabindex: "-1" }, "There is no such chapter"),
      el("p", {}, el("a", { href: "/learn" }, "All chapters"), "."),
    );
    return undefined;
  }
  const [lesson, picture] = await Promise.all([api.get(`/api/lessons/${parameters.slug}`), chosen(api)]);
  if (!current()) return undefined;
  title(lesson.title);
  const text = el("div", { class: "text" });
  text.innerHTML = lesson.html; // made by the server from its own chapters; the page's policy runs no script in it
  for (const table of text.querySelectorAll("table")) {
    const scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" });
    table.replaceWith(scroll);
    scroll.append(table);
  }
  for (const pre of text.querySelectorAll("pre.code")) pre.setAttribute("aria-label", "Python");
  for (const formula of text.querySelectorAll(".math.block")) formula.tabIndex = 0;
  const made = [...text.querySelectorAll("div.experiment")].map((place) => experiment(place, lesson.experiments[place.dataset.use], context));
  const onPicture = lesson.experiments.some((e) => e.picture);
  const bar = onPicture ? strip(context, picture, () => made.forEach((e) => e.pictureChanged())) : null;
  element.append(
    el(
      "div",
      { class: "learn" },
      side(lessons, at),
      el(
        "article",
        { class: "chapter" },
        el("p", { class: "part-name" }, lesson.part_title === lesson.title ? null : lesson.part_title),
        el("h1", { tabindex: "-1" }, lesson.title),
        bar,
        text,
        around(lessons, at),
      ),
    ),
  );
  return () => made.forEach((e) => e.stop());
}

function side(lessons, at) {
  const link = (l) =>
    el("li", {}, el("a", { href: `/learn/${l.slug}`, "aria-current": l === lessons[at] ? "page" : null }, l.title));
  const list = el("div", { class: "chapters" }, parts(lessons).map(([name, own]) => [el("p", { class: "part-name" }, name), el("ol", {}, own.map(link))]));
  const wide = window.matchMedia("(min-width: 980px)");
  const folded = el("details", { open: wide.matches }, el("summary", {}, `Chapter ${at + 1} of ${lessons.length}`), list);
  return el("nav", { class: "learn-side", "aria-label": "Chapters" }, folded);
}

function around(lessons, at) {
  const to = (lesson, kind, word) =>
    lesson ? el("a", { class: kind, rel: kind, href: `/learn/${lesson.slug}` }, el("span", { class: "fine" }, word), el("span", {}, lesson.title)) : el("span", {});
  return el("nav", { class: "around", "aria-label": "Neighboring chapters" }, to(lessons[at - 1], "prev", "← Before"), to(lessons[at + 1], "next", "Next →"));
}
