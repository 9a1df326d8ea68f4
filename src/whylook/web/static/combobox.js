/* A field with suggestions, by the ARIA pattern of an editable combobox with a list: arrows, Enter, Escape. */

import { el } from "./viewer.js";

let serial = 0;

/**
 * `look(text, signal)` returns [{index, label}]; `change(entry or null)` is called when one was taken, or the field emptied.
 */
export function combobox({ label, chosen, look, change }) {
  const id = `combobox-${++serial}`;
  let entries = [];
  let active = -1;
  let timer = 0;
  let asked = new AbortController();
  const list = el("ul", { id: `${id}-list`, role: "listbox", "aria-label": `${label}: suggestions`, hidden: true });
  const input = el("input", {
    type: "text",
    id,
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": list.id,
    value: chosen ? chosen.label : null,
    placeholder: "a name or a number",
  });
  const status = el("span", { class: "unseen", role: "status" });

  const open = (on) => {
    list.hidden = !on;
    input.setAttribute("aria-expanded", String(on));
    if (!on) mark(-1);
  };
  const mark = (at) => {
    active = at;
    [...list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === at)));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  };
  const take = (entry) => {
    input.value = entry.label;
    open(false);
    change(entry);
  };
  const show = async () => {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    let found;
    try {
      found = await look(input.value.trim(), signal);
    } catch (error) {
      if (!signal.aborted) status.textContent = error.message;
      return;
    }
    if (signal.aborted) return;
    entries = found;
    list.replaceChildren(
      ...entries.map((entry, i) =>
        el(
          "li",
          { id: `${id}-${i}`, role: "option", "aria-selected": "false", onpointerdown: (event) => event.preventDefault(), onclick: () => take(entry) },
          el("bdi", {}, entry.label),
          el("span", { class: "number muted" }, String(entry.index)),
        ),
      ),
    );
    status.textContent = entries.length ? `${entries.length} classes fit.` : "No class fits.";
    open(entries.length > 0 && document.activeElement === input);
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    if (!input.value.trim()) change(null);
    timer = setTimeout(show, 120);
  });
  input.addEventListener("focus", () => input.select());
  input.addEventListener("blur", () => open(false));
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) show();
      else mark((active + (event.key === "ArrowDown" ? 1 : -1) + entries.length) % entries.length);
    } else if (event.key === "Enter" && !list.hidden) {
      event.preventDefault();
      take(entries[Math.max(0, active)]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      open(false);
    }
  });
  return el("div", { class: "combobox" }, el("label", { for: id }, label), el("span", { class: "over" }, input, list), status);
}
