/* The narrator that asks a language service: only where the server was started with one, and only after a yes. */

import { OVER } from "./api.js";
import { el, narrative } from "./viewer.js";

export function language(job, view, context) {
  const { api, say } = context;
  const trouble = el("p", { class: "trouble", role: "alert" });
  const place = el("div", {});
  const node = el("section", { class: "language", "aria-labelledby": "language-title" }, el("h2", { id: "language-title" }, "Ask a language model"), place, trouble);
  let agreed = null; // the digest of what was agreed to
  let picture = 0;

  const attempt = async (act) => {
    trouble.textContent = "";
    try {
      await act();
    } catch (error) {
      if (error.status !== 409 || !error.body?.preview) trouble.textContent = error.message;
      else consent(error.body.preview, agreed === null ? "" : error.message); // nothing was sent: it is to be agreed to first
    }
  };
  const narrate = (digest = null) =>
    api.post(`/api/explanations/${job.id}/narrative`, { by: "openai", agreed: digest !== null, digest, picture });

  const offer = () => {
    const which =
      view.pictures.length > 1 &&
      el("label", { class: "field" }, "About", el("select", { onchange: (event) => (picture = Number(event.target.value)) }, job.request.names.map((name, i) => el("option", { value: String(i) }, name))));
    place.replaceChildren(
      el("p", { class: "prose" }, "It is given the facts below the text above, and its sentences are checked against them. Nothing is sent before you have seen what it is."),
      el("p", { class: "actions" }, which, el("button", { type: "button", onclick: () => attempt(async () => follow(await narrate())) }, "Show what would be sent")),
    );
  };
  const consent = (what, why) => {
    place.replaceChildren(
      el(
        "div",
        { class: "consent", role: "group", "aria-labelledby": "consent-title" },
        el("h3", { id: "consent-title", tabindex: "-1" }, what.local ? "This would be sent to another program on this machine" : "This would leave this machine"),
        why && el("p", { class: "failed" }, why),
        el(
          "dl",
          {},
          [["To", `${what.address} (${what.local ? "this machine" : what.encrypted ? "another machine" : "another machine, not encrypted: anybody on the way can read it"})`], ["Model", what.model], ["In all", `${Number(what.bytes).toLocaleString("en")} bytes, and the questions you ask later`]].map(([k, v]) => [el("dt", {}, k), el("dd", {}, el("bdi", {}, v))]),
          el("dt", {}, "Pictures"),
          el("dd", {}, what.pictures.length ? el("ul", { class: "sent" }, what.pictures.map(sent)) : "none"),
        ),
        el("details", {}, el("summary", {}, "The facts, word for word"), el("pre", { tabindex: "0" }, what.facts)),
        el("details", {}, el("summary", {}, "All of it in words"), el("pre", { tabindex: "0" }, what.words.join("\n"))),
        el("p", { class: "actions" }, el("button", { type: "button", class: "primary", onclick: () => attempt(async () => ((agreed = what.digest), follow(await narrate(what.digest)))) }, "Send it"), el("button", { type: "button", onclick: offer }, "Do not send")),
      ),
    );
    place.querySelector("h3").focus();
  };
  const sent = (one) =>
    el("li", {}, el("img", { src: one.src, alt: "" }), el("span", {}, el("bdi", {}, one.caption), `, ${one.width} × ${one.height} pixels, ${one.bytes.toLocaleString("en")} bytes`));
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
    place.replaceChildren(narrative(told, "h3"), talk, form);
  };
  const ask = async (text, talk) => {
    const reply = el("div", { class: "reply" }, el("p", { class: "muted" }, "…"));
    talk.append(el("li", {}, el("p", { class: "question-asked", dir: "auto" }, text), reply));
    const lines = [];
    const add = (line) => {
      lines.push(line);
      reply.replaceChildren(...lines);
    };
    await api.stream(`/api/explanations/${job.id}/questions`, { question: text, agreed: true, digest: agreed, picture }, (name, data) => {
      if (name === "error") throw new api.ApiError(data.sentence);
      if (name === "claim" || name === "limit") {
        const facts = Object.values(data.facts);
        add(el("p", { class: `prose claim ${data.kind}`, dir: "auto" }, data.text, facts.length > 0 && el("details", { class: "facts" }, el("summary", {}, "What it rests on"), el("ul", {}, facts.map((f) => el("li", {}, f))))));
      } else if (name === "dropped") add(el("p", { class: "muted", dir: "auto" }, el("s", {}, data.text), " ", data.reason));
      else if (name === "note") add(el("p", { class: "muted", dir: "auto" }, data.text));
    });
    if (!lines.length) add(el("p", { class: "muted" }, "Nothing of its answer passed the check."));
  };
  offer();
  return node;
}
