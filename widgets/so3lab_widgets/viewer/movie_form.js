// What a movie of a trajectory is to be like: asked before it is made.

class MovieForm {
  constructor(model) {
    this.model = model;
    const number = (label, value, low, high) => element("input", {type: "number", label, title: label, value, min: low, max: high});
    this.width = number("width of the movie in pixels", 640, 160, 1920);
    this.frames = number("frames of the movie", 100, 2, 1000);
    this.make = button("Make movie", "draw these frames one after the other", () => this.send());
    this.form = element("div", {className: "so3-film", hidden: true}, [
      "width", this.width, "px, frames", this.frames, this.make, button("Cancel", "no movie", () => { this.form.hidden = true; }),
    ]);
  }

  ask(format) {
    this.format = format;
    this.frames.max = this.model.get("frames");
    this.frames.value = Math.min(Number(this.frames.value), this.model.get("frames"));
    this.form.hidden = false;
    this.make.focus();
  }

  send() {
    const within = field => Math.min(Number(field.max), Math.max(Number(field.min), Math.round(Number(field.value) || 0)));
    this.form.hidden = true;
    this.model.send({kind: "film", format: this.format, width: within(this.width), frames: within(this.frames)});
  }
}
