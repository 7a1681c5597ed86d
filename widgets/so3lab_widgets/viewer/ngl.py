"""Where the 3D engine of pages without nglview's extension comes from: the NGL that nglview brings along.

nglview's JupyterLab extension holds NGL as a webpack module for the browser. Two of its files and a loader of
a few lines give the same ``NGL`` to any page, so nothing is bundled twice and nothing is fetched.
"""

import re
from importlib import metadata
from pathlib import Path

_SHARED_MODULE = re.compile(
    r'\("ngl","[\d.]+",\(\(\)=>Promise\.all\(\[(?P<chunks>[^\]]+)\]\)\.then\(\(\(\)=>\(\)=>\w+\((?P<module>\d+)\)'
)
_GLOBAL = "self.webpackChunknglview_js_widgets"
"""Where webpack puts modules; a page that has nglview's extension, too, would take ours for its own."""
_LOADER = """
  const modules = Object.assign({}, ...chunks.map(chunk => chunk[1]));
  const cache = {};
  function load(id) {
    if (id in cache) return cache[id].exports;
    const module = cache[id] = {id, loaded: false, exports: {}};
    modules[id].call(module.exports, module, module.exports, load);
    module.loaded = true;
    return module.exports;
  }
  load.o = (object, key) => Object.prototype.hasOwnProperty.call(object, key);
  load.d = (target, getters) => {
    for (const key in getters)
      if (!load.o(target, key)) Object.defineProperty(target, key, {enumerable: true, get: getters[key]});
  };
  load.n = module => {
    const getter = module && module.__esModule ? () => module.default : () => module;
    load.d(getter, {a: getter});
    return getter;
  };
  load.r = target => Object.defineProperty(target, '__esModule', {value: true});
  load.nmd = module => Object.assign(module, {paths: [], children: []});
  load.g = globalThis;
  globalThis.NGL = load(MODULE);
"""


def ngl_library() -> str:
    """What this NGL is called, by the nglview that it comes from."""
    return f"NGL of nglview {metadata.version('nglview')}"


def ngl_script() -> str:
    """JavaScript that defines the global ``NGL`` (version 2.4) without any request to a network.

    Raises:
        FileNotFoundError: If the installed nglview does not hold NGL where version 4.0 has it.
    """
    files = _extension_files()
    entry = next((path for name, path in files.items() if name.startswith("remoteEntry.")), None)
    match = _SHARED_MODULE.search(entry.read_text("utf-8")) if entry else None
    if match is None:
        raise FileNotFoundError("nglview's JupyterLab extension holds no NGL; run: pip install nglview==4.0")
    chunks = re.findall(r"\.e\((\d+)\)", match["chunks"])
    paths = [path for chunk in chunks for name, path in files.items() if name.startswith(f"{chunk}.")]
    sources = [path.read_text("utf-8").replace(_GLOBAL, "chunks") for path in paths]
    return "\n".join(["(() => {\n  let chunks;", *sources, _LOADER.replace("MODULE", match["module"]), "})();"])


def _extension_files() -> dict[str, Path]:
    """JavaScript files of the JupyterLab extension that belongs to the installed nglview, by name."""
    listed = metadata.files("nglview") or []
    found = (Path(str(file.locate())) for file in listed if "labextensions" in file.parts)
    return {path.name: path for path in found if path.suffix == ".js" and path.exists()}
