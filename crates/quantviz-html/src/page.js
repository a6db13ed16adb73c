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

  const name = (layer) => options[layer].dataset.name;
  const layerOf = (row) => data.rows[Number(row.dataset.row)];
  const into = (element, box) => {
    const inner = element.getBoundingClientRect(), outer = box.getBoundingClientRect();
    const head = box.querySelector(".qv-head"), top = outer.top + (head ? head.offsetHeight : 0);
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
      if (is && first) { if (says) into(row, one(".qv-scroll")); first = false; }
    }
    if (first && rows.length) shown()[0].tabIndex = 0;
    if (list.hidden) {
      search.value = name(layer);
      // Whoever types next looks for something else.
      if (document.activeElement === search) search.select();
    }
    search.setAttribute("aria-activedescendant", options[layer].id);
    if (says) one(".qv-announce").textContent = "Layer " + name(layer);
  }

  // Rows, in the order in which they stand.
  const shown = () => data.orders[order].map((index) => rows.find((it) => Number(it.dataset.row) === index)).filter(Boolean);
  function sort(by) {
    order = by;
    const parent = rows[0] && rows[0].parentNode;
    data.orders[by].forEach((index, place) => {
      const row = rows.find((it) => Number(it.dataset.row) === index);
      if (!row) return;
      row.setAttribute("transform", "translate(0 " + place * data.row_height + ")");
      parent.appendChild(row);
    });
  }

  function open(is) {
    list.hidden = !is;
    search.setAttribute("aria-expanded", String(is));
    if (is) into(options[chosen], list);
  }
  function filter(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    options.forEach((it) => {
      const all = it.textContent.toLowerCase();
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
  all(".qv-choice button").forEach((button) => button.addEventListener("click", () => {
    const what = button.dataset.show, is = root.classList.toggle("qv-show-" + what);
    all('.qv-choice button[data-show="' + what + '"]').forEach((it) => it.setAttribute("aria-pressed", String(is)));
  }));
  choose(data.first, false);
}
