// One drawing of a molecule with NGL: the stage, the atoms, and all that is drawn over them. STYLES and STAGE come from
// Python's table of looks.

const CAMERA_MS = 300, LOOK_MS = 40, MOST_PICKED = 4;
const EDGE_SHARE = 0.003;  // of a cell's length: what is thinner than a pixel at its far side is not drawn
const ROOM = 1.15, CLOSEST = 0.8;
const HALO = [1.0, 0.75, 0.3], CURSOR = [0.45, 0.8, 1.0];  // in the shade of a far side
const CELL_EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];
const BODIES = {
  arrows: ["ArrowBuffer", {openEnded: false}],
  halos: ["EllipsoidBuffer", {sphereDetail: 3}],
};
const POSITIVE = ["#D5D9DE", "#56B4E9", "#0072B2"], NEGATIVE = ["#D5D9DE", "#E69F00", "#B24A00"];
const THINNEST = 0.012, THICKEST = 0.12;  // Å
const ARROWS = [0xd55e00, 0x0072b2], ASIDE = 0.07;  // Å by which arrows of two kinds stand beside each other
const LINK_PX = 7;  // how near to a link a click is on it
const ROUNDING = 1e-6;  // links come in single precision, the strongest of all frames in double
const OVERLAY = {opacity: 0.55, radiusSize: 0.12, multipleBond: "off", disablePicking: true};
const FAR_SIDE = {side: "back", roughness: 1};

// One kind of arrows is drawn as it always was; of two, the first is what the second is measured by.
function arrowColour(kind, kinds) { return ARROWS[kinds > 1 ? 1 - kind : 0]; }

// Tell the kernel something on a timer's behalf; where the model is being closed, or its kernel is
// started again, there is nobody to tell, and Jupyter throws.
function ifHeard(tell) {
  try { tell(); } catch (error) { console.debug("so3lab: not heard:", String(error)); }
}

// What draws in 3D, by its name; null where nothing does. Asked once a page.
let drawing;
function whatDraws() {
  if (drawing) return drawing;
  const gl = document.createElement("canvas").getContext("webgl");
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  drawing = gl && String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return drawing;
}

// Whether the processor draws, which may have a simulation to run, too.
const inSoftware = () => /swiftshader|llvmpipe|software/i.test(whatDraws() ?? "");

// NGL asks for smoothed edges, which cost the processor a quarter of every frame and which its balls and sticks, drawn
// by shaders, hardly show; it takes no setting for that, so the question is changed while it asks.
function makeStage(NGL, place, settings) {
  if (!inSoftware()) return new NGL.Stage(place, settings);
  const stage = makePlainStage(NGL, place, settings), {viewer} = stage, look = viewer.animate;
  // NGL looks sixty times a second whether the pointer rests, and a page makes ready to paint each time.
  viewer.animate = () => setTimeout(look, LOOK_MS);
  return stage;
}

function makePlainStage(NGL, place, settings) {
  const kind = HTMLCanvasElement.prototype, asked = kind.getContext;
  kind.getContext = function (name, wishes) { return asked.call(this, name, {...wishes, antialias: false}); };
  try { return new NGL.Stage(place, settings); } finally { kind.getContext = asked; }
}

// One drawing of the model: NGL's stage, what stands on it, and what keeps it up to date.
class Scene {
  constructor(NGL, model, place, latest) {
    Object.assign(this, {NGL, model, latest, component: null, shape: null, buffers: {}, dirty: false, laid: [], cursor: null});
    // NGL cuts off what is far from the middle; a cell may grow, and atoms may fly apart.
    this.stage = makeStage(NGL, place, {...STAGE, tooltip: false, clipNear: -50, clipFar: 150, fogNear: 150, fogFar: 151});
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
    this.setTheme(isDark(place));
  }

  setTheme(dark) {
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
    this.stage.eachComponent(other => other !== component && !this.laid.includes(other) && this.stage.removeComponent(other));
    Object.assign(this, {component, shape: null, buffers: {}, body: null, labels: null});
    this.draw();
    this.update(true);
    if (this.model.get("_structure").fresh || !this.lookAsTold()) this.centre();
  }

  // Other structures over this one, where Python has laid them.
  async overlay() {
    const turn = this.overlaying = {};
    this.laid.splice(0).forEach(component => this.stage.removeComponent(component));
    for (const {text, colour} of this.model.get("_overlays")) {
      const component = await this.stage.loadFile(new Blob([text], {type: "text/plain"}), {ext: "pdb"});
      if (this.overlaying !== turn || this.closed) { if (!this.closed) this.stage.removeComponent(component); return; }
      component.addRepresentation("licorice", {...OVERLAY, color: colour});
      this.laid.push(component);
    }
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
    const edge = this.style.reach;
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

  get style() { return STYLES[this.model.get("representation")]; }

  draw() {
    if (!this.component) return;
    this.body && this.component.removeRepresentation(this.body);
    const colour = this.model.get("colour") === "element" ? "element" : this.scheme;
    this.body = this.component.addRepresentation(this.model.get("representation"), {...this.style.parameters, color: colour});
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
    if (this.marked.length) wanted.halos = this.haloBodies();
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

  // Picked atoms, and the one that keys have come to.
  get marked() {
    const picked = this.model.get("picked"), {cursor} = this, there = cursor !== null && cursor < this.component.structure.atomCount;
    return there && !picked.includes(cursor) ? [...picked, cursor] : picked;
  }

  atom(index) { return this.latest.positions.subarray(3 * index, 3 * index + 3); }

  // The far sides of larger balls around picked atoms, which leave the atoms their colours. (NGL has a buffer of spheres,
  // too, but its meshes stay where they were made.)
  haloBodies() {
    const {structure} = this.component, marked = this.marked;
    const radii = marked.map(atom => this.style.halo * structure.getAtomProxy(atom).vdw);
    return {position: Float32Array.from(marked.flatMap(atom => [...this.atom(atom)])),
      color: Float32Array.from(marked.flatMap(atom => atom === this.cursor ? CURSOR : HALO)),
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

  // One arrow for each atom, or two of two kinds side by side, which would hide each other where a model is right.
  arrowBodies() {
    const {arrows, positions} = this.latest, scale = this.model.get("arrow_scale"), atoms = positions.length / 3;
    const kinds = Math.round(arrows.length / positions.length), of = k => [...arrows.subarray(3 * k, 3 * k + 3)];
    return this.cylinders(kinds * atoms, k => {
      const kind = Math.floor(k / atoms), atom = this.atom(k % atoms), along = of(k), first = of(k % atoms);
      const across = cross(first, Math.abs(first[2]) < 0.9 * norm(first) ? [0, 0, 1] : [0, 1, 0]);
      const aside = kinds < 2 ? 0 : (kind ? -ASIDE : ASIDE) / (norm(across) || 1);
      const start = [0, 1, 2].map(c => atom[c] + aside * across[c]);
      return [start, [0, 1, 2].map(c => start[c] + scale * along[c] + (c ? 0 : 1e-4)), arrowColour(kind, kinds), 0.07];
    });
  }

  // Links that are drawn: strong enough and, where those of picked atoms alone are wanted, at one of them.
  get shownLinks() {
    const {links, pairs} = this.latest;
    if (!links) return [];
    const least = this.model.get("link_threshold") * this.strongest * (1 - ROUNDING), picked = this.model.get("picked");
    const wanted = this.model.get("links_of_picked") && picked.length ? k => picked.some(atom => pairs[2 * k] === atom || pairs[2 * k + 1] === atom) : () => true;
    return [...links.keys()].filter(k => Math.abs(links[k]) >= least && wanted(k));
  }

  get strongest() {
    return this.model.get("_links_legend").most || this.latest.links.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-12);
  }

  linkEnds(k) { return chain(this.latest.positions, [this.latest.pairs[2 * k], this.latest.pairs[2 * k + 1]], this.latest.cell); }

  // All of them have their places in one buffer; those that are not drawn are without width.
  linkBodies() {
    const {links} = this.latest, shown = new Set(this.shownLinks), [above, below] = [painter(POSITIVE), painter(NEGATIVE)];
    return this.cylinders(links.length, k => {
      const share = Math.min(1, Math.abs(links[k]) / this.strongest);
      return [...this.linkEnds(k), (links[k] < 0 ? below : above)(share), shown.has(k) ? THINNEST + (THICKEST - THINNEST) * share : 0];
    });
  }

  // The two atoms of the link under the pointer, the nearest one of several.
  linkAtPointer() {
    const {x, y} = this.stage.mouseObserver.canvasPosition, {viewerControls} = this.stage;
    const onCanvas = place => { const at = viewerControls.getPositionOnCanvas(new this.NGL.Vector3(...place)); return [at.x, at.y]; };
    let [nearest, best] = [LINK_PX, []];
    for (const k of this.shownLinks) {
      const far = toSegment([x, y], ...this.linkEnds(k).map(onCanvas));
      if (far < nearest) [nearest, best] = [far, [this.latest.pairs[2 * k], this.latest.pairs[2 * k + 1]]];
    }
    return best;
  }

  pick(found) {
    const chosen = found?.atom ? [found.atom.index] : found?.bond ? [found.bond.atomIndex1, found.bond.atomIndex2] : [];
    if (!chosen.length) {  // a click beside the molecule is easily made; Escape picks nothing
      const link = this.linkAtPointer();
      if (!link.length) return;
      this.model.set("picked", link);
      this.model.save_changes();
      return;
    }
    this.pickAtoms(chosen);
  }

  // Pick one atom more, or, picked before, no longer; of two that a bond joins, both.
  pickAtoms(chosen) {
    let picked = [...this.model.get("picked")];
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
    this.stage.viewer.render = this.stage.viewer.animate = () => {};
    // What NGL builds in the background would report to a stage that is no more.
    this.stage.tasks.onZeroOnce(() => {
      const {renderer} = this.stage.viewer;
      this.stage.dispose();
      renderer.forceContextLoss();
    });
  }
}
