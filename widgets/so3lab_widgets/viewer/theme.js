// Whether a page is dark, and when that changes.

const THEME_MS = 400;  // within which pages fade from one theme into another
const SAYS_THEME = ["class", "style", "theme", "data-theme", "data-color-mode", "data-jp-theme-light"];

// As JupyterLab says, or by the ink of words, which classes of the body and media queries have decided by then.
function isDark(el) {
  const light = document.body.dataset.jpThemeLight;
  if (light) return light === "false";
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = getComputedStyle(el).color;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return 0.3 * red + 0.6 * green + 0.1 * blue > 128;
}

// Calls back when a page has got another theme; returns how to end that.
function watchTheme(el, act) {
  let dark = isDark(el), waiting = null;
  const look = () => { if (isDark(el) !== dark) act(dark = !dark); };
  const lookTwice = () => { look(); clearTimeout(waiting); waiting = setTimeout(look, THEME_MS); };
  const watcher = new MutationObserver(lookTwice), media = matchMedia("(prefers-color-scheme: dark)");
  for (const one of [document.documentElement, document.body])
    watcher.observe(one, {attributes: true, attributeFilter: SAYS_THEME});
  media.addEventListener("change", lookTwice);
  return () => { watcher.disconnect(); clearTimeout(waiting); media.removeEventListener("change", lookTwice); };
}
