// How a viewer lives in a page: what makes it, what reaches it, what ends it. Positions come as binary messages and are painted when the browser gets to it: the
// newest there is, without acknowledgement; twice a second the page reports how many it painted.

const REPORT_MS = 500;
const NO_WEBGL = "This browser draws nothing in 3D (it has no WebGL, or hardware acceleration is off), so the molecule "
  + "cannot be shown. Switch hardware acceleration on in its settings, or open the page in another browser.";

const floats = view => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

// NGL: that of nglview's extension where the page has it, else what the kernel holds.
async function engine(model) {
  const manager = model.widget_manager;
  if (manager.loadClass) {
    try { return await manager.loadClass("NGL", "nglview-js-widgets", "*"); } catch (error) {
      console.debug("so3lab: no extension of nglview:", String(error));
    }
  }
  return library(model, () => globalThis.NGL);
}

// Why there is no molecule, as a sentence.
function whyNot(error) {
  return error.message === NO_WEBGL ? NO_WEBGL
    : `The molecule could not be drawn (${error.message}). Load the page again, or run the cell again.`;
}

export default () => {
  const latest = {}, scenes = new Set();
  let came = 0;

  function receive(model, message, buffers) {
    if (message.kind === "frame") {
      message.parts.forEach((name, k) => { latest[name] = floats(buffers[k]); });
      for (const name of message.gone) delete latest[name];
      const faded = message.gone.includes("values");  // numbers of another colour are no colours of this one
      if (faded) delete latest.colours;
      if (message.pairs) latest.pairs = message.pairs;
      if (message.domain) {
        const [low, high] = message.domain, paint = painter(message.scale);
        latest.colours = Array.from(latest.values, x => paint((x - low) / (high - low || 1)));
      }
      came += 1;
      scenes.forEach(({scene, controls}) => { scene.update(Boolean(message.domain) || faded); controls.measure(); });
    } else if (message.kind === "picture") {
      const first = [...scenes].find(({controls}) => controls.root.getClientRects().length);  // not behind another tab
      first?.scene.picture().then(async blob =>
        model.send({kind: "picture", number: message.number}, undefined, [await blob.arrayBuffer()])
      ).catch(error => console.debug("so3lab: no picture:", String(error)));
    } else if (message.kind === "download") {
      download(message.name, new Blob([buffers[0]]));
    }
  }

  return {
    initialize({model}) {
      model.on("msg:custom", (message, buffers) => receive(model, message, buffers));
      model.on("change:_structure", () => {  // positions of something else are no start for this one
        if (model.get("_structure").fresh) for (const name of Object.keys(latest)) delete latest[name];
      });
    },

    async render({model, el}) {
      const root = element("div", {className: "so3-stage"});
      root.style.height = `${model.get("height")}px`;
      el.classList.add("so3-viewer");
      el.append(root);
      const paint = dark => el.classList.toggle("so3-dark", dark);
      paint(isDark(el));
      let scene;
      try {
        if (whatDraws() === null) throw new Error(NO_WEBGL);
        scene = new Scene(await engine(model), model, root, latest);
      } catch (error) {
        console.debug("so3lab: no molecule:", String(error));
        root.append(element("p", {className: "so3-missing", textContent: whyNot(error)}));
        return watchTheme(el, paint);
      }
      const controls = new Controls(model, scene, root);
      root.scene = scene;  // what is drawn, for the browser's console and for tests
      const view = {scene, controls};
      scenes.add(view);
      const on = (names, act) => names.split(" ").forEach(name => model.on(`change:${name}`, act));
      const reload = () => scene.load(), redraw = () => { scene.draw(); scene.update(true); controls.refresh(); };
      const mark = () => { scene.update(false); controls.measure(); };
      const refresh = () => controls.refresh();
      const rescale = () => { scene.update(false); };
      const handlers = [["_structure", reload], ["representation colour labels", redraw], ["picked", () => { mark(); refresh(); }],
        ["arrow_scale link_threshold links_of_picked", rescale], ["_overlays", () => scene.overlay()],
        ["camera", () => scene.lookAsTold()],
        ["frame frames playing fps loop smoothing colours notice caption forces has_forces follow images tools saves arrow_scale arrow_names _legend _structure link_threshold links_of_picked _links_legend _overlays",
          refresh]];
      handlers.forEach(([names, act]) => on(names, act));
      on("height", () => { root.style.height = `${model.get("height")}px`; });
      const leaveTheme = watchTheme(el, dark => { paint(dark); scene.setTheme(dark); redraw(); });
      const reporting = setInterval(() => {
        const painted = scene.painted ?? 0;
        if (!(came || painted) || document.hidden) return;
        came = scene.painted = 0;
        ifHeard(() => model.send({kind: "painted", count: painted}));
      }, REPORT_MS);
      await scene.load();
      await scene.overlay();
      model.send({kind: "hello", in_software: inSoftware()});
      return () => {
        clearInterval(reporting);
        leaveTheme();
        handlers.forEach(([names, act]) => names.split(" ").forEach(name => model.off(`change:${name}`, act)));
        scenes.delete(view);
        scene.close();
      };
    },
  };
};
