/* The narrator that asks a language service: only where the server was started with one, and only after a yes. */

import { OVER } from "./api.js";
import { el, narrative } from "./viewer.js";

export function language(job, view, context) {
  const { api, say } = context;
  const trouble = el("p", { class: "trouble", role: "alert" });
  const place = el("div", {});
  const node = el("section", { class: "language", "aria-labelledby": "language-title" }, el("h2", { id: "language-title" }, "Ask a language model"), place, trouble);
  let agreed = false;
  let picture = 0;

  const attempt = async (act) => {
    trouble.textContent = "";
    try {
      await act();
    } catch (error) {
      trouble.textContent = error.message;
    }
  };
  const narrate = (yes) => api.post(`/api/explanations/${job.id}/narrative`, { by: "openai", agreed: yes, picture });

  const offer = () => {
    const which =
      view.pictures.length > 1 &&
      el("label", { class: "field" }, "About", el("select", { onchange: (event) => (picture = Number(event.target.value)) }, job.request.names.map((name, i) => el("option", { value: String(i) }, name))));
    place.replaceChildren(
      el("p", { class: "prose" }, "It is given the facts below the text above, and its sentences are checked against them. Nothing is sent before you have seen what it is."),
      el("p", { class: "actions" }, which, el("button", { type: "button", onclick: () => attempt(preview) }, "Show what would be sent")),
    );
  };
  const preview = async () => {
    try {
      follow(await narrate(false)); // a service on this machine may need no consent
    } catch (error) {
      if (error.status !== 409 || !error.body?.preview) throw error;
      consent(error.body.preview);
    }
  };
  const consent = (what) => {
    const lines = what.lines ?? [];
    place.replaceChildren(
      el(
        "div",
        { class: "consent", role: "group", "aria-labelledby": "consent-title" },
        el("h3", { id: "consent-title", tabindex: "-1" }, "This would leave your machine"),
        el(
          "dl",
          {},
          [["To", what.address], ["Model", what.model], ["In all", `${Number(what.bytes).toLocaleString("en")} bytes, and the questions you ask later`]].map(([k, v]) => [el("dt", {}, k), el("dd", {}, el("bdi", {}, v))]),
          el("dt", {}, "Pictures"),
          el("dd", {}, what.pictures.length ? el("ul", { class: "sent" }, what.pictures.map(sent)) : "none"),
        ),
        lines.length > 0 && el("pre", {}, lines.join("\n")),
        el("details", {}, el("summary", {}, "The facts, word for word"), el("pre", { tabindex: "0" }, typeof what.facts === "string" ? what.facts : JSON.stringify(what.facts, null, 1))),
        el("p", { class: "actions" }, el("button", { type: "button", class: "primary", onclick: () => attempt(async () => ((agreed = true), follow(await narrate(true)))) }, "Send it"), el("button", { type: "button", onclick: offer }, "Do not send")),
      ),
    );
    place.querySelector("h3").focus();
  };
  const sent = (one) =>
    el("li", {}, one.src && el("img", { src: one.src, alt: "" }), el("span", {}, typeof one === "string" ? one : `${one.caption ?? ""}${one.bytes ? `, ${Number(one.bytes).toLocaleString("en")} bytes` : ""}`));
  const follow = (asked) => {
    const line = el("p", { class: "muted" }, "Asked; its answer is being checked …");
    place.replaceChildren(line);
    const update = (now) => {
      if (!OVER.includes(now.state)) return;
      if (now.state === "done") attempt(async () => answered(await api.get(now.links.result)));
      else {
        offer();
        trouble.textContent = now.error ?? "";
      }
    };
    update(asked);
    if (!OVER.includes(asked.state)) api.events(`/api/jobs/${asked.id}/events`, update, (error) => (trouble.textContent = error.message));
  };
  const answered = (told) => {
    say("The language model has answered.");
    const talk = el("ol", { class: "talk", "aria-live": "polite" });
    const question = el("input", { type: "text", id: "question", maxlength: "500", autocomplete: "off" });
    const form = el(
      "form",
      {
        class: "ask",
        onsubmit: (event) => {
          event.preventDefault();
          const text = question.value.trim();
          if (!text) return;
          question.value = "";
          attempt(() => ask(text, talk));
        },
      },
      el("label", { for: "question" }, "A question about these maps"),
      question,
      el("button", { type: "submit" }, "Ask"),
    );
    place.replaceChildren(narrative(told.narrative ?? told, "h3"), talk, form);
  };
  const ask = async (text, talk) => {
    const reply = el("div", { class: "reply" }, el("p", { class: "muted" }, "…"));
    talk.append(el("li", {}, el("p", { class: "question-asked", dir: "auto" }, text), reply));
    const claims = [];
    await api.stream(`/api/explanations/${job.id}/questions`, { question: text, agreed, picture }, (name, data) => {
      if (name === "error") throw new api.ApiError(data.error?.sentence ?? data.sentence ?? "The service did not answer.");
      if (name === "narrative") reply.replaceChildren(narrative(data, "h3"));
      else if (data.text) {
        claims.push(data);
        reply.replaceChildren(...claims.map((claim) => el("p", { class: `prose claim ${claim.kind ?? ""}`, dir: "auto" }, claim.text)));
      }
    });
    if (reply.querySelector(".muted") && !claims.length) reply.replaceChildren(el("p", { class: "muted" }, "Nothing of its answer passed the check."));
  };
  offer();
  return node;
}
