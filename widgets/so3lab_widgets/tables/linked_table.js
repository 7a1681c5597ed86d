// A table of which the rows in sight are drawn. Order and filters are the kernel's; rows go by their number there.
const ROW = 26, AROUND = 6;
const NARROWEST = 44, FAIR = 74, WIDEST = 190, TICK = 26, GAP = 6, EDGE = 6;  // pixels; the last two as in the CSS
const FONT = "600 13px system-ui, sans-serif";  // the boldest of the CSS
const MEASURED = 200;  // rows that say how wide a column is

const numbersOf = (view, Kind) => {
  const bytes = view?.byteLength ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) : new ArrayBuffer(0);
  return new Kind(bytes);
};

function element(name, className, attributes = {}) {
  const made = document.createElement(name);
  made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export default {
  render({model, el}) {
    const box = element("div", "so3-table"), head = element("div", "so3-table-head"), body = element("div", "so3-table-body");
    const inner = element("div", "so3-table-inner"), foot = element("div", "so3-table-foot", {role: "status"});
    box.setAttribute("role", "grid");
    body.tabIndex = 0;
    body.style.height = `${model.get("height")}px`;
    body.append(head, inner);
    box.append(body, foot);
    el.append(box);
    const pen = new OffscreenCanvas(1, 1).getContext("2d");
    let columns = [], values = {}, order = new Int32Array(), last = -1;

    const change = (name, value) => { model.set(name, value); model.save_changes(); };
    const text = (column, row) => {
      const value = values[column.name][row];
      if (!column.number) return value;
      return Number.isFinite(value) ? value.toFixed(column.decimals).replace("-", "−") : "–";
    };

    // Head and rows are grids of their own: what makes them alike are widths in pixels. A column has at least the room
    // of its values and of each word of its label, and of what is left as much as the whole label needs.
    function widthsOf(column) {
      const widest = texts => Math.ceil(Math.max(0, ...texts.map(one => pen.measureText(one).width)));
      const rows = Array.from({length: Math.min(MEASURED, values[column.name].length)}, (_, row) => text(column, row));
      const least = Math.min(WIDEST, Math.max(NARROWEST, widest(rows), widest(column.label.split(" "))));
      return [least, Math.min(WIDEST, Math.max(FAIR, least, widest([`${column.label} ▼`])))];
    }

    function readColumns() {
      columns = model.get("_columns");
      const numbers = numbersOf(model.get("_numbers"), Float64Array), kinds = columns.filter(one => one.number);
      const rows = kinds.length ? numbers.length / kinds.length : 0;
      values = {...model.get("_words")};
      kinds.forEach((one, place) => { values[one.name] = numbers.subarray(place * rows, (place + 1) * rows); });
      pen.font = FONT;
      const widths = columns.map(widthsOf);
      box.style.setProperty("--so3-columns", [`${TICK}px`, ...widths.map(([least, good]) => `minmax(${least}px, ${good}fr)`)].join(" "));
      box.style.setProperty("--so3-width", `${widths.reduce((sum, [least]) => sum + least + GAP, TICK + 2 * EDGE)}px`);
      box.setAttribute("aria-label", `table, one ${model.get("noun")} a row`);
      drawHead();
      readOrder();
    }

    function readOrder() {
      order = numbersOf(model.get("_order"), Int32Array);
      box.setAttribute("aria-rowcount", order.length);
      inner.style.height = `${ROW * order.length}px`;
      draw();
      say();
    }

    // Built again only when other columns come, so that whoever types in a filter keeps the focus.
    function drawHead() {
      const names = JSON.stringify(columns.map(one => [one.name, one.label]));
      if (head.dataset.names === names) return;
      head.dataset.names = names;
      head.replaceChildren(element("span", ""), ...columns.map(one => {
        const cell = element("div", "so3-table-column", {role: "columnheader"});
        const sort = element("button", "", {type: "button", title: `sort by ${one.label}`});
        const filter = element("input", "", {
          type: "search", size: 1, placeholder: one.number ? "< 5, 1..9" : "contains", "aria-label": `filter ${one.label}`,
          title: one.number ? `rows whose ${one.label} is such as < 5 or 1..9` : `rows whose ${one.label} contains this`,
        });
        cell.dataset.name = one.name;
        sort.onclick = () => {
          const again = model.get("sorted_by") === one.name;
          model.set("sorted_by", again && model.get("descending") ? "" : one.name);
          change("descending", again && !model.get("descending"));
        };
        filter.value = model.get("filters")[one.name] ?? "";
        filter.oninput = () => {
          clearTimeout(filter.waiting);
          filter.waiting = setTimeout(() => {
            const {[one.name]: _, ...others} = model.get("filters");
            change("filters", filter.value.trim() ? {...others, [one.name]: filter.value} : others);
          }, 250);
        };
        cell.append(sort, filter);
        return cell;
      }));
      showSorting();
    }

    function showSorting() {
      for (const cell of head.querySelectorAll(".so3-table-column")) {
        const one = columns.find(column => column.name === cell.dataset.name);
        const sorted = model.get("sorted_by") === one.name, down = model.get("descending");
        cell.setAttribute("aria-sort", sorted ? (down ? "descending" : "ascending") : "none");
        cell.querySelector("button").textContent = one.label + (sorted ? (down ? " ▼" : " ▲") : "");
      }
    }

    function showFilters() {
      for (const cell of head.querySelectorAll(".so3-table-column")) {
        const field = cell.querySelector("input");
        if (field !== document.activeElement) field.value = model.get("filters")[cell.dataset.name] ?? "";
      }
    }

    function draw() {
      const first = Math.max(0, Math.floor(body.scrollTop / ROW) - AROUND);
      const stop = Math.min(order.length, first + Math.ceil(body.clientHeight / ROW) + 2 * AROUND);
      const selected = new Set(model.get("selected")), current = model.get("current");
      const rows = [];
      for (let place = first; place < stop; place++) {
        const number = order[place], row = element("div", "so3-table-row", {role: "row", "aria-rowindex": place + 1});
        const box = element("input", "", {type: "checkbox", tabindex: -1, "aria-label": `select ${model.get("noun")} ${number}`});
        row.dataset.row = number;
        row.style.top = `${ROW * place}px`;
        row.classList.toggle("so3-current", number === current);
        row.setAttribute("aria-selected", selected.has(number));
        box.checked = selected.has(number);
        row.append(box, ...columns.map(one => {
          const cell = element("span", one.number ? "so3-number" : "", {role: "gridcell"});
          cell.textContent = cell.title = text(one, number);
          return cell;
        }));
        rows.push(row);
      }
      inner.replaceChildren(...rows);
    }

    function say() {
      const all = columns.length ? (values[columns[0].name]?.length ?? 0) : 0, chosen = model.get("selected").length;
      const shown = order.length === all ? `${all}` : `${order.length} of ${all}`;
      foot.textContent = model.get("trouble") || `${shown} shown${chosen ? ` · ${chosen} selected` : ""}`;
      foot.classList.toggle("so3-wrong", Boolean(model.get("trouble")));
    }

    const rowAt = event => {
      const row = event.target.closest?.(".so3-table-row");
      return row ? Number(row.dataset.row) : -1;
    };

    function toggle(row, from = -1) {
      const selected = model.get("selected"), places = [...order];
      if (from >= 0 && places.includes(from)) {
        const [start, end] = [places.indexOf(from), places.indexOf(row)].sort((a, b) => a - b);
        change("selected", [...new Set([...selected, ...places.slice(start, end + 1)])]);
      } else {
        change("selected", selected.includes(row) ? selected.filter(one => one !== row) : [...selected, row]);
      }
      last = row;
    }

    function bringIntoSight(row) {
      const place = order.indexOf(row), above = head.offsetHeight;
      if (place < 0) return;
      const top = ROW * place, room = body.clientHeight - above;
      if (top < body.scrollTop) body.scrollTop = top;
      else if (top + ROW > body.scrollTop + room) body.scrollTop = top + ROW - room;
    }

    inner.onclick = event => {
      const row = rowAt(event);
      if (row < 0) return;
      if (event.target.type === "checkbox" || event.ctrlKey || event.metaKey) toggle(row);
      else if (event.shiftKey) toggle(row, last >= 0 ? last : model.get("current"));
      else { last = row; change("current", row); }
      body.focus({preventScroll: true});
    };
    inner.onmousemove = event => {
      const row = rowAt(event);
      if (row !== model.get("pointed_at")) change("pointed_at", row);
    };
    inner.onmouseleave = () => change("pointed_at", -1);
    body.onscroll = draw;
    body.onkeydown = event => {
      if (event.target.tagName === "INPUT" && event.target.type === "search") return;
      const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity}[event.key];
      if (steps !== undefined && order.length) {
        const place = Math.min(order.length - 1, Math.max(0, Math.max(order.indexOf(model.get("current")), 0) + steps));
        change("current", order[order.indexOf(model.get("current")) < 0 && steps === 1 ? 0 : place]);
      } else if (event.key === " " && model.get("current") >= 0) toggle(model.get("current"));
      else if (event.key === "Escape") change("selected", []);
      else return;
      event.preventDefault();
    };

    const follow = {
      "change:_columns": readColumns, "change:_numbers": readColumns, "change:_words": readColumns,
      "change:_order": readOrder, "change:trouble": say, "change:filters": showFilters,
      "change:sorted_by": showSorting, "change:descending": showSorting,
      "change:current": () => { bringIntoSight(model.get("current")); draw(); },
      "change:selected": () => { draw(); say(); },
    };
    for (const [event, act] of Object.entries(follow)) model.on(event, act);
    const watcher = new ResizeObserver(draw);
    watcher.observe(body);
    readColumns();
    return () => {
      watcher.disconnect();
      for (const [event, act] of Object.entries(follow)) model.off(event, act);
    };
  },
};
