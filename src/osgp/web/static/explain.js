// A table byte by byte: a field marks its bytes, a byte marks its field, by pointer and by keyboard alike.
(() => {
  "use strict";
  const hex = document.getElementById("hex");
  const fields = document.getElementById("fields");
  const bits = document.getElementById("bits");
  if (!hex) return;
  const [name, place, source] = ["name", "place", "source"].map((one) => document.getElementById(`about-${one}`));
  const bytes = new Map();
  for (const each of hex.querySelectorAll("[data-at]")) {
    const at = Number(each.dataset.at);
    if (!bytes.has(at)) bytes.set(at, []);
    bytes.get(at).push(each);
  }
  const rows = fields ? [...fields.tBodies[0].rows] : [];
  const span = (row) => [Number(row.dataset.at), Number(row.dataset.size)];

  const clear = () => {
    for (const each of document.querySelectorAll(".lit")) each.classList.remove("lit");
    for (const each of [bits, name, place, source]) each.textContent = "";
  };
  const value = (at, size) => {
    let digits = "";
    for (let one = at + size - 1; one >= at; one -= 1) {
      const shown = bytes.get(one);
      if (!shown) return null;
      digits += parseInt(shown[0].textContent, 16).toString(2).padStart(8, "0");
    }
    return digits;
  };
  const showBits = (row) => {
    const [at, size] = span(row);
    const bit = Number(row.dataset.bit), width = Number(row.dataset.width);
    const digits = value(at, size);
    if (digits === null || size > 8) return;
    const end = digits.length - bit;
    const mark = document.createElement("mark");
    mark.textContent = digits.slice(end - width, end);
    bits.replaceChildren("bits ", digits.slice(0, end - width), mark, digits.slice(end));
  };
  const tell = (row, at, size) => {
    const words = row.querySelector(".value").textContent.trim();
    name.textContent = row.querySelector(".name").textContent + (words ? ` = ${words}` : "");
    const bit = row.dataset.bit === undefined ? "" : `, ${row.querySelector(".place small").textContent.trim()}`;
    place.textContent = (size === 1 ? `byte ${at}` : `bytes ${at} to ${at + size - 1}`) + bit;
    source.textContent = row.dataset.source;
  };
  const lightRow = (row, scroll) => {
    clear();
    row.classList.add("lit");
    const [at, size] = span(row);
    for (let one = at; one < at + size; one += 1)
      for (const each of bytes.get(one) ?? []) each.classList.add("lit");
    tell(row, at, size);
    if (row.dataset.bit !== undefined) showBits(row);
    // Only the dump itself scrolls: the page must stay where the reader is.
    const first = bytes.get(at)?.[0];
    if (scroll && first && hex.scrollHeight > hex.clientHeight) hex.scrollTop = first.offsetTop - hex.clientHeight / 2;
  };
  const rowOf = (at) => {
    let best = null;
    for (const row of rows) {
      if (row.dataset.bit !== undefined) continue;
      const [start, size] = span(row);
      if (start <= at && at < start + size && (best === null || size <= span(best)[1])) best = row;
    }
    return best;
  };
  const lightByte = (at, scroll) => {
    const row = rowOf(at);
    if (!row) { clear(); return; }
    lightRow(row, false);
    for (const each of rows) {
      const [start, size] = span(each);
      if (each.dataset.bit !== undefined && start === span(row)[0] && size === span(row)[1]) each.classList.add("lit");
    }
    if (scroll) row.scrollIntoView({ block: "nearest" });
  };

  // One stop for the Tab key in each list; arrow keys move inside it.
  const rove = (list, from, step) => {
    const next = list[Math.min(list.length - 1, Math.max(0, list.indexOf(from) + step))];
    if (!next) return;
    for (const each of list) each.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
  const digits = [...hex.querySelectorAll(".byte")];
  const keys = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 };
  fields?.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr[data-at]");
    if (row && keys[event.key]) { event.preventDefault(); rove(rows, row, keys[event.key]); }
  });
  fields?.addEventListener("focusin", (event) => {
    const row = event.target.closest("tr[data-at]");
    if (row) lightRow(row, true);
  });
  fields?.addEventListener("pointerover", (event) => {
    const row = event.target.closest("tr[data-at]");
    if (row) lightRow(row, true);
  });
  const moves = { ...keys, ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8, PageDown: 64, PageUp: -64 };
  hex.addEventListener("keydown", (event) => {
    if (event.target.classList.contains("byte") && moves[event.key]) {
      event.preventDefault();
      rove(digits, event.target, moves[event.key]);
    }
  });
  const byteAt = (event) => event.target.closest("[data-at]");
  hex.addEventListener("focusin", (event) => { const one = byteAt(event); if (one) lightByte(Number(one.dataset.at), true); });
  hex.addEventListener("pointerover", (event) => { const one = byteAt(event); if (one) lightByte(Number(one.dataset.at), false); });
  hex.addEventListener("click", (event) => { const one = byteAt(event); if (one) lightByte(Number(one.dataset.at), true); });
  if (rows.length) lightRow(rows[0], false);
})();
