// One selection of a layer, driven by rows, list and keys. All that it says is in the page already: it chooses what shows.
function quantvizPage(id) {
  "use strict";
  const root = document.getElementById(id);
  if (!root || root.classList.contains("qv-runs")) return;
  const all = (selector) => [...root.querySelectorAll(selector)];
  const one = (selector) => root.querySelector(selector);
  const data = JSON.parse(one(".qv-data").textContent);
  const layers = all(".qv-layer"), options = all(".qv-list li"), rows = all(".qv-row");
  const search = one(".qv-search"), list = one(".qv-list");
  if (!layers.length) return;
  root.classList.add("qv-runs");
  layers.forEach((layer) => { layer.open = true; });
  all(".qv-layer > summary").forEach((summary) => { summary.tabIndex = -1; });
  let chosen = -1, order = 0;

  const name = (layer) => options[layer].querySelector(".qv-name").textContent;
  const layerOf = (row) => data.rows[Number(row.dataset.row)];
  // Scrolls a box until something in it is seen below what sticks to its top.
  const into = (element, box) => {
    const inner = element.getBoundingClientRect(), outer = box.getBoundingClientRect();
    const heading = element.closest("details"), sticks = [box.querySelector(".qv-head"), heading && heading.firstElementChild];
    const top = sticks.reduce((top, it) => top + (it ? it.offsetHeight : 0), outer.top);
    if (inner.top < top) box.scrollTop -= top - inner.top;
    else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom;
  };

  function choose(layer, says) {
    if (layer === chosen || layer == null || !layers[layer]) return;
    chosen = layer;
    layers.forEach((it, index) => it.classList.toggle("qv-chosen", index === layer));
    options.forEach((it, index) => it.setAttribute("aria-selected", String(index === layer)));
    let first = true;
    for (const row of rows) {
      const is = layerOf(row) === layer;
      row.classList.toggle("qv-chosen", is);
      row.tabIndex = is && first ? 0 : -1;
      if (is) row.setAttribute("aria-current", "true"); else row.removeAttribute("aria-current");
      if (is && first) {
        const block = row.closest("details");
        if (block) block.open = true;
        const box = one(".qv-scroll"), before = box.scrollTop;
        into(row, box);
        if (says) tellRow(row);
        // Where nobody has looked yet, it stands in the midst of others.
        else if (box.scrollTop > before) box.scrollTop += box.clientHeight / 3;
      }
      first = first && !is;
    }
    if (first && shown().length) shown()[0].tabIndex = 0;
    layers[layer].querySelectorAll(".qv-histograms").forEach(prepare);
    layers[layer].querySelectorAll(".qv-channels").forEach(prepareStrip);
    reach();
    if (list.hidden) {
      search.value = name(layer);
      // Whoever types next looks for something else.
      if (document.activeElement === search) search.select();
    }
    search.setAttribute("aria-activedescendant", options[layer].id);
    if (says) one(".qv-announce").textContent = "Layer " + name(layer);
  }

  // What is wider than its place can be reached, and moved, by keys.
  function reach() {
    all("header .qv-wide, .qv-scales .qv-wide, .qv-foot, .qv-chosen :is(.qv-wide, figure)").forEach((box) => {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0; else box.removeAttribute("tabindex");
    });
  }

  // Rows, in the order in which they stand: in their blocks, or in any other order together.
  const flat = one(".qv-flat"), byIndex = new Map(rows.map((row) => [Number(row.dataset.row), row]));
  const homes = new Map(rows.map((row) => [row, [row.parentNode, row.getAttribute("transform")]]));
  const inOrder = () => data.orders[order].map((index) => byIndex.get(index)).filter(Boolean);
  const shown = () => inOrder().filter((row) => !row.closest("details:not([open])"));
  function sort(by) {
    order = by;
    if (flat) {
      flat.hidden = !by;
      one(".qv-rows").hidden = one(".qv-fold").hidden = Boolean(by);
    }
    inOrder().forEach((row, place) => {
      const [parent, transform] = homes.get(row), stays = flat && !by;
      row.setAttribute("transform", stays ? transform : "translate(0 " + place * data.row_height + ")");
      (by && flat ? flat.firstElementChild : parent).appendChild(row);
    });
  }
  function tellRow(row) { one(".qv-row-said").textContent = row.querySelector("title").textContent; }

  // More models than there are places: each select says who stands in one; who stands there already changes places.
  const selects = all(".qv-model");
  let placed = selects.map((it) => it.value);
  function place(at) {
    const other = selects.findIndex((it, index) => index !== at && it.value === selects[at].value);
    if (other >= 0) selects[other].value = placed[at];
    placed = selects.map((it) => it.value);
    const style = [...selects[0].options].map(({ value }) => {
      const start = data.starts[placed.indexOf(value) + 1];
      const where = placed.includes(value) ? "transform:translate(" + start + "px)" : "display:none";
      return "#" + id + " .qv-p" + value + "{" + where + "}";
    });
    one(".qv-places").textContent = style.join("");
  }

  // Histograms: bars are as high as what they count, so their numbers are read from them.
  const PARTS = 99;
  const bars = (plot) => plot.querySelector("path[transform]");
  const matrix = (path) => path.getAttribute("transform").match(/-?[\d.]+/g).map(Number);
  function counts(plot) {
    const path = bars(plot), all = [];
    let height = 0;
    for (const [, what, number] of path ? path.getAttribute("d").matchAll(/([Vh])(\d+)/g) : []) {
      if (what === "V") height = Number(number);
      else for (let more = 0; more < Number(number); more++) all.push(height);
    }
    for (const few of path && path.dataset.few ? path.dataset.few.split(" ") : []) {
      const [place, count] = few.split(":").map(Number);
      all[place] = count;
    }
    return all;
  }
  function drawLog(plot, tallest) {
    const log = plot.querySelector(".qv-log"), even = bars(plot);
    if (!log || !even || bars(log)) return;
    const path = even.cloneNode(), [wide, , , high, x, foot] = matrix(even);
    const level = (count) => count && Math.max(1, Math.round(PARTS * (Math.log1p(count) / Math.log1p(tallest))));
    path.setAttribute("transform", "matrix(" + [wide, 0, 0, high * tallest / PARTS, x, foot].join(" ") + ")");
    path.setAttribute("d", "M0 0" + counts(plot).map((count) => "V" + level(count) + "h1").join("") + "V0");
    path.removeAttribute("data-few");
    log.appendChild(path);
  }

  const count = (value) => value.toLocaleString("en-US");
  // As everywhere: four digits, and all that stand before the point.
  function number(value) {
    const size = Math.abs(value);
    if (Number.isInteger(value) && size < 1e6) return String(value + 0);
    if (size < 1e-3 || size >= 1e6) return value.toExponential(3).replace(/\.?0*e\+?/, "e");
    return String(Number(value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size))))));
  }
  function code(plot, place) {
    const { first, codes } = plot.dataset;
    return codes ? codes.split(" ")[place] : number(Number(first) + place);
  }

  // Below a figure: a slider that keys move, and what `words` says of the place that it, or the pointer, is at.
  function teller(figure, label, hint, words) {
    const said = document.createElement("figcaption"), slider = document.createElement("input");
    const text = document.createElement("span");
    slider.type = "range";
    slider.min = "0";
    slider.setAttribute("aria-label", label);
    said.className = "qv-said";
    text.textContent = hint;
    said.append(slider, text);
    figure.append(said);
    const hide = () => figure.querySelectorAll(".qv-at").forEach((it) => it.remove());
    function tell(place) {
      hide();
      slider.value = String(place);
      text.textContent = words(place);
      slider.setAttribute("aria-valuetext", text.textContent);
    }
    slider.addEventListener("input", () => tell(Number(slider.value)));
    slider.addEventListener("focus", () => tell(Number(slider.value)));
    slider.addEventListener("blur", hide);
    const svg = figure.querySelector("svg");
    svg.addEventListener("pointerleave", hide);
    return { slider, svg, hide, tell };
  }
  function mark(plot, path, place, high) {
    const at = path.cloneNode();
    at.setAttribute("class", "qv-at");
    at.setAttribute("d", "M" + place + " 0h1V" + high / -matrix(at)[3] + "h-1z");
    plot.appendChild(at);
  }
  // The place in a row of bars that something on the screen is above; -1 where there are none.
  function across(path, event) {
    const to = path && path.getScreenCTM().inverse();
    return to ? Math.floor(to.a * event.clientX + to.e) : -1;
  }

  // A strip of channels: what each cell says in numbers.
  function prepareStrip(strip) {
    const figure = strip.closest("figure"), path = bars(strip);
    if (!path || figure.querySelector("input")) return;
    const { channels, each, decibels, rows } = strip.dataset, cells = decibels.split("|");
    const numbers = rows ? rows.split(";").map((row) => row.split("|")) : [];
    const hint = "Point at a channel, or move the slider, for its numbers.";
    const { slider, svg, hide, tell } = teller(figure, "Channel whose numbers are told", hint, (cell) => {
      mark(strip, path, cell, 60);
      const first = cell * each, last = Math.min(first + Number(each), channels) - 1;
      const which = last > first ? "channels " + first + " to " + last + ", the worst: " : "channel " + first + ": ";
      const db = /\d/.test(cells[cell]) ? cells[cell] + " dB" : cells[cell];
      const more = numbers.filter((row) => row[cell + 1]).map((row) => row[0] + " " + row[cell + 1]);
      return which + [db, ...more].join(" · ");
    });
    slider.max = String(cells.length - 1);
    slider.value = "0";
    svg.addEventListener("pointermove", (event) => {
      const cell = across(path, event);
      if (cell >= 0 && cell < cells.length) tell(cell); else hide();
    });
  }

  // A figure whose bars can be asked for their numbers: by pointing, and by a slider that keys move.
  function prepare(figure) {
    if (figure.querySelector("input")) return;
    const panels = [...figure.querySelectorAll(".qv-panel")];
    const plots = (kind) => panels.map((panel) => panel.querySelector(kind)).filter(Boolean);
    const real = plots(".qv-real"), tallest = Math.max(1, ...real.flatMap(counts));
    real.forEach((plot) => drawLog(plot, tallest));
    plots(".qv-codes").forEach((plot) => drawLog(plot, Math.max(1, ...counts(plot))));

    const current = () => {
      const codes = root.classList.contains("qv-show-codes") ? plots(".qv-codes") : [];
      return codes.length ? codes : real;
    };
    const hint = "Point at a bar, or move the slider, for its numbers.";
    const { slider, svg, hide, tell } = teller(figure, "Bar whose numbers are told", hint, (place) => {
      const told = current().map((plot) => {
        const label = plot.parentNode.dataset.label, all = counts(plot);
        if (!(place < all.length)) return "";
        mark(plot, bars(plot), place, 120);
        return plot.dataset.axis ? label + " " + count(all[place])
          : label + " code " + code(plot, place) + ": " + count(all[place]);
      });
      const { axis } = current()[0].dataset;
      let edges = "";
      if (axis) {
        const [low, high] = axis.split(" ").map(Number), many = Number(slider.max) + 1;
        const edge = (index) => number(low + (high - low) * index / many);
        edges = edge(place) + " … " + edge(place + 1) + ": ";
      }
      return edges + told.filter(Boolean).join(" · ");
    });
    const aim = () => {
      const all = counts(current()[0]);
      slider.max = String(Math.max(0, all.length - 1));
      slider.value = String(all.indexOf(Math.max(...all)));
    };
    aim();
    figure.addEventListener("qv-aim", () => { hide(); aim(); });
    svg.addEventListener("pointermove", (event) => {
      for (const plot of current()) {
        const place = across(bars(plot), event), frame = plot.getBoundingClientRect();
        const inside = event.clientY >= frame.top && event.clientY <= frame.bottom;
        if (inside && place >= 0 && place <= Number(slider.max)) return tell(place);
      }
      hide();
    });
  }

  function open(is) {
    list.hidden = !is;
    search.setAttribute("aria-expanded", String(is));
    if (is) into(options[chosen], list);
  }
  function filter(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    options.forEach((it, layer) => {
      const parts = it.querySelector(".qv-parts").textContent.split(", ").map((part) => name(layer) + "." + part);
      const all = [it.textContent, ...parts].join(" ").toLowerCase();
      it.hidden = !words.every((word) => all.includes(word));
    });
  }
  function close() { open(false); filter(""); search.value = name(chosen); }
  function step(by) {
    const there = options.map((it, index) => index).filter((index) => !options[index].hidden);
    if (!there.length) return;
    const at = there.indexOf(chosen);
    const next = at < 0 ? 0 : Math.max(0, Math.min(there.length - 1, at + by));
    choose(there[next], true);
    if (!list.hidden) into(options[chosen], list);
  }

  rows.forEach((row) => {
    row.addEventListener("click", (event) => { event.preventDefault(); choose(layerOf(row), true); });
    row.addEventListener("focus", () => choose(layerOf(row), true));
    row.addEventListener("pointerenter", () => tellRow(row));
    row.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const places = shown();
      let to = by ? places[places.indexOf(row) + by] : null;
      if (event.key === "Home") to = places[0];
      if (event.key === "End") to = places[places.length - 1];
      if (!to) return;
      event.preventDefault();
      to.focus({ preventScroll: true });
      into(to, one(".qv-scroll"));
    });
  });
  options.forEach((it, index) => it.addEventListener("mousedown", (event) => {
    event.preventDefault();
    choose(index, true);
    close();
  }));
  search.addEventListener("focus", () => search.select());
  search.addEventListener("click", () => open(true));
  search.addEventListener("input", () => {
    open(true);
    filter(search.value);
    const first = options.findIndex((it) => !it.hidden);
    if (first >= 0 && options[chosen].hidden) choose(first, true);
  });
  search.addEventListener("blur", close);
  search.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (by) { event.preventDefault(); step(by); }
    if (event.key === "Enter" || event.key === "Escape") { event.preventDefault(); close(); search.select(); }
  });
  one(".qv-open").addEventListener("mousedown", (event) => {
    event.preventDefault();
    search.focus();
    open(list.hidden);
  });
  all(".qv-go").forEach((it) => it.addEventListener("click", () => choose(Number(it.dataset.layer), true)));
  one(".qv-previous").addEventListener("click", () => step(-1));
  one(".qv-next").addEventListener("click", () => step(1));
  one(".qv-order").addEventListener("change", (event) => sort(Number(event.target.value)));
  selects.forEach((it, at) => it.addEventListener("change", () => place(at)));
  all(".qv-fold").forEach((button) => button.addEventListener("click", () => {
    const blocks = all(".qv-block"), opens = blocks.every((it) => !it.open);
    blocks.forEach((it) => { it.open = opens; });
    button.textContent = opens ? "close all blocks" : "open all blocks";
  }));
  all(".qv-choice button").forEach((button) => button.addEventListener("click", () => {
    const what = button.dataset.show, is = root.classList.toggle("qv-show-" + what);
    all('.qv-choice button[data-show="' + what + '"]').forEach((it) => it.setAttribute("aria-pressed", String(is)));
    all(".qv-histograms").forEach((it) => it.dispatchEvent(new Event("qv-aim")));
  }));
  // Headings of blocks stick below the scale, however high that is.
  const head = one(".qv-head");
  function measure() {
    if (head) root.style.setProperty("--head", head.offsetHeight + "px");
    reach();
  }
  measure();
  if (window.ResizeObserver) new ResizeObserver(measure).observe(root);
  choose(data.first, false);
}
