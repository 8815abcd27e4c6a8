// The load profile: channels of the same unit share an axis, gaps stay gaps, doubtful intervals carry a mark.
(() => {
  "use strict";
  const form = document.getElementById("plot-form");
  const box = document.getElementById("plot");
  if (!form || !box) return;
  const readout = document.getElementById("plot-readout");
  const channels = document.getElementById("channels");
  const colours = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
  const dashes = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
  const chosen = new Map(); // channel title and unit to shown or not, kept when the range changes
  let data = null, plot = null, order = 0;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const two = (number) => String(number).padStart(2, "0");
  const stamp = (seconds) => {
    const d = new Date(seconds * 1000);
    return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
  };
  const number = (value, unit) => value === null || value === undefined ? "–"
    : `${value.toLocaleString("en", { maximumFractionDigits: 3 }).replaceAll(",", "\u202f")} ${unit}`.trim();
  const name = (series) => `${series.title}|${series.unit}`;
  const colour = (place) => css(colours[place % colours.length]);
  const dash = (place) => dashes[Math.floor(place / colours.length) % dashes.length];
  const shown = () => data.series.map((series, place) => ({ series, place })).filter(({ series }) => chosen.get(name(series)));

  const buildChannels = () => {
    for (const label of channels.querySelectorAll("label")) label.remove();
    data.series.forEach((series, place) => {
      // At first: the energies if there are any, else the first channel; all at once would be a thicket.
      if (!chosen.has(name(series))) {
        const energies = data.series.some((each) => each.unit === "Wh");
        chosen.set(name(series), energies ? series.unit === "Wh" : place === 0);
      }
      const label = document.createElement("label");
      const input = document.createElement("input");
      input.type = "checkbox";
      input.checked = chosen.get(name(series));
      input.addEventListener("change", () => { chosen.set(name(series), input.checked); draw(); });
      const swatch = document.createElement("span");
      swatch.className = `swatch line-${place % colours.length + 1}`;
      label.append(input, swatch, series.unit ? `${series.title} (${series.unit})` : series.title);
      channels.append(label);
    });
  };

  const marks = (u) => {
    const { ctx } = u, top = u.bbox.top, size = 5 * devicePixelRatio;
    const at = new Set();
    for (const { series } of shown()) for (const flag of series.flags) at.add(flag.index);
    ctx.save();
    ctx.fillStyle = css("--doubt");
    for (const index of at) {
      const time = data.time[index];
      if (time < u.scales.x.min || time > u.scales.x.max) continue;
      const x = u.valToPos(time, "x", true);
      ctx.beginPath();
      ctx.moveTo(x - size, top);
      ctx.lineTo(x + size, top);
      ctx.lineTo(x, top + 1.6 * size);
      ctx.fill();
    }
    ctx.restore();
  };

  const read = (index) => {
    if (index === null || index === undefined) return;
    const parts = [stamp(data.time[index])];
    for (const { series } of shown()) {
      const flag = series.flags.find((each) => each.index === index);
      parts.push(`${series.title}: ${number(series.values[index], series.unit)}${flag ? ` (${flag.words.join(", ")})` : ""}`);
    }
    const status = data.statuses.find((each) => each.index === index);
    if (status) parts.push(status.words.join(", "));
    readout.textContent = parts.join(" · ");
  };

  const draw = () => {
    plot?.destroy();
    plot = null;
    box.replaceChildren();
    const lines = shown();
    if (!data.time.length || !lines.length) {
      box.textContent = data.time.length ? "No channel is chosen." : "Nothing is stored in this range.";
      return;
    }
    const units = [...new Set(lines.map(({ series }) => series.unit))];
    const text = css("--text"), grid = css("--grid");
    const used = form.elements.counters.value === "used";
    const minutes = data.interval_s / 60;
    const axisLabel = (unit) => used && lines.some(({ series }) => series.unit === unit && series.cumulative)
      ? `${unit || "value"} in ${minutes} min` : unit || "value";
    const narrow = box.clientWidth < 520;
    plot = new uPlot({
      width: box.clientWidth,
      height: narrow ? 260 : 340,
      tzDate: (seconds) => { const d = new Date(seconds * 1000); return new Date(d.getTime() + d.getTimezoneOffset() * 60000); },
      legend: { show: false },
      cursor: { drag: { x: true, y: false } },
      scales: Object.fromEntries([["x", { time: true }], ...units.map((unit) => [`u:${unit}`, {
        range: (u, low, high) => {
          if (low === null) return [0, 1];
          const room = (high - low || Math.abs(high) || 1) * 0.08;
          return [low >= 0 && low - room < (high - low) ? Math.max(0, low - room) : low - room, high + room];
        },
      }])]),
      axes: [
        {
          stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 },
          values: [
            [86400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
            [3600, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
            [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
          ],
        },
        ...units.map((unit, place) => ({
          scale: `u:${unit}`, side: place % 2 ? 1 : 3, show: place < 2, label: narrow ? undefined : axisLabel(unit),
          size: narrow ? 48 : 64, stroke: text, ticks: { stroke: grid, width: 1 },
          grid: { show: place === 0, stroke: grid, width: 1 },
        })),
      ],
      series: [{}, ...lines.map(({ series, place }) => ({
        label: series.title, scale: `u:${series.unit}`, stroke: colour(place), dash: dash(place), width: 1.5,
        spanGaps: false, points: { show: false },
        // An interval carries the time of its end, so its value holds for the time before.
        paths: used ? uPlot.paths.stepped({ align: -1 }) : uPlot.paths.linear(),
      }))],
      hooks: { draw: [marks], setCursor: [(u) => read(u.cursor.idx)] },
    }, [data.time, ...lines.map(({ series }) => series.values)], box);
    box.dataset.drawn = String(lines.length);
    summary(lines);
  };

  const summary = (lines) => {
    const gaps = data.missing ? `${data.missing} interval${data.missing === 1 ? " is" : "s are"} missing.` : "No interval is missing.";
    document.getElementById("plot-summary").textContent =
      `${data.time.length} intervals of ${data.interval_s / 60} min from ${stamp(data.time[0])} to ${stamp(data.time.at(-1))}. ${gaps} Drag to zoom, double-click to go back.`;
    const list = document.getElementById("plot-odd");
    list.replaceChildren();
    for (const { series } of lines) {
      // Neighbours with the same words are one line: a frozen counter is one finding, not a hundred.
      const runs = [];
      for (const { index, words } of series.flags) {
        const last = runs.at(-1), said = words.join(", ");
        if (last && last.said === said && last.to + 1 === index) last.to = index;
        else runs.push({ said, from: index, to: index });
      }
      for (const run of runs.slice(0, 20)) {
        const item = document.createElement("li"), mark = document.createElement("span");
        mark.className = "mark doubt";
        mark.textContent = run.said;
        const until = run.to > run.from ? ` to ${stamp(data.time[run.to])} (${run.to - run.from + 1} intervals)` : "";
        item.append(mark, ` ${series.title}, ${stamp(data.time[run.from])}${until}`);
        list.append(item);
      }
    }
    if (document.getElementById("plot-details").open) table();
  };

  const cell = (tag, text, kind) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (kind) made.className = kind;
    if (tag === "th") made.scope = "col";
    return made;
  };
  const table = () => {
    const lines = shown(), made = document.createElement("table"), head = document.createElement("tr");
    made.className = "plain";
    head.append(cell("th", "End of interval"), ...lines.map(({ series }) => cell("th", `${series.title} (${series.unit})`, "num")));
    made.createTHead().append(head);
    const body = made.createTBody();
    for (let index = data.time.length - 1; index >= Math.max(0, data.time.length - 96); index -= 1) {
      const row = body.insertRow();
      row.append(cell("td", stamp(data.time[index]), "nowrap"), ...lines.map(({ series }) => cell("td", number(series.values[index], ""), "num")));
    }
    document.getElementById("plot-table").replaceChildren(made);
  };
  document.getElementById("plot-details").addEventListener("toggle", (event) => { if (event.target.open && data) table(); });

  const load = async () => {
    const mine = ++order;
    const query = new URLSearchParams(new FormData(form));
    box.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${form.dataset.url}?${query}`);
      const body = await answer.json();
      if (mine !== order) return; // a newer choice was made meanwhile
      if (!answer.ok) throw new Error(body.error.message);
      data = body;
      buildChannels();
      draw();
    } catch (error) {
      if (mine === order) box.textContent = `The load profile cannot be shown: ${error.message}`;
    } finally {
      if (mine === order) box.removeAttribute("aria-busy");
    }
  };
  form.addEventListener("change", (event) => { if (event.target.type === "radio") load(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -24, PageDown: 24, Home: -1e9, End: 1e9 }[event.key];
    if (!step || !plot) return;
    event.preventDefault();
    const from = plot.cursor.idx ?? (step > 0 ? -1 : data.time.length);
    const index = Math.min(data.time.length - 1, Math.max(0, from + step));
    plot.setCursor({ left: plot.valToPos(data.time[index], "x"), top: plot.bbox.height / devicePixelRatio / 2 });
    read(index);
  });
  new ResizeObserver(() => {
    if (plot && Math.abs(plot.width - box.clientWidth) > 1) plot.setSize({ width: box.clientWidth, height: plot.height });
  }).observe(box);
  document.addEventListener("osgp:theme", () => { if (data) draw(); });
  load();
})();
