// What a screen reader says of ipywidgets' sliders, whose handles have no names, and as value the place on their track.

const LOOK_AGAIN_MS = 200;

// The words beside a slider: its readout, or a label that stands next to it where the readout is hidden.
const wordsOf = slider => {
  const readout = slider.querySelector(":scope > .widget-readout");
  return readout && readout.style.display !== "none" ? readout : slider.parentElement.querySelector(":scope > .widget-label");
};

const name = handle => {
  const slider = handle.closest(".widget-slider"), label = slider?.querySelector(":scope > .widget-label");
  const words = slider && wordsOf(slider);
  if (!label || !words) return;
  handle.setAttribute("aria-label", label.textContent);
  const tell = () => {
    const text = words.textContent.trim();
    if (text && handle.getAttribute("aria-valuetext") !== text) handle.setAttribute("aria-valuetext", text);
  };
  const seen = new MutationObserver(tell);
  seen.observe(handle, {attributes: true, attributeFilter: ["aria-valuetext"]});
  seen.observe(words, {childList: true, characterData: true, subtree: true});
  tell();
};

export default {
  render({el}) {
    el.style.display = "none";
    let changes = null, waiting = 0;
    const look = panel => {
      panel.querySelectorAll(".noUi-handle:not([aria-label])").forEach(name);
      panel.querySelectorAll(".widget-label[title='null']").forEach(label => label.removeAttribute("title"));
    };
    const begin = () => {  // an element is made before it is put into its panel
      const panel = el.closest(".so3-panel");
      if (!panel) return void (waiting = setTimeout(begin, LOOK_AGAIN_MS));
      look(panel);
      changes = new MutationObserver(() => look(panel));
      changes.observe(panel, {childList: true, subtree: true});
    };
    begin();
    return () => { clearTimeout(waiting); changes?.disconnect(); };
  },
};
