// Libraries of others that widgets of the kernel hold, compressed: sent once per kernel, read once per page.
const MOST_LOOKS = 100, LOOK_AGAIN_MS = 100;
const libraries = (globalThis.so3labLibraries ??= {});

// What a widget draws with, made ready when it is read.
function library(model, prepare) {
  const name = model.get("_library");
  return (libraries[name] ??= unpack(model).then(prepare).catch(error => { delete libraries[name]; throw error; }));
}

async function unpack(model) {
  const holder = await find(model.widget_manager, model.get("_source"));
  const packed = new Blob([holder.get("packed")]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = new Blob([await new Response(packed).arrayBuffer()], {type: "text/javascript"});
  const address = URL.createObjectURL(script);
  try { return await import(address); } finally { URL.revokeObjectURL(address); }
}

// A page that was loaded again learns of the kernel's widgets in any order.
async function find(manager, id) {
  for (let looks = 1; ; looks++) {
    try { return await manager.get_model(id); } catch (error) { if (looks >= MOST_LOOKS) throw error; }
    await new Promise(resolve => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
