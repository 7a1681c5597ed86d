// Draws a figure with the Plotly that one widget of the kernel holds: sent once per kernel, read once per page.
const ORDERS = [
  "addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate",
  "removeLayoutProps", "removeTraceProps",
].map(name => `_py2js_${name}`);
const pages = (globalThis.so3labPlotly ??= {});

function plotly(model) {
  const version = model.get("_plotly_version");
  return (pages[version] ??= unpack(model).catch(error => { delete pages[version]; throw error; }));
}

async function unpack(model) {
  const holder = await find(model.widget_manager, model.get("_source"));
  const packed = new Blob([holder.get("packed")]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = new Blob([await new Response(packed).arrayBuffer()], {type: "text/javascript"});
  const address = URL.createObjectURL(script);
  try { return await import(address); } finally { URL.revokeObjectURL(address); }
}

// A page that was loaded again learns of the kernel's widgets in any order.
async function find(manager, id) {
  for (let tries = 0; !manager.has_model(id) && tries < 100; tries++)
    await new Promise(resolve => setTimeout(resolve, 100));
  return manager.get_model(id);
}

export default () => {
  const listeners = Object.fromEntries(ORDERS.map(name => [name, []])), early = [];
  let figure = null, ready, order = {}, added = [], closed = false;

  function obey(name, value) {
    order = {name, value};
    for (const listener of [...listeners[name]]) listener();
    order = {};
  }

  // The model as Plotly's side sees it. What the browser worked out by itself (the deltas) stays here: it would be
  // one answer to the kernel for every update, and answers cost more than updates.
  const facade = model => ({
    get: name => (name === order.name ? order.value : model.get(name)),
    set: (name, value) => { if (!/Deltas?$/.test(name)) model.set(name, value); },
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
          if (figure) obey(name, value);
          else early.push([name, value]);
        });
      ready = plotly(model).then(bundle => {
        figure = bundle.default();
        figure.initialize({model: facade(model)});
        for (const [name, value] of early.splice(0)) obey(name, value);
      });
      ready.catch(() => {});
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
      const remove = figure.render({model, el}), mine = added;
      const watcher = new ResizeObserver(() => el._responsiveChartHandler?.());
      watcher.observe(el);
      return () => {
        watcher.disconnect();
        for (const [name, listener] of mine)
          if (listeners[name]) listeners[name] = listeners[name].filter(other => other !== listener);
        remove();
      };
    },
  };
};
