/* The first page: a place to drop a picture, samples, and what is asked of it. */

import { once } from "./api.js";
import { choice, defaults, modelsFor } from "./choice.js";
import { folder } from "./folder.js";
import { explainFiles, explainRef, hear } from "./intake.js";
import { pickers } from "./pickers.js";
import { el } from "./viewer.js";

export async function demo(element, { title, current }) {
  title("Explain a picture");
  const working = el("p", { class: "working", role: "status" });
  const trouble = el("div", { class: "trouble", role: "alert" });
  const files = el("input", {
    type: "file",
    id: "files",
    class: "unseen",
    multiple: true,
    accept: "image/jpeg,image/png,image/webp,image/tiff,image/bmp,image/gif",
    tabindex: "-1",
    "aria-hidden": "true",
    onchange: () => {
      explainFiles(files.files);
      files.value = "";
    },
  });
  const choose = el("button", { type: "button", class: "primary", onclick: () => files.click() }, "Choose pictures");
  const drop = el(
    "section",
    { class: "drop", "aria-labelledby": "drop-title" },
    el("p", { class: "big", id: "drop-title" }, "Drop a picture here"),
    el("p", { class: "muted" }, "or paste one"),
    choose,
    files,
    working,
  );
  const shelf = el("ul", { class: "samples" }, [0, 1, 2, 3, 4].map(() => el("li", { class: "sample blank" })));
  const allowed = el("div", {});
  const summary = el("p", { class: "asked" }, " ");
  const warning = el("p", { class: "warning", id: "only-films" });
  const choices = el("details", { class: "choices" }, el("summary", {}, "Change models, methods and class"));
  element.append(
    el("h1", { tabindex: "-1" }, "Where does a classifier look?"),
    el(
      "p",
      { class: "lead" },
      "Drop a picture and see what several networks take it for, where in it each of them looks, and whether that can be believed.",
    ),
    trouble,
    drop,
    el("section", { "aria-labelledby": "samples-title" }, el("h2", { id: "samples-title" }, "Or take one of these"), shelf, allowed),
    el("section", { class: "asked-of", "aria-labelledby": "asked-title" }, el("h2", { id: "asked-title" }, "What is asked"), summary, warning, choices),
  );
  const stop = hear((state) => {
    working.textContent = state.working ?? "";
    drop.classList.toggle("busy", Boolean(state.working));
    choose.disabled = Boolean(state.working);
    trouble.replaceChildren(...(state.trouble ?? []).map((sentence) => el("p", { dir: "auto" }, sentence)));
  });
  const [samples, models, methods, health] = await Promise.all(
    ["/api/samples", "/api/models", "/api/methods", "/api/health"].map(once),
  );
  if (!current()) return stop;
  shelf.replaceChildren(...samples.map((sample) => el("li", { class: "sample" }, card(sample))));
  if (health.folder) allowed.append(folder());
  const tell = async () => {
    const names = await modelsFor();
    const titled = (choice.methods ?? (await defaults()).methods).map((name) => methods.find((m) => m.name === name)?.title ?? name);
    const classes = { own: "each model’s own first answer", shared: "one class for all models", class: choice.target?.label ?? "a class, still to be chosen" };
    const rather = choice.kind === "class" && choice.against ? ` rather than ${choice.against.label}` : "";
    summary.textContent = `${names.join(", ")}; ${titled.join(", ")}; explains ${classes[choice.kind]}${rather}.`;
    const onlyFilms = names.length > 0 && names.every((name) => models.find((m) => m.name === name)?.source === "phantom");
    warning.textContent = onlyFilms
      ? "The networks that come with whylook know only drawn chest films: of any other picture they say something, and it means nothing. " +
        "Networks for photos are under Change models."
      : "";
  };
  await tell();
  choices.append(await pickers({ models, methods, choice, changed: tell }));
  return stop;
}

function card(sample) {
  return el(
    "button",
    { type: "button", "aria-describedby": `about-${sample.id}`, onclick: () => explainRef(`sample:${sample.id}`, sample.title, sample) },
    el("img", { src: sample.picture, width: "128", height: "128", alt: "" }),
    el("span", { class: "name" }, sample.title),
    el("span", { class: "muted", id: `about-${sample.id}` }, sample.about),
  );
}
