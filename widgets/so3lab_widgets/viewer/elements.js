// Small pieces of a page: elements with names, buttons that stay down, menus of a trait, files to be saved.

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

const button = (text, label, onclick) => element("button", {textContent: text, title: label, label, onclick, type: "button"});

// Things of one kind side by side, which screen readers announce together.
const group = (label, children) => {
  const made = element("div", {className: "so3-group", label}, children);
  made.setAttribute("role", "group");
  return made;
};
