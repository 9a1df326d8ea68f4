/* A picture that can be painted over: by mouse, pen and finger, or cell by cell with the keys. */

import { el } from "./viewer.js";

const CELLS = 7;
const LONGEST = 1024; // of a mask; the server brings it to the picture's size
const TINT = "rgba(236, 72, 60, 0.55)";

/** A canvas that marks parts of a picture of `width` × `height`. */
export function mask(width, height) {
  const ratio = Math.min(1, LONGEST / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  return canvas;
}

/**
 * `painted(mask)` while a stroke grows, `finished(mask)` when it ends. Returns `{ node, show(image), size(share), pending }`:
 * `pending(masks)` sets what is drawn as painted but not yet filled in.
 */
export function brush({ width, height, helpId, painted, finished }) {
  const aspect = width / height;
  const canvas = el("canvas", {
    class: "easel",
    tabindex: "0",
    role: "application",
    "aria-roledescription": "picture to paint over",
    "aria-label": `The picture, ${width} × ${height} pixels.`,
    "aria-describedby": helpId,
  });
  canvas.style.aspectRatio = String(Math.min(Math.max(aspect, 0.5), 4));
  const said = el("span", { class: "unseen", role: "status" });
  const state = { image: null, share: 0.12, waiting: [], stroke: null, last: null, cell: null, frame: 0, at: null };

  const place = () => {
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const s = Math.min(w / width, h / height);
    return { w, h, s, ox: (w - width * s) / 2, oy: (h - height * s) / 2 };
  };
  const request = () => (state.frame ||= requestAnimationFrame(draw));
  const draw = () => {
    state.frame = 0;
    const { w, h, s, ox, oy } = place();
    if (!w) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, w, h);
    if (state.image) {
      ctx.imageSmoothingEnabled = (s * width) / state.image.naturalWidth < 6;
      ctx.drawImage(state.image, ox, oy, width * s, height * s);
    }
    for (const one of [...state.waiting, state.stroke]) if (one) ctx.drawImage(tinted(one), ox, oy, width * s, height * s);
    if (state.cell) {
      const [cw, ch] = [(width * s) / CELLS, (height * s) / CELLS];
      ctx.strokeStyle = "rgba(255, 255, 255, 0.55)";
      ctx.lineWidth = 1;
      ctx.beginPath();
      for (let i = 1; i < CELLS; i++) {
        ctx.moveTo(ox + i * cw, oy);
        ctx.lineTo(ox + i * cw, oy + height * s);
        ctx.moveTo(ox, oy + i * ch);
        ctx.lineTo(ox + width * s, oy + i * ch);
      }
      ctx.stroke();
      for (const [line, color] of [[4, "#000"], [2, "#fff"]]) {
        ctx.lineWidth = line;
        ctx.strokeStyle = color;
        ctx.strokeRect(ox + state.cell.x * cw, oy + state.cell.y * ch, cw, ch);
      }
    } else if (state.at) {
      for (const [line, color] of [[3, "rgba(0, 0, 0, 0.7)"], [1.25, "#fff"]]) {
        ctx.lineWidth = line;
        ctx.strokeStyle = color;
        ctx.beginPath();
        ctx.arc(state.at.px, state.at.py, (state.share / 2) * Math.min(width, height) * s, 0, 2 * Math.PI);
        ctx.stroke();
      }
    }
  };
  const tinted = (one) => {
    const out = document.createElement("canvas");
    out.width = one.width;
    out.height = one.height;
    const ctx = out.getContext("2d");
    ctx.drawImage(one, 0, 0);
    ctx.globalCompositeOperation = "source-in";
    ctx.fillStyle = TINT;
    ctx.fillRect(0, 0, out.width, out.height);
    return out;
  };
  const local = (event) => {
    const box = canvas.getBoundingClientRect();
    const { s, ox, oy } = place();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    return { px, py, x: (px - ox) / s, y: (py - oy) / s };
  };
  const dab = (to) => {
    const ratio = state.stroke.width / width;
    const ctx = state.stroke.getContext("2d");
    ctx.lineCap = ctx.lineJoin = "round";
    ctx.lineWidth = state.share * Math.min(width, height) * ratio;
    ctx.strokeStyle = "#fff";
    ctx.beginPath();
    const from = state.last ?? to;
    ctx.moveTo(from.x * ratio, from.y * ratio);
    ctx.lineTo(to.x * ratio + 0.01, to.y * ratio);
    ctx.stroke();
    state.last = to;
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    state.cell = null;
    state.stroke = mask(width, height);
    state.last = null;
    state.at = local(event);
    dab(state.at);
    painted(state.stroke);
    request();
  });
  canvas.addEventListener("pointermove", (event) => {
    state.at = local(event);
    request();
    if (!state.stroke) return;
    dab(state.at);
    painted(state.stroke);
  });
  const end = () => {
    const stroke = state.stroke;
    state.stroke = null;
    if (stroke) finished(stroke);
    request();
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => {
    state.at = null;
    request();
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const from = state.cell ?? { x: (CELLS >> 1) - step[0], y: (CELLS >> 1) - step[1] };
      const inside = (v) => Math.min(Math.max(v, 0), CELLS - 1);
      state.cell = { x: inside(from.x + step[0]), y: inside(from.y + step[1]) };
      said.textContent = `Row ${state.cell.y + 1}, column ${state.cell.x + 1} of ${CELLS}.`;
    } else if ((event.key === " " || event.key === "Enter") && state.cell) {
      const one = mask(width, height);
      const [x0, x1] = [state.cell.x, state.cell.x + 1].map((c) => Math.round((c * one.width) / CELLS));
      const [y0, y1] = [state.cell.y, state.cell.y + 1].map((c) => Math.round((c * one.height) / CELLS));
      const ctx = one.getContext("2d");
      ctx.fillStyle = "#fff";
      ctx.fillRect(x0, y0, x1 - x0, y1 - y0);
      finished(one);
    } else if (event.key === "Escape") state.cell = null;
    else return;
    event.preventDefault();
    request();
  });
  canvas.addEventListener("blur", () => {
    state.cell = null;
    request();
  });
  const sizes = new ResizeObserver(request);
  sizes.observe(canvas);

  return {
    node: el("div", { class: "easel-frame" }, canvas, said),
    async show(source) {
      const image = new Image();
      image.src = source;
      await image.decode();
      state.image = image;
      request();
    },
    size(share) {
      state.share = share;
      request();
    },
    pending(masks) {
      state.waiting = masks;
      request();
    },
    stop: () => sizes.disconnect(),
  };
}
