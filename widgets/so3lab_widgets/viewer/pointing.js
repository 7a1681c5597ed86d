// What is said of atoms: of one under the pointer, or of the one that keys have come to, which Enter picks.

// Element with index, residue, and the number that it is coloured by.
function aboutAtom(model, latest, atom) {
  const {symbols, residues} = model.get("_structure"), legend = model.get("_legend"), colour = model.get("colour");
  const words = [`${symbols[atom]}${atom}`];
  if (residues?.[atom]) words.push(residues[atom]);
  const value = latest.values?.[atom];
  if (colour !== "element" && legend.label?.startsWith(colour) && value !== undefined) {
    const [, name, unit] = legend.label.match(/^(.*?)(?: \((.*)\))?$/);
    words.push(`${name} ${tick(value)}${unit ? ` ${unit}` : ""}`.replace("-", "−"));
  }
  return words;
}

class Pointing {
  constructor(model, scene, onPick) {
    Object.assign(this, {model, scene, onPick, atom: null});
    this.words = element("div", {className: "so3-hover"});
    this.words.setAttribute("role", "status");
    scene.stage.signals.hovered.add(found => { this.atom = found?.atom?.index ?? scene.cursor; this.say(); });
    this.say();
  }

  // Stand at an atom by keys; null stands at none.
  at(atom) {
    this.atom = this.scene.cursor = atom;
    this.scene.update(false);
    this.say();
  }

  // Whether a key was one of these.
  key(name) {
    const count = this.model.get("_structure").symbols?.length ?? 0, step = {n: 1, p: -1}[name], {cursor} = this.scene;
    if (step && count) this.at(cursor === null ? (step > 0 ? 0 : count - 1) : (cursor + step + count) % count);
    else if (name === "Enter" && cursor !== null) { this.scene.pickAtoms([cursor]); this.onPick(); }
    else return false;
    return true;
  }

  say() {
    const {symbols} = this.model.get("_structure"), there = this.atom !== null && this.atom < (symbols?.length ?? 0);
    this.words.hidden = !there;
    if (there) this.words.textContent = aboutAtom(this.model, this.scene.latest, this.atom).join(" · ");
  }
}
