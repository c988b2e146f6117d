"use strict";
// The layout of layers.py and layout.py, so that the page can lay itself out again after every click.
const ITEM_GAP = 24, LANE_GAP = 12, FRAME_PAD = 14, FRAME_TITLE = 26, ROW_GAP = 30, PORT_GAP = 16, CORNER = 9, STILL = 0.1, PATIENCE = 4, FAN = 4, MAX_WAYPOINTS = 20000;

function backwardArcs(n, arcs) {
  const out = Array.from({length: n}, () => []), state = new Uint8Array(n), found = new Set();
  arcs.forEach((a, i) => out[a.tail].push(i));
  for (let start = 0; start < n; start++) {
    if (state[start]) continue;
    state[start] = 1;
    const stack = [[start, 0]];
    while (stack.length) {
      const [item, i] = stack.pop();
      if (i === out[item].length) { state[item] = 2; continue; }
      stack.push([item, i + 1]);
      const arc = out[item][i], head = arcs[arc].head;
      if (state[head] === 1) found.add(arc);
      else if (!state[head]) { state[head] = 1; stack.push([head, 0]); }
    }
  }
  return found;
}

function ranks(n, arcs, first, last) {
  const into = Array.from({length: n}, () => []), out = Array.from({length: n}, () => []);
  for (const a of arcs) { into[a.head].push(a.tail); out[a.tail].push(a.head); }
  const ends = new Set(last), pinned = new Set([...first, ...last]), base = first.length ? 1 : 0;
  const rank = Array.from({length: n}, (_, i) => pinned.has(i) ? 0 : base), waiting = into.map(t => t.length);
  const topo = [...rank.keys()].filter(i => !waiting[i]);
  for (let k = 0; k < topo.length; k++)
    for (const head of out[topo[k]]) {
      rank[head] = Math.max(rank[head], rank[topo[k]] + 1);
      if (!--waiting[head]) topo.push(head);
    }
  for (const item of topo.reverse()) {
    const heads = out[item].filter(h => !ends.has(h)).map(h => rank[h]);
    if (!pinned.has(item) && heads.length && new Set(out[item]).size > new Set(into[item]).size)
      rank[item] = Math.max(rank[item], Math.min(...heads) - 1);
  }
  sink(rank, into, out, topo, pinned);
  let bottom = -1;
  for (let i = 0; i < n; i++) if (!ends.has(i)) bottom = Math.max(bottom, rank[i]);
  for (const item of last) rank[item] = bottom + 1;
  return rank;
}

function sink(rank, into, out, upwards, pinned) {
  const single = new Map(), lowest = new Map(), fans = new Map();
  for (const item of upwards)
    if (!pinned.has(item) && new Set(into[item]).size === 1 && new Set(out[item]).size === 1 && !pinned.has(out[item][0]))
      single.set(item, out[item][0]);
  for (const item of upwards) {
    if (!single.has(item)) continue;
    const head = single.get(item), tail = into[item][0], low = (lowest.has(head) ? lowest.get(head) : rank[head]) - 1;
    lowest.set(item, low);
    if (!single.has(tail) && low > rank[item]) fans.set(tail, [...(fans.get(tail) || []), item]);
  }
  for (const strands of fans.values())
    if (strands.length >= FAN)
      for (let at of strands) for (; lowest.has(at); at = single.get(at)) rank[at] = lowest.get(at);
}

function waypoints(arcs, forward, rank) {
  const lanes = new Map(), chain = arcs.map(() => []), segments = new Map();
  const join = (lo, hi, weight, out, into) => {
    const key = lo + ">" + hi, old = segments.get(key);
    segments.set(key, {lo, hi, weight: Math.max(weight, old ? old.weight : 0), out, into});
  };
  let budget = MAX_WAYPOINTS;
  const span = i => rank[arcs[i].head] - rank[arcs[i].tail];
  for (const i of [...forward].sort((a, b) => span(a) - span(b) || a - b)) {
    const arc = arcs[i], long = span(i), key = arc.tail + "/" + arc.key;
    if (!lanes.has(key)) lanes.set(key, []);
    const lane = lanes.get(key);
    if (long - 1 - lane.length > budget) continue;
    budget -= Math.max(long - 1 - lane.length, 0);
    while (lane.length < long - 1) {
      const before = lane.length ? lane[lane.length - 1] : arc.tail, start = !lane.length;
      lane.push(rank.length);
      rank.push(rank[arc.tail] + lane.length);
      join(before, rank.length - 1, arc.weight * (start ? 2 : 64), start ? arc.out : 0, 0);
    }
    const own = chain[i] = lane.slice(0, Math.max(long - 1, 0));
    join(own.length ? own[own.length - 1] : arc.tail, arc.head, arc.weight * (own.length ? 2 : 1), own.length ? 0 : arc.out, arc.into);
  }
  return [chain, [...segments.values()]];
}

function crossings(rows, segments, rank) {
  const at = [], byRank = rows.map(() => []);
  rows.forEach(row => row.forEach((item, i) => at[item] = i));
  for (const s of segments) byRank[rank[s.lo]].push([at[s.lo] + s.out * 1e-4, at[s.hi] + s.into * 1e-4]);
  let total = 0;
  for (const pairs of byRank) {
    pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const seen = [];
    for (const [, hi] of pairs) {
      let k = seen.length;
      while (k && seen[k - 1] > hi + 1e-9) k--;
      total += seen.length - k;
      seen.splice(k, 0, hi);
    }
  }
  return total;
}

function order(rows, segments, rank, breadth) {
  const above = rank.map(() => []), below = rank.map(() => []);
  for (const s of segments) {
    above[s.hi].push([s.lo, s.out / (breadth[s.lo] + 1)]);
    below[s.lo].push([s.hi, s.into / (breadth[s.hi] + 1)]);
  }
  const sweeps = Math.max(2, Math.min(16, Math.floor(200000 / (segments.length + 1))));
  let best = crossings(rows, segments, rank), kept = rows.map(r => r.slice());
  let patience = PATIENCE;
  for (let sweep = 0; sweep < sweeps && best && patience; sweep++, patience--) {
    const down = sweep % 2 === 0, near = down ? above : below, at = [], wish = [];
    rows.forEach(row => row.forEach((item, i) => at[item] = i));
    for (let k = 1; k < rows.length; k++) {
      const row = rows[down ? k : rows.length - 1 - k];
      for (const item of row)
        wish[item] = near[item].length ? near[item].reduce((t, [o, s]) => t + at[o] + s, 0) / near[item].length : at[item];
      row.sort((a, b) => wish[a] - wish[b]);
      row.forEach((item, i) => at[item] = i);
    }
    const count = crossings(rows, segments, rank);
    if (count < best) { best = count; kept = rows.map(r => r.slice()); patience = PATIENCE + 1; }
  }
  kept.forEach((row, i) => rows[i] = row);
}

const least = (a, b, breadth, n) => (breadth[a] + breadth[b]) / 2 + (a < n && b < n ? ITEM_GAP : LANE_GAP);

function settle(row, x, near, far, both, breadth, n) {
  const blocks = [], offsets = [];
  let offset = 0;
  row.forEach((item, i) => {
    if (i) offset += least(row[i - 1], item, breadth, n);
    offsets.push(offset);
    let weight = 1e-6, wish = 1e-6 * x[item];
    const pull = ([at, shift, w]) => { weight += w; wish += w * (x[at] + shift); };
    near[item].forEach(pull);
    if (item >= n || both) far[item].forEach(pull);
    blocks.push([weight, wish - weight * offset, 1]);
    while (blocks.length > 1) {
      const b = blocks[blocks.length - 1], a = blocks[blocks.length - 2];
      if (a[1] * b[0] <= b[1] * a[0]) break;
      blocks.pop();
      a[0] += b[0]; a[1] += b[1]; a[2] += b[2];
    }
  });
  let i = 0;
  for (const [weight, wish, size] of blocks)
    for (let k = 0; k < size; k++, i++) x[row[i]] = wish / weight + offsets[i];
}

function coordinates(rows, segments, rank, breadth, n) {
  const above = rank.map(() => []), below = rank.map(() => []), x = rank.map(() => 0);
  for (const s of segments) {
    above[s.hi].push([s.lo, s.out - s.into, s.weight]);
    below[s.lo].push([s.hi, s.into - s.out, s.weight]);
  }
  for (const row of rows) {
    let at = 0;
    row.forEach((item, i) => { if (i) at += least(row[i - 1], item, breadth, n); x[item] = at; });
    row.forEach(item => x[item] -= at / 2);
  }
  const rounds = rank.length < 4000 ? 8 : 3;
  for (const [both, steps] of [[false, 2 * rounds], [true, 2 * rounds], [false, 3]]) {
    const before = [];
    for (let step = 0; step < steps; step++) {
      const down = step % 2 === 0, old = before[step % 2];
      for (let k = 0; k < rows.length; k++)
        settle(rows[down ? k : rows.length - 1 - k], x, down ? above : below, down ? below : above, both, breadth, n);
      before[step % 2] = x.slice();
      if (old && old.every((v, i) => Math.abs(v - x[i]) < STILL)) break;
    }
  }
  return x;
}

function straighten(rows, chain, x, breadth, n) {
  const left = [], right = [], longest = new Map();
  for (const row of rows)
    for (let i = 1; i < row.length; i++) { right[row[i - 1]] = row[i]; left[row[i]] = row[i - 1]; }
  for (const lane of chain)
    if (lane.length && lane.length > (longest.get(lane[0]) || []).length) longest.set(lane[0], lane);
  for (const lane of longest.values()) {
    let piece = [], low = -Infinity, high = Infinity;
    for (const p of [...lane, -1]) {
      let lo, hi;
      if (p >= 0) {
        lo = left[p] === undefined ? -Infinity : x[left[p]] + least(left[p], p, breadth, n);
        hi = right[p] === undefined ? Infinity : x[right[p]] - least(p, right[p], breadth, n);
        if (Math.max(low, lo) <= Math.min(high, hi)) {
          low = Math.max(low, lo); high = Math.min(high, hi); piece.push(p);
          continue;
        }
      }
      if (piece.length) {
        const middle = piece.map(q => x[q]).sort((a, b) => a - b)[piece.length >> 1];
        for (const q of piece) x[q] = Math.min(Math.max(middle, low), high);
      }
      piece = [p]; low = lo; high = hi;
    }
  }
}

function arrange(widths, arcs, first, last) {
  const n = widths.length, backward = backwardArcs(n, arcs);
  const forward = [...arcs.keys()].filter(i => !backward.has(i));
  const rank = ranks(n, forward.map(i => arcs[i]), first, last);
  const [chain, segments] = waypoints(arcs, forward, rank);
  const rows = Array.from({length: Math.max(0, ...rank) + 1}, () => []);
  rank.forEach((r, item) => rows[r].push(item));
  const breadth = rank.map((_, i) => i < n ? widths[i] : 2);
  order(rows, segments, rank, breadth);
  const x = coordinates(rows, segments, rank, breadth, n);
  straighten(rows, chain, x, breadth, n);
  return {rank, x, rows, chain, backward};
}

// boxes: key -> {w, h, kind, group}; groups: [{key, parent, title width}], parents first; links: [{src, dst, kind, label, lw}].
function place(boxes, groups, links) {
  const parent = {}, inside = {"": []}, frames = {}, arcsOf = {}, width = {};
  for (const key in boxes) { parent[key] = boxes[key].group; }
  for (const g of groups) { parent[g.key] = g.parent; inside[g.key] = []; width[g.key] = g.tw; }
  for (const key in parent) inside[parent[key]].push(key);
  const around = key => { const c = []; for (let at = parent[key]; at !== ""; at = parent[at]) c.push(at); return [...c, ""]; };

  const paths = links.map(link => {
    const ups = around(link.src), downs = around(link.dst), skip = link.kind === "skip" ? "s" : "d", port = "@" + link.src + skip;
    while (ups.length > 1 && downs.length > 1 && ups[ups.length - 2] === downs[downs.length - 2]) { ups.pop(); downs.pop(); }
    const path = [], add = (group, tail, head) => path.push({group, id: tail + "|" + head + "|" + skip, tail, head, skip: skip === "s", port});
    let tail = link.src;
    for (const group of ups.slice(0, -1)) { add(group, tail, port); tail = group; }
    const heads = [link.dst, ...downs.slice(0, -1)];
    add(ups[ups.length - 1], tail, heads[heads.length - 1]);
    for (let i = downs.length - 2; i >= 0; i--) add(downs[i], port, heads[i]);
    path.forEach((arc, i) => {
      const known = arcsOf[arc.group] = arcsOf[arc.group] || new Map();
      if (!known.has(arc.id) || (link.kind === "loop" && i === ups.length - 1)) known.set(arc.id, {...arc, link});
    });
    return path;
  });

  for (const g of [...groups].reverse()) frames[g.key] = frame(g.key);
  frames[""] = frame("");

  function frame(key) {
    const arcs = [...(arcsOf[key] || new Map()).values()], items = inside[key];
    const isPort = v => v[0] === "@", number = new Map();
    const sources = [...new Set(arcs.map(a => a.tail).filter(isPort))].sort();
    const sinks = [...new Set(arcs.map(a => a.head).filter(isPort))].sort();
    [...items, ...sources, ...sinks.map(s => ">" + s)].forEach((v, i) => number.set(v, i));
    const size = item => boxes[item] ? [boxes[item].w, boxes[item].h] : [frames[item].w, frames[item].h];
    const widths = [...items.map(i => size(i)[0]), ...sources.map(() => 4), ...sinks.map(() => 4)], n = items.length;
    const loops = arcs.filter(a => a.link.kind === "loop" && !isPort(a.head)), plain = arcs.filter(a => !loops.includes(a));
    const first = sources.map((_, i) => n + i), last = sinks.map((_, i) => n + sources.length + i);
    const came = {}, side = {};
    let level, flat, ends;
    for (let turn = 0; turn < 2; turn++) {
      ends = attach();
      flat = plain.map(a => {
        let weight = {data: 1, skip: 1e-4, leaf: 0.1, loop: 1e-4}[a.link.kind];
        if (boxes[a.link.src].kind === "input" && a.tail !== a.link.src) weight = 1e-3;
        const head = number.get(isPort(a.head) ? ">" + a.head : a.head);
        return {tail: number.get(a.tail), head, key: a.skip, weight, out: ends["o" + a.id] || 0, into: ends["i" + a.id] || 0};
      });
      level = arrange(widths, flat, first, last);
      plain.forEach((a, i) => {
        const stops = [flat[i].tail, ...level.chain[i], flat[i].head];
        came[a.id] = level.x[stops[stops.length - 2]];
        side[a.id] = level.x[stops[1]] - level.x[stops[0]];
      });
    }

    function attach() {
      const ends = {}, arriving = {};
      for (const a of arcs) {
        if (frames[a.tail]) ends["o" + a.id] = frames[a.tail].port[a.port] - frames[a.tail].w / 2;
        else if (boxes[a.tail] && (a.skip || a.link.kind === "loop") && boxes[a.tail].kind !== "entry")
          ends["o" + a.id] = Math.min(14, boxes[a.tail].w / 4) * ((side[a.id] ?? 1) < 0 ? -1 : 1);
        if (a.link.kind === "loop") continue;
        if (frames[a.head]) ends["i" + a.id] = frames[a.head].port[a.port] - frames[a.head].w / 2;
        else if (boxes[a.head]) (arriving[a.head] = arriving[a.head] || []).push(a);
      }
      for (const head in arriving) {
        const list = arriving[head].sort((a, b) => (came[a.id] || 0) - (came[b.id] || 0));
        const step = Math.min(18, Math.max(boxes[head].w - 28, 0) / Math.max(list.length - 1, 1));
        const main = [...list.keys()].filter(i => !list[i].skip), centre = main.length === 1 ? main[0] : (list.length - 1) / 2;
        list.forEach((a, i) => ends["i" + a.id] = (i - centre) * step);
      }
      return ends;
    }

    // rows, ports and curves
    const gone = level.backward, lanes = [...loops, ...plain.filter((_, i) => gone.has(i))];
    let lo = Infinity, hi = -Infinity;
    level.x.forEach((x, i) => { const half = i < n ? widths[i] / 2 : 4; lo = Math.min(lo, x - half); hi = Math.max(hi, x + half); });
    if (lo > hi) lo = hi = 0;
    const text = Math.max(0, ...lanes.map(a => a.link.lw || 0));
    let w = hi - lo + 2 * FRAME_PAD + (lanes.length ? 10 + 12 * lanes.length + (text ? text + 6 : 0) : 0), shift = FRAME_PAD - lo;
    if (key !== "") { const need = width[key] + 2 * FRAME_PAD; shift += Math.max(need - w, 0) / 2; w = Math.max(w, need); }
    const x = level.x.map(v => v + shift), top = key === "" ? 0 : FRAME_TITLE, rowTop = [], rowEnd = [];
    const gap = r => {
      let far = 0;
      flat.forEach((a, i) => {
        if (level.rank[a.tail] > r || r >= level.rank[a.head]) return;
        const stops = [a.tail, ...level.chain[i], a.head], at = r - level.rank[a.tail];
        if (at + 1 < stops.length) far = Math.max(far, Math.abs(x[stops[at]] - x[stops[at + 1]]));
      });
      return Math.min(ROW_GAP + 0.06 * far, 64);
    };
    let y = top + (sources.length ? 0 : key === "" ? FRAME_PAD : 4);
    level.rows.forEach((row, r) => {
      const h = Math.max(0, ...row.filter(i => i < n).map(i => size(items[i])[1])), ports = r === 0 && sources.length;
      rowTop.push(ports ? 0 : y);
      rowEnd.push(ports ? top : y + h);
      y = ports ? top + PORT_GAP + gap(r) - ROW_GAP : y + h + gap(r);
    });
    let end = rowEnd.length ? rowEnd[rowEnd.length - 1] : y;
    if (sinks.length) {
      end = (rowEnd.length > 1 ? rowEnd[rowEnd.length - 2] + gap(rowEnd.length - 2) - ROW_GAP : top) + PORT_GAP;
      rowTop[rowTop.length - 1] = rowEnd[rowEnd.length - 1] = end;
    }
    const bottom = end + (sinks.length ? 0 : FRAME_PAD + (loops.length ? 8 : 0));
    const result = {w, h: bottom, at: {}, port: {}, pieces: {}, lanes: {}};
    items.forEach((item, i) => {
      const [iw, ih] = size(item), r = level.rank[i], middle = (rowTop[r] + rowEnd[r]) / 2;
      result.at[item] = {x: x[i] - iw / 2, y: middle - ih / 2, w: iw, h: ih};
    });
    [...sources, ...sinks].forEach((p, i) => result.port[p] = x[n + i]);
    plain.forEach((a, i) => {
      if (gone.has(i)) return;
      const f = flat[i], stops = [...level.chain[i], f.head], r = level.rank[f.tail];
      const foot = f.tail < n ? result.at[items[f.tail]].y + result.at[items[f.tail]].h : 0, pts = [[x[f.tail] + f.out, foot]];
      stops.forEach((stop, k) => {
        const final = k === stops.length - 1, px = x[stop] + (final ? f.into : 0);
        const end = level.rank[f.head];
        line(pts, rowEnd[stops.length > 1 ? r + k : end - 1]);
        bend(pts, px, rowTop[final ? end : r + k + 1]);
        line(pts, !final ? rowEnd[r + k + 1] : stop < n ? result.at[items[stop]].y : bottom);
      });
      result.pieces[a.id] = pts;
    });
    lanes.forEach((a, i) => {
      const lane = hi + shift + 14 + 12 * i, s = rect(a.tail, true), e = rect(a.head, false);
      const x0 = s.x + s.w / 2 + (ends["o" + a.id] || 0), x1 = e.x + e.w / 2 + (ends["i" + a.id] || 0);
      const low = rowOf(a.tail, true) + 9, high = rowOf(a.head, false) - 8, mid = e.y + e.h / 2;
      const entry = boxes[a.head] && boxes[a.head].kind === "entry";
      result.pieces[a.id] = rounded(entry
        ? [[x0, s.y + s.h], [x0, low], [lane, low], [lane, mid], [e.x + e.w, mid]]
        : [[x0, s.y + s.h], [x0, low], [lane, low], [lane, high], [x1, high], [x1, e.y]]);
      result.lanes[a.id] = [lane + 6, (low + high) / 2];
    });
    function rect(item, foot) {
      return isPort(item) ? {x: result.port[item], y: foot ? 0 : bottom, w: 0, h: 0} : result.at[item];
    }
    function rowOf(item, foot) {
      if (isPort(item)) return foot ? FRAME_TITLE : bottom;
      const r = level.rank[items.indexOf(item)];
      return foot ? rowEnd[r] : rowTop[r];
    }
    return result;
  }

  const at = {}, origin = {"": [0, 0]};
  for (const key of ["", ...groups.map(g => g.key)]) {
    const [left, top] = origin[key];
    for (const item in frames[key].at) {
      const r = frames[key].at[item];
      at[item] = {x: left + r.x, y: top + r.y, w: r.w, h: r.h};
      if (!boxes[item]) origin[item] = [at[item].x, at[item].y];
    }
  }
  const routes = links.map((link, i) => {
    const points = [];
    let label = null;
    for (const arc of paths[i]) {
      const [left, top] = origin[arc.group], piece = frames[arc.group].pieces[arc.id].map(([px, py]) => [px + left, py + top]);
      points.push(...(points.length ? piece.slice(1) : piece));
      const lane = frames[arc.group].lanes[arc.id];
      if (lane) label = [lane[0] + left, lane[1] + top];
    }
    if (!label) { const a = points[points.length - 4], b = points[points.length - 1]; label = [(a[0] + b[0]) / 2 + 6, (a[1] + b[1]) / 2 + 3]; }
    return {points, label};
  });
  return {w: frames[""].w, h: frames[""].h, at, routes};
}

function line(pts, y) {
  const [x0, y0] = pts[pts.length - 1];
  if (Math.abs(y - y0) > 0.01) pts.push([x0, y0 + (y - y0) / 3], [x0, y0 + 2 * (y - y0) / 3], [x0, y]);
}
function bend(pts, x, y) {
  const [x0, y0] = pts[pts.length - 1], m = (y0 + y) / 2;
  pts.push([x0, m], [x, m], [x, y]);
}
function straight(pts, e) {
  const [x, y] = pts[pts.length - 1];
  pts.push([x + (e[0] - x) / 3, y + (e[1] - y) / 3], [x + 2 * (e[0] - x) / 3, y + 2 * (e[1] - y) / 3], e);
}
function rounded(corners) {
  const pts = [corners[0]], toward = (c, o) => {
    const dx = o[0] - c[0], dy = o[1] - c[1], long = Math.max(Math.abs(dx), Math.abs(dy), 1e-9), cut = Math.min(CORNER, long / 2) / long;
    return [c[0] + dx * cut, c[1] + dy * cut];
  };
  for (let i = 1; i + 1 < corners.length; i++) {
    const c = corners[i], e = toward(c, corners[i + 1]);
    straight(pts, toward(c, corners[i - 1]));
    const s = pts[pts.length - 1];
    pts.push([s[0] + (c[0] - s[0]) * 0.55, s[1] + (c[1] - s[1]) * 0.55], [e[0] + (c[0] - e[0]) * 0.55, e[1] + (c[1] - e[1]) * 0.55], e);
  }
  straight(pts, corners[corners.length - 1]);
  return pts;
}
