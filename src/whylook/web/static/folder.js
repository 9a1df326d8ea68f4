/* Pictures of the folder that the server was allowed to show, where it was allowed one. */

import { get } from "./api.js";
import { explainRef } from "./intake.js";
import { el } from "./viewer.js";

const MOST = 200; // previews at once

export function folder() {
  const where = el("p", { class: "muted" });
  const list = el("ul", { class: "shelf" });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const open = async (path) => {
    trouble.textContent = "";
    try {
      const entries = await get(`/api/folder?path=${encodeURIComponent(path)}`);
      const up = path ? [{ kind: "folder", name: "One folder up", path: path.split("/").slice(0, -1).join("/") }] : [];
      const more = entries.length > MOST ? ` The first ${MOST} of ${entries.length} are shown.` : "";
      where.textContent = `${path || "The folder that was allowed"}: ${entries.length} entries.${more}`;
      list.replaceChildren(...[...up, ...entries.slice(0, MOST)].map((entry) => el("li", {}, item(entry))));
    } catch (error) {
      trouble.textContent = error.message;
    }
  };
  const item = (entry) =>
    entry.kind === "folder"
      ? el("button", { type: "button", class: "folder", onclick: () => open(entry.path) }, el("bdi", {}, entry.name))
      : el(
          "button",
          { type: "button", onclick: () => explainRef(entry.ref, entry.name) },
          el("img", { src: `/api/folder/picture?path=${encodeURIComponent(entry.path)}`, alt: "", width: "84", height: "84", loading: "lazy" }),
          el("bdi", {}, entry.name),
        );
  const node = el("details", { class: "folder-of" }, el("summary", {}, "Pictures in a folder of the server’s machine"), where, trouble, list);
  node.addEventListener("toggle", () => node.open && !list.firstChild && open(""));
  return node;
}
