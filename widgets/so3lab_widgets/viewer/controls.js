// The bars around a drawing: what is shown and how, the frame slider, what is picked, what can be saved.

const EXTENSIONS = {"video/mp4": "mp4", "video/webm": "webm"};

const FOLLOW_WORDS = {molecule: "follow molecule", picked: "follow picked", off: "follow nothing"};
const IMAGE_WORDS = {stored: "atoms as stored", wrapped: "wrapped atoms", whole: "whole molecules"};

// The bars around the drawing: what is shown and how, the frame slider, what is picked.
class Controls {
  constructor(model, scene, root) {
    Object.assign(this, {model, scene, root});
    const select = (label, trait, options, words = {}) => {
      const list = element("select", {label, title: label});
      const fill = () => {
        list.replaceChildren(...options().map(name => element("option", {value: name, textContent: words[name] ?? name})));
        list.value = options().includes(model.get(trait)) ? model.get(trait) : options()[0];
        list.hidden = options().length < 2;
      };
      list.onchange = () => this.set(trait, list.value);
      fill();
      return [list, fill];
    };
    [this.representation, this.fillRepresentation] = select("representation", "representation", () => Object.keys(STYLES));
    [this.colour, this.fillColour] = select("colour by", "colour", () => model.get("colours"));
    const inCell = () => Boolean(model.get("_structure").cell);
    // One structure alone has nothing that it could follow, and cells are not turned.
    const followed = () => model.get("frames") === 1 ? [] : inCell() ? ["off", "picked"] : ["molecule", "picked", "off"];
    [this.follow, this.fillFollow] = select("what stays in place", "follow", followed, FOLLOW_WORDS);
    [this.images, this.fillImages] = select("atoms of the cell", "images", () => inCell() ? Object.keys(IMAGE_WORDS) : [], IMAGE_WORDS);
    this.film = button("Record", "record what is shown as a movie; press again to save it", () => this.record());
    this.labels = button("Labels", "label the atoms", () => this.set("labels", !model.get("labels")));
    this.forces = button("Forces", "draw forces as arrows", () => this.set("forces", !model.get("forces")));
    this.clear = button("Clear picks", "pick no atoms any more (Escape)", () => this.set("picked", []));
    this.save = element("select", {label: "save", title: "save what is shown"});
    this.save.onchange = () => { const [, act] = this.saved[this.save.selectedIndex - 1]; this.save.selectedIndex = 0; act(); };
    this.tools = element("div", {className: "so3-tools"}, [
      group("look", [this.representation, this.colour, this.follow, this.images, this.labels, this.forces,
        button("Centre", "bring all atoms into view", () => scene.centre())]),
      group("measure", [this.clear]),
      group("save", [this.save, this.film]),
    ]);
    this.tools.setAttribute("role", "toolbar");
    this.movie = new MovieForm(model);
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
      element("span", {className: "so3-where"}, ["smooth ", this.smooth]),
    ]);
    // In narrow views, where words would cover the molecule, definitions wait for a click.
    this.meanings = element("div");
    this.more = button("?", "what the colours and links are", () => press(this.more, this.scale.classList.toggle("so3-open")));
    this.more.classList.add("so3-more");
    this.scale = element("div", {className: "so3-scale"}, [this.more, this.meanings]);
    this.caption = element("div", {className: "so3-caption"});
    this.picked = element("div", {className: "so3-picked", role: "status"});
    this.notice = element("div", {className: "so3-notice", role: "alert"});
    this.pointing = new Pointing(model, scene, () => this.measure());
    root.append(element("div", {className: "so3-top"}, [this.movie.form, this.caption]),
      element("div", {className: "so3-bottom"}, [this.notice, this.pointing.words, this.picked, this.scale]));
    root.before(this.tools);
    root.after(this.player);
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "molecule: click atoms to measure, or n and p go through them and Enter picks; "
      + "space plays, arrow keys step, Escape clears");
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
    else if (event.key === "Escape") { this.pointing.at(null); this.set("picked", []); }
    else if (!this.pointing.key(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  refresh() {
    const {model} = this, frames = model.get("frames");
    this.player.hidden = frames < 2;
    this.slider.max = Math.max(frames - 1, 0);
    this.slider.value = model.get("frame");
    this.slider.setAttribute("aria-valuetext", `frame ${model.get("frame")} of ${Math.max(frames - 1, 0)}`);
    this.tools.hidden = !model.get("tools");
    this.clear.hidden = !model.get("picked").length;
    this.play.textContent = model.get("playing") ? "⏸" : "▶";
    press(this.again, model.get("loop"));
    this.speed.value = model.get("fps");
    this.smooth.value = model.get("smoothing");
    this.where.textContent = `${model.get("frame")} / ${Math.max(frames - 1, 0)}`;
    this.fillRepresentation();
    this.fillColour();
    this.fillFollow();
    this.fillImages();
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
      parts.push(element("div", {className: "so3-line"}, [legend.label, this.ramp(bar, legend.low, legend.high)]));
      if (legend.definition) parts.push(element("div", {className: "so3-definition", textContent: legend.definition}));
    } else if (model.get("colour") !== "element") {
      parts.push(element("div", {}, [`${model.get("colour")}: waiting for the model …`]));
    }
    if (model.get("forces") && model.get("has_forces")) {
      const names = model.get("arrow_names");
      for (const [kind, name] of names.entries())
        parts.push(this.marked(`#${arrowColour(kind, names.length).toString(16).padStart(6, "0")}`, name));
      parts.push(element("div", {}, [`forces: an arrow of 1 Å is ${tick(1 / (model.get("arrow_scale") || 1))} eV/Å`]));
    }
    parts.push(...this.explainLinks());
    for (const {name, colour} of model.get("_overlays")) parts.push(this.marked(colour, name));
    this.more.hidden = !parts.some(part => part.className === "so3-definition");
    this.meanings.replaceChildren(...parts);
    this.scale.hidden = !parts.length;
  }

  marked(colour, name) {
    const mark = element("span", {className: "so3-mark"});
    mark.style.background = colour;
    return element("div", {}, [mark, name]);
  }

  ramp(bar, low, high) { return element("span", {className: "so3-range"}, [tick(low), bar, tick(high)]); }

  // What links are, from where to where, and which of them are drawn.
  explainLinks() {
    const {model} = this, {label, definition, low, high, most} = model.get("_links_legend");
    if (!most) return [];
    const bar = element("span", {className: "so3-ramp"}), least = model.get("link_threshold") * most;
    bar.style.background = `linear-gradient(to right, ${[...(low < 0 ? [...NEGATIVE].reverse() : []), ...POSITIVE.slice(low < 0 ? 1 : 0)].join(",")})`;
    const range = low < 0 ? [-most, most] : [0, high];
    const which = model.get("links_of_picked") ? (model.get("picked").length ? "of the picked atoms" : "all, until an atom is picked") : "all";
    return [
      element("div", {className: "so3-line"}, [`links: ${label}`, this.ramp(bar, ...range)]),
      element("div", {className: "so3-definition", textContent: `${definition}${definition ? "; " : ""}${which}${least ? `, from ${tick(least)}` : ""}`}),
    ];
  }

  fillSave(moves) {
    this.save.hidden = !this.model.get("saves");
    if (this.save.options.length && this.moves === moves) return;
    this.moves = moves;
    const film = format => () => this.movie.ask(format);
    this.saved = [
      ["picture (png)", async () => download("so3lab.png", await this.scene.picture())],
      ["structure (xyz)", () => this.saveStructure()],
      ...(moves ? [["movie (gif) …", film("gif")], ["movie (mp4) …", film("mp4")]] : []),
    ];
    this.save.replaceChildren(element("option", {textContent: "Save …"}),
      ...this.saved.map(([name]) => element("option", {textContent: name})));
  }

  measure() {
    const {model, scene: {latest}} = this, picked = model.get("picked"), symbols = model.get("_structure").symbols ?? [];
    this.picked.hidden = !picked.length;
    if (picked.length && latest.positions) {
      const more = picked.length === 1 ? aboutAtom(model, latest, picked[0]).slice(1) : [];
      const between = measured(chain(latest.positions, picked, latest.cell));
      this.picked.textContent = [`${picked.map(atom => `${symbols[atom]}${atom}`).join(" – ")}: ${between}`, ...more].join(" · ");
    }
    this.pointing.say();
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
