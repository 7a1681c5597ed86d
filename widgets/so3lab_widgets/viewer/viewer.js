// Draws a molecule with the NGL that nglview brings along. Positions come as binary messages and are painted when
// the browser gets to it: the newest there is, without acknowledgement; twice a second it reports how many it painted.

const REPORT_MS = 500, CAMERA_MS = 300, MOST_PICKED = 4;
const ARC_POINTS = 24, ARC_RADIUS = 0.9;
const EDGE_SHARE = 0.003;  // of a cell's length: what is thinner than a pixel at its far side is not drawn
const ATOM_RADIUS = {spacefill: 1.5}, SLIM_RADIUS = 0.6, ROOM = 1.15, CLOSEST = 0.8;
const HALO_SCALE = {spacefill: 0.87}, SLIM_HALO_SCALE = 0.29, HALO = [1.0, 0.75, 0.3];  // of van der Waals radii; in the shade of a far side
const REPRESENTATIONS = {
  "ball+stick": ["ball+stick", {aspectRatio: 1.7, radiusSize: 0.17, multipleBond: "off"}],
  licorice: ["licorice", {radiusSize: 0.17, multipleBond: "off"}],
  spacefill: ["spacefill", {radiusScale: 0.75}],
  line: ["line", {linewidth: 3}],
};
const CELL_EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];
const BODIES = {
  arrows: ["ArrowBuffer", {openEnded: false}],
  halos: ["EllipsoidBuffer", {sphereDetail: 3}],
};
const FAR_SIDE = {side: "back", roughness: 1};
const EXTENSIONS = {"video/mp4": "mp4", "video/webm": "webm"};

const floats = view => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
const minus = (a, b) => a.map((x, k) => x - b[k]);
const dot = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const scaled = (a, x) => a.map(y => x * y);
const norm = a => Math.sqrt(dot(a, a));
const degrees = x => (180 / Math.PI) * x;

// A vector turned by a quaternion.
function turned(a, {x, y, z, w}) {
  const axis = [x, y, z], t = scaled(cross(axis, a), 2), u = cross(axis, t);
  return a.map((value, k) => value + w * t[k] + u[k]);
}

const cellCorners = cell => Array.from({length: 8}, (_, number) => [0, 1, 2].map(k =>
  (number & 1 ? cell[k] : 0) + (number & 2 ? cell[3 + k] : 0) + (number & 4 ? cell[6 + k] : 0)));

// Places of the atoms in a list; in a cell, each is the image that is nearest to the one before.
function chain(positions, atoms, cell) {
  const at = atoms.map(atom => [...positions.subarray(3 * atom, 3 * atom + 3)]);
  const [a, b, c] = cell ? [0, 3, 6].map(first => [...cell.subarray(first, first + 3)]) : [];
  const volume = cell ? dot(a, cross(b, c)) : 0;
  if (Math.abs(volume) < 1e-6) return at;
  const faces = [cross(b, c), cross(c, a), cross(a, b)];
  const around = [-1, 0, 1].flatMap(i => [-1, 0, 1].flatMap(j => [-1, 0, 1].map(k => [i, j, k])));
  for (let k = 1; k < at.length; k++) {
    const cells = faces.map(face => Math.round(dot(minus(at[k], at[k - 1]), face) / volume));
    const images = around.map(more => at[k].map((x, n) => x - [a, b, c].reduce(
      (sum, vector, m) => sum + (cells[m] + more[m]) * vector[n], 0)));  // the nearest one of a skew cell may be aside
    const far = image => norm(minus(image, at[k - 1]));
    at[k] = images.reduce((best, image) => far(image) < far(best) - 1e-9 ? image : best);
  }
  return at;
}

// Distance, angle or dihedral of places, in words.
function measured(at) {
  if (at.length === 1) return `at ${at[0].map(x => x.toFixed(2)).join(", ")} Å`;
  if (at.length === 2) return `${norm(minus(at[0], at[1])).toFixed(3)} Å`;
  if (at.length === 3) {
    const [u, v] = [minus(at[0], at[1]), minus(at[2], at[1])];
    return `${degrees(Math.acos(dot(u, v) / (norm(u) * norm(v)))).toFixed(1)}°`;
  }
  const [a, b, c] = [minus(at[1], at[0]), minus(at[2], at[1]), minus(at[3], at[2])];
  const [n, m] = [cross(a, b), cross(b, c)];
  return `${degrees(Math.atan2(norm(b) * dot(a, m), dot(n, m))).toFixed(1)}°`;
}

// Points on the arc of an angle, which turns from one direction to another.
function arcBetween(centre, from, to) {
  const u = scaled(from, 1 / norm(from)), aside = minus(to, scaled(u, dot(to, u)));
  const v = scaled(aside, 1 / (norm(aside) || 1)), angle = Math.atan2(dot(to, v), dot(to, u));
  return Array.from({length: ARC_POINTS}, (_, k) => {
    const turn = (angle * k) / (ARC_POINTS - 1);
    return centre.map((x, c) => x + ARC_RADIUS * (u[c] * Math.cos(turn) + v[c] * Math.sin(turn)));
  });
}

function dihedralArc(at) {
  const axis = minus(at[2], at[1]), across = a => minus(a, scaled(axis, dot(a, axis) / dot(axis, axis)));
  const middle = at[1].map((x, c) => 0.5 * (x + at[2][c]));
  return arcBetween(middle, across(minus(at[0], at[1])), across(minus(at[3], at[2])));
}

// Colours between the stops of a scale, as numbers.
function painter(scale) {
  const stops = scale.map(text => [1, 3, 5].map(k => parseInt(text.slice(k, k + 2), 16)));
  return share => {
    const place = Math.min(Math.max(Number.isFinite(share) ? share : 0.5, 0), 1) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2), part = place - low;
    const [r, g, b] = stops[low].map((x, k) => Math.round(x + part * (stops[low + 1][k] - x)));
    return (r << 16) | (g << 8) | b;
  };
}

// A number as a legend says it: three digits, none of them needless.
const tick = x => String(Number(Number(x).toPrecision(3)));

const element = (tag, properties = {}, children = []) => {
  const made = Object.assign(document.createElement(tag), properties);
  if (properties.label) made.setAttribute("aria-label", properties.label);
  made.append(...children);
  return made;
};

// A button that stays down shows so, and says so to screen readers.
function press(button, down) {
  button.classList.toggle("so3-on", down);
  button.setAttribute("aria-pressed", down);
}

function download(name, blob) {
  const link = element("a", {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Tell the kernel something on a timer's behalf; where the model is being closed, or its kernel is
// started again, there is nobody to tell, and Jupyter throws.
function ifHeard(tell) {
  try { tell(); } catch (error) { console.debug("so3lab: not heard:", String(error)); }
}

// Whether the processor draws, which may have a simulation to run, too; asked once a page.
let drawnInSoftware;
function inSoftware() {
  if (drawnInSoftware === undefined) {
    const gl = document.createElement("canvas").getContext("webgl");
    const info = gl?.getExtension("WEBGL_debug_renderer_info");
    const name = gl?.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER) ?? "";
    drawnInSoftware = /swiftshader|llvmpipe|software/i.test(name);
    gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return drawnInSoftware;
}

// NGL asks for smoothed edges, which cost the processor a quarter of every frame and which its balls and sticks, drawn
// by shaders, hardly show; it takes no setting for that, so the question is changed while it asks.
function makeStage(NGL, place, settings) {
  if (!inSoftware()) return new NGL.Stage(place, settings);
  const kind = HTMLCanvasElement.prototype, asked = kind.getContext;
  kind.getContext = function (name, wishes) { return asked.call(this, name, {...wishes, antialias: false}); };
  try { return new NGL.Stage(place, settings); } finally { kind.getContext = asked; }
}

// One drawing of the model: NGL's stage, what stands on it, and what keeps it up to date.
class Scene {
  constructor(NGL, model, place, latest) {
    Object.assign(this, {NGL, model, latest, component: null, shape: null, buffers: {}, dirty: false});
    // NGL cuts off what is far from the middle; a cell may grow, and atoms may fly apart.
    this.stage = makeStage(NGL, place, {sampleLevel: 0, tooltip: false, clipDist: 0.1,
      clipNear: -50, clipFar: 150, fogNear: 150, fogFar: 151});
    this.stage.mouseControls.remove("clickPick-*");
    this.stage.signals.clicked.add(found => this.pick(found));
    this.stage.viewer.signals.rendered.add(() => {
      if (this.dirty) { this.dirty = false; this.painted = (this.painted || 0) + 1; }
    });
    this.scheme = NGL.ColormakerRegistry.addScheme(function () {
      this.atomColor = atom => latest.colours?.[atom.index] ?? 0x808890;
    });
    // Whoever has turned or moved the molecule keeps that; else it is fitted into a view that changes its size.
    this.touched = false;
    for (const name of ["dragged", "scrolled"]) this.stage.mouseObserver.signals[name].add(() => { this.touched = true; });
    this.resizing = new ResizeObserver(() => {
      this.stage.handleResize();
      if (!this.touched) this.centre();
    });
    this.resizing.observe(place);
    this.turning = setInterval(() => this.keepCamera(), CAMERA_MS);
    this.setTheme();
  }

  setTheme() {
    const dark = document.body.dataset.jpThemeLight === "false";
    this.stage.setParameters({backgroundColor: dark ? "#111111" : "#ffffff"});
    this.stage.viewer.renderer.setClearAlpha?.(0);
    this.ink = dark ? "#e0e4e8" : "#30353a";
  }

  async load() {
    const {text} = this.model.get("_structure");
    this.loading = text;
    if (!text) { this.stage.removeAllComponents(); this.component = this.shape = null; return; }
    const component = await this.stage.loadFile(new Blob([text], {type: "text/plain"}), {ext: "pdb"});
    if (this.loading !== text || this.closed) { this.stage.removeComponent(component); return; }
    this.stage.eachComponent(other => other !== component && this.stage.removeComponent(other));
    Object.assign(this, {component, shape: null, buffers: {}, body: null, labels: null});
    this.draw();
    this.update(true);
    if (this.model.get("_structure").fresh || !this.lookAsTold()) this.centre();
  }

  // Take the camera of the model, where somebody has moved it.
  lookAsTold() {
    const camera = this.model.get("camera"), now = this.stage.viewerControls.getOrientation().elements;
    if (camera.length !== 16) return false;
    this.touched = true;
    if (camera.some((x, k) => Math.abs(x - now[k]) > 1e-3)) this.stage.viewerControls.orient(camera);
    return true;
  }

  // Bring everything into view: as near as it fits with some room, but not so near that a turn would hide much of it.
  centre() {
    if (!this.component) return;
    const {viewer, viewerControls} = this.stage, {x, y, z, count} = this.component.structure.atomStore;
    const points = Array.from({length: count}, (_, k) => [x[k], y[k], z[k]]);
    if (this.model.get("_structure").cell) points.push(...cellCorners(this.model.get("_structure").cell));
    const middle = [0, 1, 2].map(c => {
      const [low, high] = points.reduce(([low, high], p) => [Math.min(low, p[c]), Math.max(high, p[c])], [Infinity, -Infinity]);
      return 0.5 * (low + high);
    });
    const edge = ATOM_RADIUS[this.model.get("representation")] ?? SLIM_RADIUS;
    const half = Math.PI / 360 * (viewer.perspectiveCamera?.fov ?? 40), up = Math.tan(half);
    const aside = up * viewer.width / viewer.height, narrow = Math.sin(Math.atan(Math.min(up, aside)));
    let [all, seen] = [1, 1];
    for (const point of points) {
      const [right, high, deep] = turned(minus(point, middle), viewer.rotationGroup.quaternion).map(Math.abs);
      all = Math.max(all, (Math.hypot(right, high, deep) + edge) / narrow);
      seen = Math.max(seen, deep + (right + edge) / aside, deep + (high + edge) / up);
    }
    const distance = Math.min(all, Math.max(ROOM * seen, CLOSEST * all));
    viewerControls.center(new this.NGL.Vector3(...middle));
    viewerControls.zoom(1 - distance / viewerControls.getCameraDistance());
    viewer.requestRender();
    this.touched = this.moving = false;
    this.kept = null;
    if (this.model.get("camera").length) { this.model.set("camera", []); ifHeard(() => this.model.save_changes()); }
  }

  draw() {
    if (!this.component) return;
    this.body && this.component.removeRepresentation(this.body);
    const [name, options] = REPRESENTATIONS[this.model.get("representation")];
    const colour = this.model.get("colour") === "element" ? "element" : this.scheme;
    this.body = this.component.addRepresentation(name, {...options, color: colour});
    this.labels && this.component.removeRepresentation(this.labels);
    this.labels = null;
    if (this.model.get("labels"))
      this.labels = this.component.addRepresentation("label", {
        labelType: "text", labelText: this.model.get("_structure").symbols.map((symbol, k) => symbol + k),
        color: this.ink, radiusType: "size", radiusSize: 1.1, attachment: "middle-center", zOffset: 1.5,
      });
  }

  // Bring everything to the newest frame; its painting comes when the browser is ready.
  update(coloured) {
    const {latest, component} = this;
    if (!component || !latest.positions) return;
    if (latest.positions.length !== 3 * component.structure.atomCount) return;
    component.structure.updatePosition(latest.positions, false);
    const recolour = coloured && this.model.get("colour") !== "element";
    this.body.update({position: true, ...(recolour ? {color: true} : {})});
    this.labels?.update({position: true});
    this.drawShapes();
    this.dirty = true;
    this.stage.viewer.requestRender();
  }

  drawShapes() {
    const {latest} = this, wanted = {};
    if (latest.cell) wanted.cell = this.cellEdges();
    if (latest.arrows) wanted.arrows = this.arrowBodies();
    if (latest.links) wanted.links = this.linkBodies();
    if (this.model.get("picked").length) wanted.halos = this.haloBodies();
    if (this.model.get("picked").length > 1) wanted.measure = this.measureBodies();
    const same = Object.keys(wanted).join() === Object.keys(this.buffers).join()
      && Object.entries(wanted).every(([name, data]) => data.radius.length === this.buffers[name].count);
    if (same) {
      for (const [name, data] of Object.entries(wanted)) this.buffers[name].buffer.setAttributes(data);
      return;
    }
    const before = this.shape;
    before?.setVisibility(false);
    if (before) this.stage.tasks.onZeroOnce(() => this.stage.removeComponent(before));  // it may still be being built
    this.shape = null;
    this.buffers = {};
    if (!Object.keys(wanted).length) return;
    const shape = new this.NGL.Shape("overlays");
    for (const [name, data] of Object.entries(wanted)) {
      const [kind, settings] = BODIES[name] ?? ["CylinderBuffer", {openEnded: false}];
      const buffer = new this.NGL[kind](data, {...settings, radialSegments: 12});
      shape.addBuffer(buffer);
      this.buffers[name] = {buffer, count: data.radius.length};
    }
    this.shape = this.stage.addComponentFromObject(shape);
    this.shape.addRepresentation("buffer");  // which gives all its buffers the same looks
    this.buffers.halos?.buffer.setParameters(FAR_SIDE);
  }

  cylinders(count, of) {
    const data = {position1: new Float32Array(3 * count), position2: new Float32Array(3 * count),
      color: new Float32Array(3 * count), color2: new Float32Array(3 * count), radius: new Float32Array(count)};
    for (let k = 0; k < count; k++) {
      const [start, end, colour, radius] = of(k);
      data.position1.set(start, 3 * k);
      data.position2.set(end, 3 * k);
      const rgb = [(colour >> 16) / 255, ((colour >> 8) & 255) / 255, (colour & 255) / 255];
      data.color.set(rgb, 3 * k);
      data.color2.set(rgb, 3 * k);
      data.radius[k] = radius;
    }
    return data;
  }

  atom(index) { return this.latest.positions.subarray(3 * index, 3 * index + 3); }

  // The far sides of larger balls around picked atoms, which leave the atoms their colours. (NGL has a buffer of spheres,
  // too, but its meshes stay where they were made.)
  haloBodies() {
    const picked = this.model.get("picked"), {structure} = this.component;
    const scale = HALO_SCALE[this.model.get("representation")] ?? SLIM_HALO_SCALE;
    const radii = picked.map(atom => scale * structure.getAtomProxy(atom).vdw);
    return {position: Float32Array.from(picked.flatMap(atom => [...this.atom(atom)])), color: Float32Array.from(picked.flatMap(() => HALO)),
      radius: Float32Array.from(radii), majorAxis: Float32Array.from(radii.flatMap(r => [r, 0, 0])),
      minorAxis: Float32Array.from(radii.flatMap(r => [0, r, 0]))};
  }

  // Lines from picked atom to picked atom, and the arc of the angle or the dihedral.
  measureBodies() {
    const at = chain(this.latest.positions, this.model.get("picked"), this.latest.cell);
    const lines = at.slice(1).map((end, k) => [at[k], end]);
    if (at.length > 2) {
      const arc = at.length === 3 ? arcBetween(at[1], minus(at[0], at[1]), minus(at[2], at[1]))
        : dihedralArc(at);
      for (let k = 1; k < arc.length; k++) lines.push([arc[k - 1], arc[k]]);
    }
    return this.cylinders(lines.length, k => [...lines[k], 0xe69f00, 0.035]);
  }

  cellEdges() {
    const {cell} = this.latest, corners = cellCorners(cell);
    const longest = Math.max(...[0, 3, 6].map(first => norm([...cell.subarray(first, first + 3)])));
    const radius = Math.max(0.04, EDGE_SHARE * longest);
    return this.cylinders(12, k => [...CELL_EDGES[k].map(number => corners[number]), 0x808890, radius]);
  }

  arrowBodies() {
    const {arrows, positions} = this.latest, scale = this.model.get("arrow_scale");
    return this.cylinders(positions.length / 3, k => {
      const start = this.atom(k);
      return [start, [0, 1, 2].map(c => start[c] + scale * arrows[3 * k + c] + (c ? 0 : 1e-4)), 0xd55e00, 0.07];
    });
  }

  linkBodies() {
    const {links, pairs} = this.latest, paint = painter(["#D5D9DE", "#56B4E9", "#0072B2"]);
    const most = links.reduce((most, x) => Math.max(most, x), 1e-12);
    return this.cylinders(links.length, k => {
      const share = links[k] / most;
      return [this.atom(pairs[2 * k]), this.atom(pairs[2 * k + 1]), paint(share), 0.005 + 0.12 * share];
    });
  }

  pick(found) {
    const chosen = found?.atom ? [found.atom.index] : found?.bond ? [found.bond.atomIndex1, found.bond.atomIndex2] : [];
    let picked = [...this.model.get("picked")];
    if (!chosen.length) picked = [];
    for (const atom of chosen)
      if (picked.includes(atom)) { if (chosen.length === 1) picked = picked.filter(other => other !== atom); }
      else picked = picked.length >= MOST_PICKED ? [atom] : [...picked, atom];
    this.model.set("picked", picked);
    this.model.save_changes();
  }

  keepCamera() {
    if (!this.component || document.hidden) return;
    const now = [...this.stage.viewerControls.getOrientation().elements];
    const before = this.kept ?? now;
    this.kept = now;
    if (before.some((x, k) => Math.abs(x - now[k]) > 1e-3)) {
      this.moving = this.touched;
    } else if (this.moving) {
      this.moving = false;
      this.model.set("camera", now);
      ifHeard(() => this.model.save_changes());
    }
  }

  async picture() { return this.stage.makeImage({factor: 2, antialias: true, transparent: true, trim: false}); }

  close() {
    this.closed = true;
    clearInterval(this.turning);
    this.resizing.disconnect();
    this.NGL.ColormakerRegistry.removeScheme(this.scheme);
    this.stage.viewer.render = () => {};
    // What NGL builds in the background would report to a stage that is no more.
    this.stage.tasks.onZeroOnce(() => {
      const {renderer} = this.stage.viewer;
      this.stage.dispose();
      renderer.forceContextLoss();
    });
  }
}

// The bars around the drawing: what is shown and how, the frame slider, what is picked.
class Bars {
  constructor(model, scene, root) {
    Object.assign(this, {model, scene, root});
    const select = (label, trait, options) => {
      const list = element("select", {label, title: label});
      const fill = () => {
        list.replaceChildren(...options().map(name => element("option", {value: name, textContent: name})));
        list.value = model.get(trait);
        list.hidden = options().length < 2;
      };
      list.onchange = () => this.set(trait, list.value);
      fill();
      return [list, fill];
    };
    const button = (text, label, onclick) => element("button", {textContent: text, title: label, label, onclick});
    [this.representation, this.fillRepresentation] = select("representation", "representation", () => Object.keys(REPRESENTATIONS));
    [this.colour, this.fillColour] = select("colour by", "colour", () => model.get("colours"));
    this.film = button("●", "record what is shown as a movie; press again to save it", () => this.record());
    this.labels = button("Aa", "label the atoms", () => this.set("labels", !model.get("labels")));
    this.forces = button("F→", "draw forces as arrows", () => this.set("forces", !model.get("forces")));
    this.save = element("select", {label: "save", title: "save what is shown"});
    this.save.onchange = () => { const [, act] = this.saved[this.save.selectedIndex - 1]; this.save.selectedIndex = 0; act(); };
    this.tools = element("div", {className: "so3-tools"}, [
      this.representation, this.colour, this.labels, this.forces,
      button("⊙", "centre the molecule", () => scene.centre()), this.save, this.film,
    ]);
    this.play = button("▶", "play or pause (space)", () => this.set("playing", !model.get("playing")));
    this.slider = element("input", {type: "range", min: 0, step: 1, label: "frame"});
    this.slider.oninput = () => this.set("frame", Number(this.slider.value));
    this.where = element("span", {className: "so3-where"});
    this.speed = element("input", {type: "number", min: 1, max: 240, step: 1, label: "frames per second", title: "frames per second"});
    this.speed.onchange = () => this.set("fps", Math.min(240, Math.max(1, Number(this.speed.value) || 20)));
    this.again = button("⟲", "start again at the end", () => this.set("loop", !model.get("loop")));
    this.smooth = element("input", {type: "number", min: 0, max: 50, step: 1, label: "smoothing",
      title: "smoothing: average over so many frames before and after"});
    this.smooth.onchange = () => this.set("smoothing", Math.min(50, Math.max(0, Math.round(Number(this.smooth.value) || 0))));
    this.player = element("div", {className: "so3-player"}, [
      this.play, this.slider, this.where, this.speed, element("span", {textContent: "fps"}), this.again,
      element("span", {textContent: "smooth"}), this.smooth,
    ]);
    this.scale = element("div", {className: "so3-scale"});
    this.caption = element("div", {className: "so3-caption"});
    this.picked = element("div", {className: "so3-picked", role: "status"});
    this.notice = element("div", {className: "so3-notice", role: "alert"});
    root.append(element("div", {className: "so3-top"}, [this.tools, this.caption, this.scale]), this.notice, this.picked);
    root.parentElement.append(this.player);
    root.tabIndex = 0;
    root.setAttribute("aria-label", "molecule: click atoms to measure; space plays, arrow keys step, Escape clears");
    root.onkeydown = event => this.key(event);
    this.refresh();
  }

  set(trait, value) { this.model.set(trait, value); this.model.save_changes(); }

  key(event) {
    if (event.target !== this.root && event.target.tagName !== "CANVAS") return;
    const {model} = this, last = model.get("frames") - 1;
    const step = {ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10}[event.key];
    if (step && last > 0) this.set("frame", Math.min(last, Math.max(0, model.get("frame") + step)));
    else if (event.key === " " && last > 0) this.set("playing", !model.get("playing"));
    else if (event.key === "Escape") this.set("picked", []);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  refresh() {
    const {model} = this, frames = model.get("frames");
    this.player.hidden = frames < 2;
    this.slider.max = Math.max(frames - 1, 0);
    this.slider.value = model.get("frame");
    this.play.textContent = model.get("playing") ? "⏸" : "▶";
    press(this.again, model.get("loop"));
    this.speed.value = model.get("fps");
    this.smooth.value = model.get("smoothing");
    this.where.textContent = `${model.get("frame")} / ${Math.max(frames - 1, 0)}`;
    this.fillRepresentation();
    this.fillColour();
    this.fillSave(frames > 1);
    press(this.labels, model.get("labels"));
    press(this.forces, model.get("forces"));
    this.forces.hidden = !model.get("has_forces");
    this.caption.textContent = model.get("caption");
    this.caption.hidden = !model.get("caption");
    this.notice.textContent = model.get("notice");
    this.notice.hidden = !model.get("notice");
    this.explain();
    this.measure();
  }

  // What colours and arrows mean.
  explain() {
    const {model} = this, legend = model.get("_legend"), parts = [];
    if (model.get("colour") !== "element" && legend.label?.startsWith(model.get("colour"))) {
      const bar = element("span", {className: "so3-ramp"});
      bar.style.background = `linear-gradient(to right, ${legend.scale.join(",")})`;
      parts.push(element("div", {}, [`${legend.label} `, tick(legend.low), bar, tick(legend.high)]));
    } else if (model.get("colour") !== "element") {
      parts.push(element("div", {}, [`${model.get("colour")}: waiting for the model …`]));
    }
    if (model.get("forces") && model.get("has_forces"))
      parts.push(element("div", {}, [`forces: an arrow of 1 Å is ${tick(1 / (model.get("arrow_scale") || 1))} eV/Å`]));
    this.scale.replaceChildren(...parts);
    this.scale.hidden = !parts.length;
  }

  fillSave(moves) {
    if (this.save.options.length && this.moves === moves) return;
    this.moves = moves;
    const film = format => () => this.model.send({kind: "film", format});
    this.saved = [
      ["picture (png)", async () => download("so3lab.png", await this.scene.picture())],
      ["structure (xyz)", () => this.saveStructure()],
      ...(moves ? [["movie (gif)", film("gif")], ["movie (mp4)", film("mp4")]] : []),
    ];
    this.save.replaceChildren(element("option", {textContent: "⤓ save"}),
      ...this.saved.map(([name]) => element("option", {textContent: name})));
  }

  measure() {
    const {model, scene: {latest}} = this, picked = model.get("picked"), symbols = model.get("_structure").symbols ?? [];
    this.picked.hidden = !picked.length;
    if (picked.length && latest.positions)
      this.picked.textContent = `${picked.map(atom => `${symbols[atom]}${atom}`).join(" – ")}: ${measured(chain(latest.positions, picked, latest.cell))}`;
  }

  saveStructure() {
    const {latest} = this.scene, {symbols} = this.model.get("_structure");
    if (!latest.positions) return;
    const lines = symbols.map((symbol, k) =>
      `${symbol} ${[0, 1, 2].map(c => latest.positions[3 * k + c].toFixed(6)).join(" ")}`);
    const lattice = latest.cell ? `Lattice="${[...latest.cell].join(" ")}" ` : "";
    download("so3lab.xyz", new Blob([`${symbols.length}\n${lattice}Properties=species:S:1:pos:R:3\n${lines.join("\n")}\n`]));
  }

  record() {
    if (this.recorder) { this.recorder.stop(); return; }
    const canvas = this.root.querySelector("canvas");
    const type = Object.keys(EXTENSIONS).find(name => window.MediaRecorder?.isTypeSupported(name));
    if (!type) { this.notice.textContent = "this browser records no movies; use viewer.save_movie"; this.notice.hidden = false; return; }
    const parts = [], recorder = new MediaRecorder(canvas.captureStream(30), {mimeType: type, videoBitsPerSecond: 8e6});
    recorder.ondataavailable = ({data}) => parts.push(data);
    recorder.onstop = () => {
      download(`so3lab.${EXTENSIONS[type]}`, new Blob(parts, {type}));
      this.recorder = null;
      press(this.film, false);
    };
    this.recorder = recorder;
    press(this.film, true);
    recorder.start();
  }
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
      scenes.forEach(({scene, bars}) => { scene.update(Boolean(message.domain) || faded); bars.measure(); });
    } else if (message.kind === "picture") {
      const first = [...scenes].find(({bars}) => bars.root.getClientRects().length);  // not behind another tab
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
      const NGL = await model.widget_manager.loadClass("NGL", "nglview-js-widgets", model.get("_ngl_version"));
      const scene = new Scene(NGL, model, root, latest), bars = new Bars(model, scene, root);
      root.scene = scene;  // what is drawn, for the browser's console and for tests
      const view = {scene, bars};
      scenes.add(view);
      const on = (names, act) => names.split(" ").forEach(name => model.on(`change:${name}`, act));
      const reload = () => scene.load(), redraw = () => { scene.draw(); scene.update(true); bars.refresh(); };
      const mark = () => { scene.update(false); bars.measure(); };
      const refresh = () => bars.refresh();
      const rescale = () => { scene.update(false); };
      const handlers = [["_structure", reload], ["representation colour labels", redraw], ["picked", mark], ["arrow_scale", rescale],
        ["camera", () => scene.lookAsTold()],
        ["frame frames playing fps loop smoothing colours notice caption forces has_forces arrow_scale _legend _structure",
          refresh]];
      handlers.forEach(([names, act]) => on(names, act));
      const theme = new MutationObserver(() => { scene.setTheme(); redraw(); });
      theme.observe(document.body, {attributes: true, attributeFilter: ["data-jp-theme-light"]});
      const reporting = setInterval(() => {
        const painted = scene.painted ?? 0;
        if (!(came || painted) || document.hidden) return;
        came = scene.painted = 0;
        ifHeard(() => model.send({kind: "painted", count: painted}));
      }, REPORT_MS);
      await scene.load();
      model.send({kind: "hello", in_software: inSoftware()});
      return () => {
        clearInterval(reporting);
        theme.disconnect();
        handlers.forEach(([names, act]) => names.split(" ").forEach(name => model.off(`change:${name}`, act)));
        scenes.delete(view);
        scene.close();
      };
    },
  };
};
