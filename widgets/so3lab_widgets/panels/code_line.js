// A line of Python and a button that copies it; where the page may not use the clipboard, the line is selected.
export default {
  render({model, el}) {
    const line = document.createElement("code"), button = document.createElement("button");
    line.tabIndex = 0;
    button.type = "button";
    const show = () => {
      line.textContent = model.get("code");
      button.textContent = "Copy as code";
      button.disabled = !model.get("code");
    };
    button.onclick = async () => {
      try {
        await navigator.clipboard.writeText(model.get("code"));
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(line);
        button.textContent = "Press Ctrl+C";
      }
      setTimeout(show, 1500);
    };
    el.classList.add("so3-code");
    el.append(line, button);
    model.on("change:code", show);
    show();
    return () => model.off("change:code", show);
  },
};
