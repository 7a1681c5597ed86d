// Draws a figure with the Plotly that one widget of the kernel holds for all of them.
const ORDERS = [
  "addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate",
  "removeLayoutProps", "removeTraceProps",
].map(name => `_py2js_${name}`);
const LINK = /url\((?:&quot;|['"])?[^)#]*#([^)'"&]*)(?:&quot;|['"])?\)/g;
const ANSWER_MS = 300, NEWS = 0.25, SETTLED_MS = 150, MOST_TRIES = 3;

// Values that stay as they are come as a word, which Plotly's views understand; its model would keep it in their place,
// and show nothing there to a view that comes later.
function spelledOut(value) {
  if (value === "_undefined_") return undefined;
  if (Array.isArray(value)) return value.map(spelledOut);
  if (value?.constructor !== Object) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, spelledOut(one)]));
}

// What the browser works out by itself, such as ranges of axes, is neither collected nor told to the kernel: that
// would be one answer for every update, and answers cost more than updates. Of traces that say so, a selection tells its
// range alone: a list of all points within would take longer than to find them in the kernel.
function quiet(bundle) {
  const view = bundle.FigureView.prototype, tell = view._send_points_callback_message;
  view._sendLayoutDelta = view._sendTraceDeltas = () => {};
  view._send_points_callback_message = function (event, kind) {
    const short = kind === "plotly_selected" && event?.points;
    tell.call(this, short ? {...event, points: event.points.filter(({data}) => data?.meta !== "range")} : event, kind);
  };
  return bundle;
}

// Plotly ends a drawing some time after it was asked for, and fails where its element was emptied meanwhile.
function firstDrawing(el) {
  return new Promise(resolve => {
    const listen = ({detail}) => {
      if (detail?.element !== el) return;
      document.removeEventListener("plotlywidget-after-render", listen);
      resolve();
    };
    document.addEventListener("plotlywidget-after-render", listen);
  });
}

async function drawingEnded(el, first) {
  await first;
  await Promise.allSettled(el._promises ?? []);
  await new Promise(resolve => setTimeout(resolve));
}

// A line across all rows at the model's cursor. It lies above the drawing, so that moving it paints no curve again.
function drawCursor(model, el) {
  const line = document.createElement("div");
  line.className = "so3-cursor";
  line.style.cssText = "position: absolute; left: -1px; top: 0; width: 2px; background: #E69F00; pointer-events: none; "
    + "will-change: transform";
  let pointed = null, pointedAt = 0;
  const place = () => {
    const {xaxis, _size} = el._fullLayout ?? {}, x = (model.get("cursor_follows") ? pointed : null) ?? model.get("cursor");
    const at = x === null || !xaxis?._length ? -1 : xaxis.d2p(x);
    line.hidden = !(at >= 0 && at <= xaxis._length);
    if (line.hidden) return;
    line.style.height = `${_size.h}px`;
    line.style.transform = `translate(${xaxis._offset + at}px, ${_size.t}px)`;
  };
  // Where the line follows the pointer it is there at once; what Python answers comes later, to where the pointer was.
  const point = x => { pointed = x; pointedAt = performance.now(); place(); };
  const obey = () => { if (performance.now() - pointedAt > ANSWER_MS) pointed = null; place(); };
  el.style.position = "relative";
  el.append(line);
  for (const event of ["plotly_afterplot", "plotly_relayouting"]) el.on(event, place);
  el.on("plotly_hover", ({points}) => point(points?.[0]?.x ?? null));
  el.on("plotly_unhover", () => point(null));
  model.on("change:cursor", obey);
  model.on("change:cursor_follows", place);
  place();
  return () => { model.off("change:cursor", obey); model.off("change:cursor_follows", place); line.remove(); };
}

// Rings around points, above the drawing as well: [x, y, kind] in the units of the axes.
function drawMarks(model, el) {
  const layer = document.createElement("div");
  layer.style.cssText = "position: absolute; inset: 0; overflow: hidden; pointer-events: none";
  const place = () => {
    const {xaxis, yaxis} = el._fullLayout ?? {};
    layer.replaceChildren(...(xaxis?._length ? model.get("marks") : []).flatMap(([x, y, kind]) => {
      const left = xaxis.d2p(x), top = yaxis.d2p(y);
      if (!(left >= 0 && left <= xaxis._length && top >= 0 && top <= yaxis._length)) return [];
      const ring = document.createElement("div"), size = kind === "current" ? 18 : 13;
      ring.className = `so3-mark so3-mark-${kind}`;
      ring.style.cssText = `position: absolute; box-sizing: border-box; width: ${size}px; height: ${size}px; `
        + `border-radius: 50%; border: 2px solid ${kind === "current" ? "#E69F00" : "#CC79A7"}; `
        + `left: ${xaxis._offset + left - size / 2}px; top: ${yaxis._offset + top - size / 2}px`;
      return [ring];
    }));
  };
  el.style.position = "relative";
  el.append(layer);
  for (const event of ["plotly_afterplot", "plotly_relayouting"]) el.on(event, place);
  model.on("change:marks", place);
  place();
  return () => { model.off("change:marks", place); layer.remove(); };
}

// Calls back with whether an element is within the window of a page that is in front; returns how to end that.
function watchSight(el, tell) {
  let within = true;
  const now = () => tell(within && !document.hidden);
  const watcher = new IntersectionObserver(found => { within = found.at(-1).isIntersecting; now(); });
  watcher.observe(el);
  document.addEventListener("visibilitychange", now);
  return () => { watcher.disconnect(); document.removeEventListener("visibilitychange", now); };
}

// A PNG of what Plotly has drawn, layer on layer.
async function picture(el) {
  const {width, height} = el.getBoundingClientRect(), canvas = new OffscreenCanvas(2 * width, 2 * height);
  const pen = canvas.getContext("2d");
  const shared = [...el.querySelectorAll("svg.main-svg defs")];  // colours of one layer are defined in another
  pen.scale(2, 2);
  for (const layer of el.querySelectorAll("svg.main-svg, .gl-canvas-context, .gl-canvas-focus")) {
    if (layer instanceof HTMLCanvasElement) {
      pen.drawImage(layer, 0, 0, layer.clientWidth, layer.clientHeight);
      continue;
    }
    const copy = layer.cloneNode(true);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.prepend(...shared.map(defs => defs.cloneNode(true)));
    const text = new XMLSerializer().serializeToString(copy).replace(LINK, "url(#$1)"), drawn = new Image();
    drawn.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await drawn.decode();
    pen.drawImage(drawn, 0, 0, layer.clientWidth, layer.clientHeight);
  }
  return (await canvas.convertToBlob()).arrayBuffer();
}

export default () => {
  const listeners = Object.fromEntries(ORDERS.map(name => [name, []])), early = [];
  const shown = new Set(), seen = new Map();  // views, and whether each is in sight
  let figure = null, ready, order = {}, added = [], closed = false;

  function obey(model, name, value) {
    const began = performance.now();
    order = {name, value: spelledOut(value)};
    for (const listener of [...listeners[name]]) listener();
    order = {};
    requestAnimationFrame(() => {
      const took = performance.now() - began, before = model.get("draw_ms");
      if (closed || Math.abs(took - before) < NEWS * before) return;  // every word costs the kernel an answer
      model.set("draw_ms", took);
      model.save_changes();
    });
  }

  function tellSight(model) {
    const now = [...seen.values()].some(Boolean);
    if (closed || !seen.size || model.get("in_sight") === now) return;
    model.set("in_sight", now);
    model.save_changes();
  }

  // The model as Plotly's side sees it.
  const facade = model => ({
    get: name => (name === order.name ? order.value : model.get(name)),
    set: (name, value) => model.set(name, value),
    save_changes: () => { if (!closed) model.save_changes(); },
    on: (event, listener) => {
      const name = event.replace("change:", "");
      listeners[name]?.push(listener);
      added.push([name, listener]);
    },
  });

  return {
    initialize({model}) {
      for (const name of ORDERS)
        model.on(`change:${name}`, () => {
          const value = model.get(name);
          if (value === null) return;
          if (figure) obey(model, name, value);
          else early.push([name, value]);
        });
      ready = library(model, quiet).then(bundle => {
        figure = bundle.default();
        figure.initialize({model: facade(model)});
        for (const [name, value] of early.splice(0)) obey(model, name, value);
      });
      ready.catch(() => {});
      model.on("msg:custom", async ({kind, number}) => {
        const seen = [...shown].find(el => el.getClientRects().length);  // behind another tab there is nothing to see
        if (kind !== "picture" || !seen) return;
        try {
          model.send({kind, number}, undefined, [await picture(seen)]);
        } catch (error) {
          console.debug("so3lab: no picture:", String(error));
        }
      });
      return () => { closed = true; };
    },
    async render({model, el}) {
      el.style.minHeight = `${model.get("_widget_layout").height ?? 360}px`;
      try {
        await ready;
      } catch (error) {
        el.textContent = `This figure could not be drawn (${error.message}). Run its cell again.`;
        return;
      }
      added = [];
      const drawn = firstDrawing(el), remove = figure.render({model, el}), mine = added;
      const removeCursor = drawCursor(model, el), removeMarks = drawMarks(model, el);
      // A figure without a width of its own is as wide as its page; Plotly forgets that when its height is changed.
      const fit = () => {
        if (el.layout && model.get("_widget_layout").width === undefined) delete el.layout.width;
        el._responsiveChartHandler?.();
      };
      const watcher = new ResizeObserver(fit);
      watcher.observe(el);
      // And where its page changed while it was drawn, of which no observer could tell Plotly yet.
      let tries = 0, waiting = null;
      el.on("plotly_afterplot", () => {
        const chosen = model.get("_widget_layout").width !== undefined;
        const fits = chosen || !el.clientWidth || Math.abs(el._fullLayout.width - el.clientWidth) <= 1;
        if (fits) tries = 0;
        if (fits || waiting || tries >= MOST_TRIES) return;
        tries += 1;
        waiting = setTimeout(() => { waiting = null; if (shown.has(el)) fit(); }, SETTLED_MS);
      });
      shown.add(el);
      const lookNoMore = watchSight(el, within => { seen.set(el, within); tellSight(model); });
      return () => {
        watcher.disconnect();
        lookNoMore();
        shown.delete(el);
        seen.delete(el);
        removeCursor();
        removeMarks();
        for (const [name, listener] of mine)
          if (listeners[name]) listeners[name] = listeners[name].filter(other => other !== listener);
        drawingEnded(el, drawn).then(remove);
      };
    },
  };
};
