// The map of a street: devices by state and kind, links with both directions, ways, back in time; and events as they come.
(() => {
  "use strict";
  const box = document.getElementById("map");
  if (!box || typeof cytoscape === "undefined") return;
  const by = (id) => document.getElementById(id);
  const time = by("time"), shownTime = by("time-shown"), nowButton = by("now"), chosen = by("chosen");
  const CENTRE = "concentrator";
  const SHAPES = { "1ph": "ellipse", "3ph": "round-rectangle", load: "triangle", inverter: "hexagon", gateway: "pentagon", concentrator: "diamond", device: "diamond" };
  const STATES = ["unknown", "heard", "challenged", "commissioned", "up", "down", "lost"];
  let shown = null;      // the map as the server gave it
  let moments = [];      // times for which there is a picture
  let at = null;         // the chosen one; null: now
  let selected = null;   // id of the chosen device
  let order = 0, isFitted = false;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const stamp = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
  const quality = (db) => css(db === null ? "--dim" : db >= 18 ? "--q-4" : db >= 12 ? "--q-3" : db >= 6 ? "--q-2" : "--q-1");
  const figure = (db) => db === null ? "" : String(Math.round(db));

  // ---- what it looks like
  const style = () => [
    { selector: "node[shape]", style: {
      width: 15, height: 15, shape: "data(shape)", "background-color": "data(colour)", "border-width": 1, "border-color": css("--panel"),
      label: "data(name)", color: css("--text"), "font-size": 7, "text-valign": "bottom", "text-margin-y": 1, "min-zoomed-font-size": 7,
      "text-outline-color": css("--panel"), "text-outline-width": 1.5 } },
    { selector: "node[state = 'down']", style: { "border-style": "dashed", "border-width": 2, "border-color": css("--text") } },
    { selector: "node[state = 'lost']", style: { "border-style": "double", "border-width": 4, "border-color": css("--text") } },
    { selector: `node[id = '${CENTRE}']`, style: { width: 24, height: 24, "background-color": css("--text"), "font-weight": 700 } },
    { selector: "node.point", style: { width: 1, height: 1, opacity: 0, label: "", events: "no" } },
    { selector: "edge[halves]", style: {
      width: 1.6, "curve-style": "straight", "line-fill": "linear-gradient", "line-gradient-stop-colors": "data(halves)",
      "line-gradient-stop-positions": "0 50 50 100", "source-label": "data(source_db)", "target-label": "data(target_db)",
      "source-text-offset": 13, "target-text-offset": 13, "font-size": 5.5, color: css("--text"), "min-zoomed-font-size": 8,
      "text-outline-color": css("--panel"), "text-outline-width": 1.2 } },
    { selector: "edge[?alternate]", style: { "curve-style": "unbundled-bezier", "control-point-distances": 12, "line-style": "dotted" } },
    { selector: "edge.spare", style: { width: 0.8, opacity: 0.45 } },
    { selector: "edge.cable", style: { width: 3, "line-fill": "solid", "line-color": css("--cable"), events: "no", "z-index": -1 } },
    { selector: ".faded", style: { opacity: 0.3 } },
    { selector: "edge.backup", style: { opacity: 1, width: 2.5, "line-style": "dashed", "line-dash-pattern": [5, 3], "min-zoomed-font-size": 5 } },
    { selector: "edge.way", style: { opacity: 1, width: 4.5, "line-style": "solid", "min-zoomed-font-size": 5 } },
    { selector: "node.on-way", style: { opacity: 1 } },
    { selector: "node.chosen", style: { opacity: 1, "border-width": 3, "border-style": "solid", "border-color": css("--focus"), width: 21, height: 21 } },
  ];
  const cy = cytoscape({ container: box, style: style(), layout: { name: "preset" }, minZoom: 0.1, maxZoom: 6, boxSelectionEnabled: false, autoungrabify: true });

  // ---- what is on it
  const key = (a, b, alternate) => `${a < b ? a : b}|${a < b ? b : a}|${alternate ? 1 : 0}`;
  const wayOf = (node, which) => [CENTRE, ...(node[which] ?? [])];
  // [from, to, on the alternate carrier] of each leg.
  const legsOf = (node, which) => (node[which] ?? []).map((id, leg) => [leg ? node[which][leg - 1] : CENTRE, id, Boolean(node[`${which}_alternate`]?.[leg])]);
  const linksOf = (map) => {
    const links = new Map();
    for (const each of map.links) links.set(key(each.a, each.b, each.alternate), { ...each });
    for (const node of map.nodes) {
      for (const which of ["way", "backup"]) {
        for (const [a, b, alternate] of legsOf(node, which)) {
          const id = key(a, b, alternate);
          if (!links.has(id)) links.set(id, { a, b, alternate, ab_db: null, ba_db: null });
          if (which === "way") links.get(id).used = true;
        }
      }
    }
    return links;
  };
  const nodeData = (node) => ({
    id: node.id, name: node.name, kind: node.kind, state: node.state, shape: SHAPES[node.kind] ?? "diamond",
    colour: css(`--s-${STATES.includes(node.state) ? node.state : "unknown"}`),
  });
  // The half of a link at a device tells how well that device hears the other.
  const linkData = (id, link) => {
    const near = quality(link.ba_db), far = quality(link.ab_db);
    return { id, source: link.a, target: link.b, alternate: link.alternate, halves: [near, near, far, far], source_db: figure(link.ba_db), target_db: figure(link.ab_db) };
  };
  const wanted = () => {
    const mine = shown.nodes.find((each) => each.id === selected);
    const spare = new Set(mine ? legsOf(mine, "backup").map(([a, b, alternate]) => key(a, b, alternate)) : []);
    const all = document.querySelector("input[name='links']:checked").value === "all";
    const made = new Map();
    for (const node of shown.nodes) made.set(node.id, { group: "nodes", data: nodeData(node), position: { x: node.x, y: node.y } });
    shown.cables.forEach(([x1, y1, x2, y2], place) => {
      const [from, to] = [`cable ${place} from`, `cable ${place} to`];
      made.set(from, { group: "nodes", classes: "point", data: { id: from }, position: { x: x1, y: y1 } });
      made.set(to, { group: "nodes", classes: "point", data: { id: to }, position: { x: x2, y: y2 } });
      made.set(`cable ${place}`, { group: "edges", classes: "cable", data: { id: `cable ${place}`, source: from, target: to } });
    });
    for (const [id, link] of linksOf(shown)) {
      if (!(link.used || all || spare.has(id)) || !made.has(link.a) || !made.has(link.b)) continue;
      made.set(id, { group: "edges", classes: link.used ? "" : "spare", data: linkData(id, link) });
    }
    return made;
  };
  const draw = () => {
    if (!shown) return;
    const made = wanted();
    cy.batch(() => {
      cy.elements().forEach((each) => { if (!made.has(each.id())) each.remove(); });
      const fresh = [];
      for (const [id, each] of made) {
        const there = cy.getElementById(id);
        if (there.empty()) { fresh.push(each); continue; }
        if (each.group === "edges" && each.classes !== "cable") there.toggleClass("spare", each.classes === "spare");
        const { source, target, ...rest } = each.data;
        there.data(rest);
        if (each.position) there.position(each.position);
      }
      cy.add(fresh);
    });
    highlight();
    if (!isFitted && shown.nodes.length > 1) { isFitted = true; cy.fit(undefined, 24); }
    box.dataset.devices = String(shown.nodes.length - 1);
    box.dataset.links = String(cy.edges().not(".cable").length);
    box.dataset.wall = String(shown.wall);
  };

  // ---- the chosen device
  const mark = (node, which, edges) => {
    for (const [a, b, alternate] of legsOf(node, which)) cy.getElementById(key(a, b, alternate)).removeClass("faded").addClass(edges);
    for (const id of wayOf(node, which)) cy.getElementById(id).removeClass("faded").addClass("on-way");
  };
  const highlight = () => {
    const node = shown.nodes.find((each) => each.id === selected);
    cy.batch(() => {
      cy.elements().removeClass("faded way backup on-way chosen");
      if (!node) return;
      cy.elements().not(".point, .cable").addClass("faded");
      mark(node, "backup", "backup");
      mark(node, "way", "way");
      cy.getElementById(node.id).removeClass("faded").addClass("chosen");
    });
    tell(node);
    box.dataset.chosen = node ? node.id : "";
    box.dataset.way = node ? wayOf(node, "way").slice(1).join(" ") : "";
  };
  const line = (list, term, text) => {
    const name = document.createElement("dt"), value = document.createElement("dd");
    name.textContent = term;
    value.textContent = text;
    list.append(name, value);
  };
  const tell = (node) => {
    if (!node) {
      if (chosen.dataset.told === "") return;
      chosen.dataset.told = "";
      const words = document.createElement("p");
      words.textContent = "No device is chosen.";
      chosen.replaceChildren(words);
      return;
    }
    const names = new Map(shown.nodes.map((each) => [each.id, each.name]));
    const words = (which) => node[which]?.length ? wayOf(node, which).map((id) => names.get(id) ?? id).join(" › ") : "none is known";
    const said = JSON.stringify([node.name, node.state, words("way"), words("backup"), shown.live]);
    if (chosen.dataset.told === said) return; // a screen reader shall not hear the same again each second
    chosen.dataset.told = said;
    const head = document.createElement("h3"), list = document.createElement("dl"), more = document.createElement("p");
    head.textContent = node.id === CENTRE ? "Concentrator" : `Device ${node.name}`;
    if (node.id !== CENTRE) {
      line(list, "Kind", node.kind);
      line(list, "State", node.standing && node.standing !== "ours" ? `${node.state}, ${node.standing}` : node.state);
      line(list, "Way", node.way?.length ? `${words("way")} (${node.way.length} leg${node.way.length === 1 ? "" : "s"})` : words("way"));
      line(list, "Backup", words("backup"));
      const link = document.createElement("a");
      link.href = `/street/devices/${encodeURIComponent(node.id)}`;
      link.textContent = "Page of this device";
      more.append(link);
    }
    chosen.replaceChildren(head, list, more);
  };
  const choose = (id) => { selected = id; draw(); }; // its backup may lead over links that were not drawn
  cy.on("tap", "node", (event) => { if (!event.target.hasClass("point")) choose(event.target.id()); });
  cy.on("tap", (event) => { if (event.target === cy) choose(null); });
  cy.on("dbltap", "node", (event) => { if (event.target.id() !== CENTRE) location.href = `/street/devices/${encodeURIComponent(event.target.id())}`; });

  // The nearest device in the direction of an arrow key, sideways distance counting double.
  const neighbour = (dx, dy) => {
    const from = cy.getElementById(selected ?? CENTRE).position();
    let best = null, least = Infinity;
    for (const node of shown.nodes) {
      const x = node.x - from.x, y = node.y - from.y, ahead = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
      if (ahead > 0.5 && ahead + 2 * aside < least && node.id !== selected) { best = node.id; least = ahead + 2 * aside; }
    }
    return best;
  };
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  box.addEventListener("keydown", (event) => {
    if (!shown || event.ctrlKey || event.altKey || event.metaKey) return;
    if (ARROWS[event.key]) choose(selected === null ? CENTRE : neighbour(...ARROWS[event.key]) ?? selected);
    else if (event.key === "Home") choose(CENTRE);
    else if (event.key === "Escape") choose(null);
    else if (event.key === "Enter" && selected && selected !== CENTRE) location.href = `/street/devices/${encodeURIComponent(selected)}`;
    else if (event.key === "+" || event.key === "-") cy.zoom({ level: cy.zoom() * (event.key === "+" ? 1.25 : 0.8), renderedPosition: { x: box.clientWidth / 2, y: box.clientHeight / 2 } });
    else return;
    event.preventDefault();
  });

  // ---- time
  const showTime = () => {
    time.max = String(Math.max(0, moments.length - 1));
    if (at === null) time.value = time.max;
    else time.value = String(Math.max(0, moments.findLastIndex((each) => each <= at)));
    const words = `${stamp(shown.wall)}${at === null ? "" : " (back then)"}`;
    shownTime.textContent = words;
    time.setAttribute("aria-valuetext", words);
    nowButton.setAttribute("aria-pressed", String(at === null));
  };
  const load = async () => {
    const mine = ++order;
    try {
      const answer = await fetch(at === null ? "/api/street/map" : `/api/street/map?at=${at}`);
      const body = await answer.json();
      if (mine !== order) return; // a newer choice was made meanwhile
      if (!answer.ok) throw new Error(body.error.message);
      shown = body;
      moments = body.moments;
      trouble(body.trouble);
      showTime();
      draw();
    } catch (error) {
      if (mine === order) trouble(`These pages do not answer any more: ${error.message}`);
    }
  };
  const trouble = (text) => {
    const place = by("trouble");
    if (place.textContent !== text) place.textContent = text;
    place.hidden = !text;
  };
  time.addEventListener("input", () => {
    const place = Number(time.value);
    at = place >= moments.length - 1 ? null : moments[place];
    load();
  });
  nowButton.addEventListener("click", () => { at = null; load(); });
  by("fit").addEventListener("click", () => cy.fit(undefined, 24));
  for (const each of document.querySelectorAll("input[name='links']")) each.addEventListener("change", draw);

  // ---- events
  const table = by("happened"), form = by("event-form"), stream = by("stream");
  const SEVERITIES = ["info", "warning", "critical"], MOST = 300;
  const row = (event) => {
    const made = document.createElement("tr");
    made.dataset.number = String(event.number);
    const cell = (content, kind) => { const one = made.insertCell(); one.append(content); if (kind) one.className = kind; };
    const severity = document.createElement("span"), link = document.createElement("a");
    severity.className = `mark ${SEVERITIES.includes(event.severity) ? event.severity : "info"}`;
    severity.textContent = event.severity;
    link.href = `/street/devices/${encodeURIComponent(event.device)}`;
    link.textContent = event.name;
    cell(stamp(event.wall), "nowrap");
    cell(severity);
    cell(event.device ? link : "");
    cell(event.text);
    return made;
  };
  const isWanted = (event) => {
    const words = by("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = `${event.name} ${event.kind} ${event.severity} ${event.text} ${event.device}`.toLowerCase();
    return SEVERITIES.indexOf(event.severity) >= SEVERITIES.indexOf(by("severity").value) && words.every((one) => text.includes(one));
  };
  const refill = async () => {
    const query = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch(`/api/street/events?${query}`);
      if (!answer.ok) return;
      const events = await answer.json();
      table.tBodies[0].replaceChildren(...events.reverse().map(row));
    } catch { /* the stream says what is wrong */ }
  };
  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refill, 200); });
  form.addEventListener("submit", (event) => { event.preventDefault(); refill(); });
  const listen = () => {
    const source = new EventSource(`/api/street/stream?after=${table.dataset.after}`);
    source.addEventListener("happened", (message) => {
      const event = JSON.parse(message.data);
      if (!isWanted(event)) return;
      table.tBodies[0].prepend(row(event));
      while (table.tBodies[0].rows.length > MOST) table.tBodies[0].lastElementChild.remove();
    });
    source.addEventListener("looked", (message) => {
      stream.textContent = "live";
      const seen = JSON.parse(message.data);
      trouble(seen.trouble);
      if (at === null && !seen.trouble && seen.wall !== shown?.wall) load();
    });
    source.addEventListener("error", () => { stream.textContent = "the connection is lost; trying again …"; });
    addEventListener("pagehide", () => source.close());
  };

  document.addEventListener("osgp:theme", () => { cy.style(style()); draw(); });
  new ResizeObserver(() => cy.resize()).observe(box);
  load();
  listen();
})();
