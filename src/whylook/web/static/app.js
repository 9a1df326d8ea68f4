/* The shell: which page an address shows, and what all pages share. */

import * as api from "./api.js";
import { el, mount } from "./viewer.js";
import { demo } from "./demo.js";
import { intake } from "./intake.js";
import { jobs } from "./jobs.js";
import { result } from "./result.js";

const routes = [];
const page = document.getElementById("page");
let leave = () => {};
let shown = 0;
let address = "";

/**
 * Show what `render(element, context)` makes where the path fits `path` (`/explanations/:id`); it may return a function
 * to be called when another page is shown. `context`: `api`, `mount`, `navigate`, `say`, `title`, `parameters`, `query`.
 */
export function route(path, render) {
  const names = [...path.matchAll(/:(\w+)/g)].map((m) => m[1]);
  const pattern = new RegExp(`^${path.replace(/:\w+/g, "([^/]+)")}/?$`);
  routes.push({ pattern, names, render });
}

/** Tell somebody who does not see it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

export function navigate(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", path);
  return show({ fresh: true });
}

function title(text) {
  document.title = text ? `${text} · whylook` : "whylook";
}

async function show({ fresh = false } = {}) {
  const turn = ++shown;
  leave();
  leave = () => {};
  const path = location.pathname;
  address = location.pathname + location.search;
  for (const link of document.querySelectorAll(".site nav a")) {
    const here = link.pathname === "/" ? path === "/" || path.startsWith("/explanations") : path.startsWith(link.pathname);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const found = routes.map((r) => ({ ...r, match: r.pattern.exec(path) })).find((r) => r.match);
  const element = el("div", { class: "page" });
  page.replaceChildren(element);
  if (fresh) window.scrollTo(0, 0);
  title("");
  if (!found) {
    element.append(el("h1", {}, "There is no such page"), el("p", {}, el("a", { href: "/" }, "Explain a picture"), "."));
    return;
  }
  const parameters = Object.fromEntries(found.names.map((n, i) => [n, decodeURIComponent(found.match[i + 1])]));
  const current = () => turn === shown;
  const context = { api, mount, navigate, say, title, parameters, query: new URLSearchParams(location.search), current };
  try {
    const cleanup = await found.render(element, context);
    if (typeof cleanup !== "function") return;
    if (current()) leave = cleanup;
    else cleanup();
  } catch (error) {
    if (!current()) return;
    element.append(el("p", { class: "trouble", role: "alert" }, error.message));
    if (!(error instanceof api.ApiError)) throw error;
  } finally {
    if (fresh && current()) (element.querySelector("h1") ?? page).focus?.({ preventScroll: true });
  }
}

/* ---- light and dark -------------------------------------------------------------------------------------------- */

function theme() {
  const button = document.getElementById("theme");
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try {
      return localStorage.getItem("whylook-theme");
    } catch {
      return null;
    }
  };
  const chosen = read();
  if (chosen) document.body.dataset.theme = chosen;
  const dark = () => (document.body.dataset.theme ? document.body.dataset.theme === "dark" : scheme.matches);
  const label = () => (button.textContent = dark() ? "Light" : "Dark");
  button.addEventListener("click", () => {
    document.body.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("whylook-theme", document.body.dataset.theme);
    } catch {
      // A browser that keeps nothing: the choice holds for this page.
    }
    label();
  });
  scheme.addEventListener("change", label);
  label();
}

/* ---- start ----------------------------------------------------------------------------------------------------- */

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
  if (link.pathname.startsWith("/api/") || link.pathname.startsWith("/docs")) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  navigate(link.pathname + link.search + link.hash);
});
window.addEventListener("popstate", () => {
  if (address !== location.pathname + location.search) show(); // a jump within a page is none to another
});

/** A page that another module makes, fetched when it is asked for. */
function later(module) {
  return async (element, context) => (await import(module)).render(element, context);
}

route("/", demo);
route("/explanations/:id", result);
route("/jobs", jobs);
route("/learn", later("./learn.js"));
route("/learn/:slug", later("./learn.js"));
route("/compare", later("./compare.js"));
route("/compare/:id", later("./compare.js"));

theme();
intake({ navigate, say, here: () => location.pathname });
api.once("/api/health").then(
  ({ version, device }) => {
    document.getElementById("about").textContent =
      `whylook ${version}, computing on ${device === "cpu" ? "the processor" : device}. Pictures and results stay on the server's machine.`;
  },
  () => {},
);
show();
