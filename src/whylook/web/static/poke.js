/* Poke: change the picture with your own hand, and see at once what the models make of it. */

import { brush, mask } from "./brush.js";
import { plot } from "./plot.js";
import { el, mount, number, segmented } from "./viewer.js";

const PAUSE = 160; // ms without a further change before the models are asked
const PARTS = [["lesion", "Lesion"], ["marker", "Marker"], ["catheter", "Catheter"]];
let serial = 0;

const percent = (p) => (p >= 0.9995 ? "> 99.9 %" : p < 0.0005 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`);
const two = (v) => v.toFixed(1).replace("-", "−");

/** Fill `element` with what pokes at a result; returns how to stop. */
export function poking(element, { job, view, context }) {
  const shell = el("div", {});
  let inner = poke(shell, { job, view, context, which: 0 });
  if (view.pictures.length > 1) {
    element.append(
      el(
        "label",
        { class: "field" },
        "Picture",
        el(
          "select",
          {
            onchange: (event) => {
              inner();
              shell.replaceChildren();
              inner = poke(shell, { job, view, context, which: Number(event.target.value) });
            },
          },
          view.sections.flatMap((s) => s.explanations).map((e) => view.pictures[e.picture].name).map((name, i) => el("option", { value: String(i) }, name)),
        ),
      ),
    );
  }
  element.append(shell);
  return () => inner();
}

function poke(element, { job, view, context, which }) {
  const { api, say } = context;
  const explanations = view.sections.flatMap((s) => s.explanations);
  const explanation = explanations[which];
  if (!explanation) {
    element.append(el("p", {}, "There are no maps of this picture, so there is nothing to poke at."));
    return () => {};
  }
  const picture = view.pictures[explanation.picture];
  const models = explanation.models.map((m) => m.name);
  const maps = explanation.maps.filter((m) => !m.reason);
  const methods = [...new Set(explanation.maps.map((m) => m.method))];
  const targets = Object.fromEntries([...explanation.maps].reverse().map((m) => [m.model, m.target.index])); // of several the first
  const titled = (method) => view.methods[method]?.title ?? method;

  const edits = []; // {kind, …, label}
  const parts = { lesion: true, marker: true, catheter: true };
  let switched = false;
  let growing = null; // the mask of a stroke that is not finished
  let fill = "blur";
  let method = methods.includes("grad-cam") ? "grad-cam" : methods[0];
  let history = []; // margins by model after every step
  let timer = 0;
  let inFlight = false;
  let again = false;
  let stopped = false;
  let viewer = null;

  /* ---- what is asked ---- */

  const sent = () => {
    const out = [];
    if (switched) out.push({ kind: "phantom", ...parts });
    let run = null; // strokes of one fill in a row are one mask
    for (const edit of [...edits, ...(growing ? [{ kind: "paint", fill, mask: growing }] : [])]) {
      if (edit.kind === "switch") continue; // what is on and off in the end was said first
      if (edit.kind !== "paint") {
        out.push({ kind: edit.kind, explanation: job.id, number: which, model: edit.model, method: edit.method, share: edit.share, fill: edit.fill });
        run = null;
      } else if (run && run.fill === edit.fill) run.mask.getContext("2d").drawImage(edit.mask, 0, 0);
      else {
        run = { kind: "paint", fill: edit.fill, mask: mask(picture.width, picture.height) };
        run.mask.getContext("2d").drawImage(edit.mask, 0, 0);
        out.push(run);
      }
    }
    return out.map((e) => (e.kind === "paint" ? { ...e, mask: e.mask.toDataURL("image/png").split(",")[1] } : e));
  };
  const steps = () => edits.length;
  const ask = async () => {
    clearTimeout(timer);
    if (stopped) return;
    if (inFlight) {
      again = true;
      return;
    }
    inFlight = true;
    working(true);
    const at = steps();
    const closed = !growing;
    try {
      const asked = method === "*" ? methods : [method];
      const answer = await api.post("/api/poke", { picture: `${job.id}/${which}`, models, methods: asked, targets, edits: sent() });
      if (stopped) return;
      trouble.textContent = "";
      await told(answer, at, closed);
    } catch (error) {
      if (!stopped) trouble.textContent = error.message;
    } finally {
      inFlight = false;
      working(again);
      if (again && !stopped) {
        again = false;
        ask();
      }
    }
  };
  const soon = (pause = PAUSE) => {
    clearTimeout(timer);
    timer = setTimeout(ask, pause);
  };

  /* ---- what is shown ---- */

  let patience = 0;
  const working = (on) => {
    clearTimeout(patience);
    busy.textContent = on ? "asking …" : "";
    if (on) patience = setTimeout(() => (busy.textContent = "waiting for what is being computed …"), 2500);
  };
  const told = async (answer, at, closed) => {
    await Promise.all([easel.show(answer.view.pictures[0].src), viewer ? viewer.update(answer.view) : open(answer.view)]);
    if (closed && at === steps()) {
      history = history.slice(0, at);
      history[at] = Object.fromEntries(answer.models.map((m) => [m.name, m.after.margin]));
      if (answer.switches) prepareSwitches(answer.switches);
      history[0] ??= Object.fromEntries(answer.models.map((m) => [m.name, m.before.margin]));
      easel.pending([]);
    }
    rows.replaceChildren(...answer.models.map(row));
    draw();
    filled.textContent = answer.filled > 0 ? `${(100 * answer.filled).toFixed(1)} % of the picture is filled in.` : "Nothing is filled in.";
    if (closed) {
      const first = answer.models[0];
      say(`${first.name}: margin of ${first.target.label} ${number(first.before.margin)} before, ${number(first.after.margin)} now.`);
    }
    back.disabled = reset.disabled = false;
    back.disabled = !edits.length;
    reset.disabled = !edits.length;
  };
  const open = async (payload) => {
    viewer = mount(below, payload, { embedded: true });
    await viewer.loaded;
  };
  const row = (m, k) => {
    const top = m.after.top[0];
    const other = top.index !== m.target.index;
    return el(
      "tr",
      { class: other ? "changed" : null },
      el("th", { scope: "row" }, el("span", { class: `swatch of-${k % 8}`, "aria-hidden": "true" }), el("bdi", {}, m.name), el("span", { class: "asked-of-class muted" }, "of ", el("bdi", {}, m.target.label))),
      el("td", {}, el("bdi", {}, top.label), el("span", { class: "number muted" }, ` ${percent(top.probability)}`)),
      el("td", { class: "number" }, `${percent(m.before.probability)} → ${percent(m.after.probability)}`),
      el("td", { class: "number" }, `${two(m.before.margin)} → ${two(m.after.margin)}`),
    );
  };
  const draw = () => {
    const names = ["as it was", ...edits.map((e) => e.label)];
    chart.replaceChildren(plot(models.map((name) => ({ name, values: names.map((_, i) => history[i]?.[name] ?? NaN) })), names));
  };

  /* ---- hands ---- */

  const add = (edit) => {
    if (edits.length >= 60) {
      trouble.textContent = "60 steps are the most; undo some, or begin anew.";
      return;
    }
    edits.push(edit);
    easel.pending(edits.filter((e) => e.kind === "paint" && !history[edits.indexOf(e) + 1]).map((e) => e.mask));
    back.disabled = reset.disabled = false;
    soon(0);
  };
  const helpId = `poke-help-${++serial}`;
  const easel = brush({
    width: picture.width,
    height: picture.height,
    helpId,
    painted: (stroke) => {
      growing = stroke;
      soon();
    },
    finished: (stroke) => {
      growing = null;
      add({ kind: "paint", fill, mask: stroke, label: `painted, ${fill}` });
    },
  });
  const size = el("input", {
    type: "range", min: "2", max: "50", value: "12", "aria-label": "Size of the brush",
    oninput: () => {
      easel.size(Number(size.value) / 100);
      size.setAttribute("aria-valuetext", `${size.value} percent of the shorter side`);
    },
  });
  const back = el("button", { type: "button", disabled: true, onclick: () => undo(1) }, "Undo");
  const reset = el("button", { type: "button", disabled: true, onclick: () => undo(edits.length) }, "Begin anew");
  const undo = (count) => {
    edits.splice(edits.length - count, count);
    switched = edits.some((e) => e.kind === "switch");
    const last = edits.findLast((e) => e.kind === "switch");
    Object.assign(parts, last ? last.parts : given);
    for (const [name, box] of Object.entries(boxes)) box.checked = parts[name];
    history.length = Math.min(history.length, edits.length + 1);
    easel.pending([]);
    soon(0);
  };

  const share = el("input", {
    type: "range", min: "1", max: "50", value: "10", "aria-label": "Share of the picture",
    oninput: () => {
      shared.textContent = `${share.value} %`;
      const last = edits.at(-1);
      if (last && (last.kind === "remove" || last.kind === "keep")) {
        last.share = Number(share.value) / 100;
        last.label = `${last.kind === "remove" ? "removed" : "kept"} ${share.value} %`;
        history.length = Math.min(history.length, edits.length);
        soon();
      }
    },
  });
  const shared = el("output", { class: "number" }, "10 %");
  const source = el(
    "select",
    { "aria-label": "The map" },
    maps.map((m, i) => el("option", { value: String(i), selected: m.method === method && m.model === models[0] }, `${titled(m.method)} of ${m.model}`)),
  );
  const byMap = (kind) => () => {
    const m = maps[Number(source.value)];
    add({ kind, model: m.model, method: m.method, share: Number(share.value) / 100, fill, label: `${kind === "remove" ? "removed" : "kept"} ${share.value} %` });
  };

  const boxes = {};
  const switches = el("fieldset", { class: "switches", hidden: true }, el("legend", {}, "In this drawn film"));
  let given = { ...parts };
  const prepareSwitches = (found) => {
    if (!switches.hidden) return;
    given = found;
    Object.assign(parts, given);
    for (const [name, text] of PARTS) {
      boxes[name] = el("input", {
        type: "checkbox",
        checked: parts[name],
        onchange: () => {
          parts[name] = boxes[name].checked;
          switched = true;
          add({ kind: "switch", parts: { ...parts }, label: `${text.toLowerCase()} ${parts[name] ? "on" : "off"}` });
        },
      });
      switches.append(el("label", {}, boxes[name], text));
    }
    switches.hidden = false;
  };

  const trouble = el("p", { class: "trouble", role: "alert" });
  const busy = el("span", { class: "muted busy-word" });
  const filled = el("span", { class: "muted" }, "Nothing is filled in.");
  const rows = el("tbody", {}, models.map((name) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { colspan: "3" }, " "))));
  const chart = el("div", { class: "chart" });
  const below = el("div", { class: "poke-maps" });
  element.append(
    el(
      "div",
      { class: "poke" },
      el(
        "section",
        { class: "poke-picture", "aria-label": "The picture" },
        easel.node,
        el("p", { class: "fine filled-in" }, filled, " ", busy),
        el("p", { class: "fine", id: helpId }, "Paint over what you want gone. By keys: arrows choose one of 7 × 7 cells, Space fills it."),
      ),
      el(
        "section",
        { class: "poke-hands", "aria-label": "Tools" },
        segmented("Fill with", "fill", [["blur", "Blur"], ["mean", "Mean"], ["noise", "Noise"]], fill, (kind) => (fill = kind)),
        el("label", { class: "field" }, el("span", {}, "Brush"), size),
        el("p", { class: "actions" }, back, reset),
        switches,
        maps.length > 0 &&
          el(
            "fieldset",
            { class: "by-map" },
            el("legend", {}, "Or test a map"),
            source,
            el("label", { class: "field" }, el("span", {}, "Its highest"), share, shared),
            el("p", { class: "actions" }, el("button", { type: "button", onclick: byMap("remove") }, "Remove what it shows"), el("button", { type: "button", onclick: byMap("keep") }, "Keep only that")),
          ),
        trouble,
      ),
      el(
        "section",
        { class: "poke-answers", "aria-label": "Answers" },
        el(
          "div",
          { class: "scroll", tabindex: "0", role: "group", "aria-label": "Answers before and after" },
          el(
            "table",
            {},
            el("thead", {}, el("tr", {}, ["Model", "Says now", "Probability", "Margin"].map((t, i) => el("th", { scope: "col", class: i > 1 ? "number" : null }, t)))),
            rows,
          ),
        ),
        chart,
        el("p", { class: "fine" }, "Margin: log-odds of the explained class. Above 0 the model holds it for more likely than all others together. Each step is a dot."),
      ),
    ),
    el(
      "label",
      { class: "field maps-by" },
      "Maps after the change, by",
      el(
        "select",
        {
          onchange: (event) => {
            method = event.target.value;
            viewer?.destroy();
            viewer = null;
            soon(0);
          },
        },
        methods.map((m) => el("option", { value: m, selected: m === method }, titled(m))),
        methods.length > 1 && el("option", { value: "*" }, "all of them"),
      ),
    ),
    below,
  );
  easel.show(picture.src);
  draw();
  ask();
  return () => {
    stopped = true;
    clearTimeout(timer);
    clearTimeout(patience);
    easel.stop();
    viewer?.destroy();
  };
}
