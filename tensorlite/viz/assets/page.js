"use strict";
const data = JSON.parse(document.getElementById("graph-data").textContent);
const NS = "http://www.w3.org/2000/svg", stage = document.getElementById("stage"), facts = document.getElementById("facts");
const search = document.getElementById("search"), found = document.getElementById("found"), live = document.getElementById("live");
const groups = new Map(data.groups.map(g => [g.key, g])), parts = new Map(data.boxes.map(b => [b.key, b]));
let open = new Set(data.open), chosen = null, zoom = 1;

function svg(name, attributes, ...children) {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  node.append(...children);
  return node;
}
const n = v => +v.toFixed(2);
const hiding = key => {  // the closed group that hides what lies in group `key`
  let closed = "";
  for (let at = key; at !== ""; at = groups.get(at).parent) if (!open.has(at)) closed = at;
  return closed;
};

function project() {
  const boxes = {}, where = {};
  for (const b of data.boxes) {
    const closed = hiding(b.group);
    where[b.key] = closed || b.key;
    if (!closed) boxes[b.key] = b;
    else if (!boxes[closed]) { const g = groups.get(closed); boxes[closed] = {...g.closed, key: closed, group: g.parent, module: g}; }
  }
  const shown = data.groups.filter(g => open.has(g.key) && hiding(g.key) === "");
  const merged = new Map();
  for (const l of data.links) {
    const src = where[l.src], dst = where[l.dst], id = src + "|" + dst + "|" + l.kind;
    if (src !== dst && !merged.has(id)) merged.set(id, {...l, src, dst});
  }
  return {boxes, shown, links: [...merged.values()]};
}

function path(points) {
  let d = `M${n(points[0][0])} ${n(points[0][1])}`;
  for (let i = 1; i + 2 < points.length; i += 3) d += "C" + points.slice(i, i + 3).map(p => n(p[0]) + " " + n(p[1])).join(" ");
  return d;
}

function draw(focus) {
  const {boxes, shown, links} = project(), layout = place(boxes, shown, links), depth = new Map(shown.map(g => [g.key, g.depth]));
  const tone = d => d % 2 ? 1 : 2, halo = d => d ? `halo h${tone(d)}` : "halo";
  const root = svg("svg", {class: `tlg tlg-${data.theme}`, role: "group", "aria-label": data.title, viewBox: `0 0 ${n(layout.w)} ${n(layout.h)}`,
    width: n(layout.w * zoom), height: n(layout.h * zoom)});
  const defs = svg("defs", {});
  for (const kind of ["data", "skip", "loop", "leaf"])
    defs.append(svg("marker", {id: "m-" + kind, viewBox: "0 0 8 7", refX: 7.4, refY: 3.5, markerWidth: 8, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto"},
      svg("path", {d: "M0 0 L8 3.5 L0 7 L2.2 3.5 Z", class: {skip: "a-skip", loop: "a-loop"}[kind] || "a"})));
  root.append(defs);
  for (const g of shown) {
    const r = layout.at[g.key];
    root.append(svg("rect", {class: "d" + tone(g.depth), x: n(r.x), y: n(r.y), width: n(r.w), height: n(r.h), rx: 10}));
  }
  links.forEach((l, i) => {
    const edge = svg("path", {class: l.kind === "data" ? "e" : "e " + l.kind, d: path(layout.routes[i].points), "marker-end": `url(#m-${l.kind})`});
    edge.dataset.src = l.src; edge.dataset.dst = l.dst;
    root.append(edge);
  });
  for (const b of Object.values(boxes)) root.append(box(b, layout.at[b.key]));
  for (const g of shown) root.append(caption(g, layout.at[g.key], halo(g.depth)));
  links.forEach((l, i) => {
    if (!l.label) return;
    const [x, y] = layout.routes[i].label, d = Math.min(depth.get(boxes[l.src].group) || 0, depth.get(boxes[l.dst].group) || 0);
    root.append(svg("text", {class: `lbl ${l.kind === "loop" ? "lbl-loop " : ""}${halo(d)}`, x: n(x), y: n(y)}, l.label));
  });
  stage.replaceChildren(root);
  if (focus) { const node = root.querySelector(`[data-key="${CSS.escape(focus)}"]`); if (node) node.focus(); }
  select(chosen);
}

function box(b, r) {
  if (b.kind === "entry") return svg("g", {class: "entry"}, svg("circle", {cx: n(r.x + r.w / 2), cy: n(r.y + r.h / 2), r: 3}));
  const g = svg("g", {class: `b ${b.kind} ${b.role}${b.alarm ? " alarm" : ""}`, tabindex: 0, role: "button", "aria-label": b.lines.join(", ") + (b.module ? ", closed module" : "")});
  g.dataset.key = b.key;
  if (b.module) g.setAttribute("aria-expanded", "false");
  const pill = b.kind === "input" || b.kind === "output" ? r.h / 2 : 8;
  g.append(svg("rect", {class: "f", x: n(r.x), y: n(r.y), width: n(r.w), height: n(r.h), rx: pill}));
  if (b.role) g.append(svg("path", {class: "strip", d: `M${n(r.x + 6)} ${n(r.y + .25)}A8 8 0 0 0 ${n(r.x)} ${n(r.y + 8)}V${n(r.y + r.h - 8)}A8 8 0 0 0 ${n(r.x + 6)} ${n(r.y + r.h - .25)}Z`}));
  const x = b.role ? r.x + 17 : r.x + r.w / 2, y = r.y + (r.h - 15 * b.lines.length) / 2 + 11.5;
  b.lines.forEach((text, i) => {
    const line = svg("text", {x: n(x), y: n(y + 15 * i)}, text);
    if (i === 0) line.setAttribute("class", "t"); else if (b.level !== undefined && i === b.lines.length - 1) line.setAttribute("class", "num");
    if (!b.role) line.setAttribute("text-anchor", "middle");
    g.append(line);
  });
  if (b.level !== undefined)
    for (const [css, share] of [["track", 1], ["meter", b.level]])
      g.append(svg("rect", {class: css, x: n(r.x + 17), y: n(r.y + r.h - 4.5), width: n((r.w - 28) * share), height: 2.5}));
  act(g, () => b.module ? toggle(b.key) : choose(b.key));
  return g;
}

function caption(group, r, halo) {
  const g = svg("g", {class: "cap", tabindex: 0, role: "button", "aria-expanded": "true", "aria-label": `${group.title} ${group.subtitle}, open module`});
  g.dataset.key = group.key;
  g.append(svg("rect", {class: "hit", x: n(r.x + 6), y: n(r.y + 3), width: n(Math.min(group.tw + 28, r.w - 12)), height: 20, rx: 5}));
  g.append(svg("text", {class: "g " + halo, x: n(r.x + 12), y: n(r.y + 17)}, "▾ " + group.title));
  g.append(svg("text", {class: halo, x: n(r.x + 34 + group.bw), y: n(r.y + 17)}, group.subtitle));
  act(g, () => toggle(group.key));
  return g;
}

function act(node, run) {
  node.addEventListener("click", run);
  node.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); run(); }
  });
}

function toggle(key) {
  const opening = !open.has(key), group = groups.get(key);
  if (opening) open.add(key); else open.delete(key);
  remember();
  live.textContent = `${group.title} ${opening ? "opened" : "closed"}`;
  draw(key);
}

function remember() {
  const paths = data.groups.filter(g => open.has(g.key)).map(g => encodeURIComponent(g.path));
  try { history.replaceState(null, "", "#open=" + paths.join(",")); } catch { /* inside a frame without an address */ }
}

function choose(key) { chosen = chosen === key ? null : key; select(chosen); }

function select(key) {
  for (const node of stage.querySelectorAll(".on")) node.classList.remove("on");
  const b = parts.get(key);
  facts.hidden = !b;
  if (!b) return;
  facts.replaceChildren();
  const head = document.createElement("h2"), list = document.createElement("ul");
  head.textContent = b.lines[0];
  for (const text of b.tip.split("\n")) { const item = document.createElement("li"); item.textContent = text; list.append(item); }
  facts.append(head, list);
  for (const node of stage.querySelectorAll(`[data-key="${CSS.escape(key)}"],[data-src="${CSS.escape(key)}"],[data-dst="${CSS.escape(key)}"]`)) node.classList.add("on");
}

function reveal(key) {
  const start = groups.has(key) ? groups.get(key).parent : parts.get(key).group;
  for (let at = start; at !== ""; at = groups.get(at).parent) open.add(at);
  if (parts.has(key)) chosen = key;
  remember();
  draw(key);
  const node = stage.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (node) node.scrollIntoView({block: "center", inline: "center"});
}

function matches(words) {
  const all = [...data.groups.map(g => ({key: g.key, text: `${g.path} ${g.title} ${g.subtitle}`, show: `${g.title} · ${g.subtitle}`})),
    ...data.boxes.filter(b => b.kind !== "entry").map(b => ({key: b.key, text: b.lines.join(" ") + " " + b.tip, show: b.lines.join(" · ")}))];
  return all.filter(e => words.every(w => e.text.toLowerCase().includes(w))).slice(0, 12);
}

search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  found.replaceChildren();
  if (!words.length) return;
  const hits = matches(words);
  for (const hit of hits) {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button"; button.textContent = hit.show;
    button.addEventListener("click", () => { found.replaceChildren(); reveal(hit.key); });
    item.append(button); found.append(item);
  }
  live.textContent = hits.length ? `${hits.length} matches` : "no match";
});
search.addEventListener("keydown", event => {
  if (event.key === "Escape") { search.value = ""; found.replaceChildren(); }
  if (event.key === "Enter") { event.preventDefault(); const first = found.querySelector("button"); if (first) first.click(); }
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
const button = (id, run) => document.getElementById(id).addEventListener("click", run);
button("all", () => { open = new Set(groups.keys()); remember(); draw(); });
button("none", () => { open = new Set(); remember(); draw(); });
button("in", () => { zoom = Math.min(zoom * 1.25, 4); draw(); });
button("out", () => { zoom = Math.max(zoom / 1.25, 0.2); draw(); });

function fromAddress() {
  const wanted = /open=([^&]*)/.exec(location.hash);
  if (!wanted) return;
  const paths = new Set(wanted[1].split(",").map(decodeURIComponent));
  open = new Set();
  for (const g of data.groups)
    if (paths.has(g.path)) for (let at = g.key; at !== ""; at = groups.get(at).parent) open.add(at);
}
window.addEventListener("hashchange", () => { fromAddress(); draw(); });
fromAddress();
draw();
