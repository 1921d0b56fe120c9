// The page: reads the study, draws it again at the sizes, types and device that are chosen.
"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);
  const study = JSON.parse(await text($("study")));
  if (!study.subjects.length || !study.devices.length || !study.cases.length) return;
  document.documentElement.classList.add("scripted");
  const classes = ["convolution", "matrix product", "attention", "recurrent", "pooling", "element-wise", "normalization", "reduction", "quantization", "data movement"];
  const ink = (name) => { const at = classes.indexOf(name); return at < 0 ? "grey" : "s" + at; };
  const bits = { f32: 32, tf32: 32, f16: 16, bf16: 16, f8: 8, i8: 8, i4: 4 };
  const state = { subject: study.cases[0].subject, device: study.cases[0].device, sizes: {}, weights: "", activations: "", sort: "time", down: true, query: "", bound: "", shown: 100, picked: -1, off: new Set() };

  /** The data of a script element: plain, or packed by gzip. */
  async function text(element) {
    if (element.dataset.packed === undefined) return element.textContent;
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  const prefixes = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
  function si(value, unit) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    if (value === 0) return "0 " + unit;
    const rounded = Number(value.toExponential(2));
    const [scale, prefix] = prefixes.find(([s]) => Math.abs(rounded) >= s) ?? prefixes[9];
    const x = rounded / scale, digits = Math.abs(x) >= 99.95 ? 0 : Math.abs(x) >= 9.995 ? 1 : 2;
    return x.toFixed(digits) + " " + prefix + unit;
  }
  const percent = (share) => (100 * share).toFixed(0) + " %";
  const subject = () => study.subjects[state.subject];
  const device = () => study.devices[state.device];

  // What is chosen is in the address, so that a view can be linked.
  function save() {
    const p = new URLSearchParams();
    p.set("model", state.subject); p.set("device", device().id);
    for (const s of subject().symbols) if (s.open && state.sizes[s.name] !== s.at) p.set("size." + s.name, state.sizes[s.name]);
    for (const key of ["weights", "activations", "query", "bound"]) if (state[key]) p.set(key, state[key]);
    if (state.sort !== "time" || !state.down) p.set("sort", state.sort + (state.down ? "" : ".up"));
    history.replaceState(null, "", "#" + p.toString());
  }
  function restore() {
    const p = new URLSearchParams(location.hash.slice(1));
    const model = Number(p.get("model") ?? state.subject);
    if (study.subjects[model]) state.subject = model;
    const at = study.devices.findIndex((d) => d.id === p.get("device"));
    if (at >= 0) state.device = at;
    for (const s of subject().symbols) {
      const given = Number(p.get("size." + s.name));
      state.sizes[s.name] = s.open && Number.isInteger(given) && given >= s.least && given <= 1e9 && p.has("size." + s.name) ? given : s.at;
    }
    for (const key of ["weights", "activations", "bound"]) if (p.get(key)) state[key] = p.get(key);
    state.query = p.get("query") ?? "";
    const sort = p.get("sort") ?? "";
    if (columns.some((c) => c.id === sort.replace(".up", ""))) { state.sort = sort.replace(".up", ""); state.down = !sort.endsWith(".up"); }
  }

  /** The types that are asked for; null bits are those that the model was counted in. */
  function types() {
    const own = caseOf()?.dtype ?? subject().dtype;
    if (!state.weights && !state.activations) return { ceiling: own, bits: null };
    const a = state.activations || own;
    return { ceiling: a, bits: [bits[state.weights] ?? bits[own] ?? 32, bits[a] ?? 32] };
  }
  const caseOf = (s = state.subject, d = state.device) => study.cases.find((c) => c.subject === s && c.device === d);

  const el = (tag, text, attributes = {}) => {
    const e = document.createElement(tag);
    if (text !== undefined && text !== null) e.textContent = text;
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    return e;
  };

  // Controls.
  function controls() {
    const box = $("controls");
    box.replaceChildren();
    const choose = (label, id, options, value, set) => {
      const select = el("select", null, { id });
      for (const [v, t] of options) { const o = el("option", t, { value: v }); if (String(v) === String(value)) o.selected = true; select.append(o); }
      select.addEventListener("change", () => { set(select.value); update(); });
      const wrap = el("label", label + " "); wrap.append(select); box.append(wrap);
    };
    if (study.subjects.length > 1) choose("model", "model", study.subjects.map((s, i) => [i, s.label]), state.subject, (v) => {
      state.subject = Number(v); state.sizes = {};
      for (const s of subject().symbols) state.sizes[s.name] = s.at;
      if (!caseOf()) state.device = study.cases.find((c) => c.subject === state.subject)?.device ?? state.device;
      state.off.clear(); controls(); filters();
    });
    choose("device", "device", study.devices.map((d, i) => [i, d.name]), state.device, (v) => { state.device = Number(v); controls(); });
    for (const s of subject().symbols) {
      const wrap = el("label", s.role === "batch" ? "batch " : s.name + " ", { class: "wide" });
      const number = el("input", null, { type: "number", min: s.least, max: 1e9, value: state.sizes[s.name], id: "size-" + s.name, "aria-label": s.name });
      if (s.open) {
        const steps = Math.log2(Math.max(2, s.most));
        const slide = el("input", null, { type: "range", min: 0, max: 100, "aria-label": s.name + ", slider", value: (100 * Math.log2(Math.max(1, state.sizes[s.name]))) / steps });
        slide.addEventListener("input", () => {
          let v = 2 ** ((Number(slide.value) / 100) * steps);
          v = Math.round(v < 16 ? v : v < 256 ? v / 8 : v / 32) * (v < 16 ? 1 : v < 256 ? 8 : 32);
          state.sizes[s.name] = Math.min(Math.max(v, s.least), s.most); number.value = state.sizes[s.name]; update();
        });
        number.addEventListener("change", () => {
          const v = Math.round(Number(number.value));
          if (v >= s.least && v <= 1e9) { state.sizes[s.name] = v; slide.value = (100 * Math.log2(Math.max(1, v))) / steps; update(); } else number.value = state.sizes[s.name];
        });
        wrap.append(slide, number);
      } else { number.disabled = true; wrap.append(number); wrap.title = subject().fixed ?? "its formulas do not depend on it"; }
      box.append(wrap);
    }
    if (subject().one_type === null) {
      const has = device().peaks.map((p) => p.dtype).filter((d) => bits[d]);
      const own = "as counted (" + subject().dtype + ")";
      choose("activations", "activations", [["", own], ...has.map((d) => [d, d])], state.activations, (v) => { state.activations = v; });
      choose("weights", "weights", [["", own], ...["f32", "f16", "i8", "i4"].map((d) => [d, d])], state.weights, (v) => { state.weights = v; });
      if (!has.includes(state.activations)) state.activations = "";
    } else { state.weights = state.activations = ""; }
    const back = el("button", "as counted", { type: "button" });
    back.addEventListener("click", () => { for (const s of subject().symbols) state.sizes[s.name] = s.at; state.weights = state.activations = ""; controls(); update(); });
    box.append(back);
    if (subject().fixed) box.append(el("span", "Sizes are fixed: " + subject().fixed + ".", { class: "grey" }));
  }

  const binds = (t) => {
    const all = [["arithmetic", t.compute], ["memory", t.memory], ["launches of kernels", t.launches]].sort((a, b) => b[1] - a[1]);
    if (all[0][1] >= 0.6) return all[0][0] + (all[0][0].endsWith("s") ? " take " : " takes ") + percent(all[0][1]);
    return all.filter((x) => x[1] >= 0.005).map((x) => x[0] + " " + percent(x[1])).join(", ");
  };

  let now = null;
  function update() {
    const d = device(), s = subject();
    now = rooflens.times(s, d, types(), state.sizes);
    save();
    const live = $("live");
    if (!now) {
      live.textContent = `${d.name} has no ${types().ceiling} ceiling, or a count is not known at these sizes.`;
      for (const id of ["tiles", "kernel-rows"]) $(id).replaceChildren();
      for (const id of ["chart-kernels", "chart-devices", "chart-batch"]) $(id).replaceChildren();
      return;
    }
    const f = now.fused;
    const first = binds(f);
    live.textContent = first[0].toUpperCase() + first.slice(1) + ` of the fused time, ${si(f.seconds, "s")} per run on ${d.name} in ${types().ceiling}. No run takes less than ${si(now.at_best.seconds, "s")}.`;
    tiles(); kernelChart(); deviceChart(); batchChart(); table();
  }

  function tiles() {
    const s = subject(), d = device(), f = now.fused;
    const batch = s.symbols.find((x) => x.role === "batch");
    const n = batch ? state.sizes[batch.name] : 1;
    const held = now.held, peak = held.peak ?? null;
    // Weights and activations in other types take as many bytes as they have bits; the peak is known as counted.
    const needed = types().bits ? null : (held.weights ?? 0) + Math.max(peak ?? 0, held.cache ?? 0);
    const fits = needed === null || peak === null || !d.memory_bytes ? "" : needed <= d.memory_bytes ? `fits into ${si(d.memory_bytes, "B")}` : `does not fit into ${si(d.memory_bytes, "B")}`;
    const all = [
      ["fused kernels", si(f.seconds, "s"), si(n / f.seconds, "").trim() + " inferences/s at most"],
      ["no run takes less", si(now.at_best.seconds, "s"), binds(now.at_best).replace(/ 100 %/, " all")],
      ["unfused", si(now.unfused.seconds, "s"), "×" + (now.unfused.seconds / f.seconds).toFixed(2) + " of the fused time"],
      ["memory to hold", needed === null || peak === null ? "–" : si(needed, "B"), types().bits ? "known as counted only" : fits || "weights and peak activations"],
    ];
    $("tiles").replaceChildren(...all.map(([a, b, c]) => { const li = el("li", a); li.append(el("b", b), el("span", c, { class: "grey" })); return li; }));
  }

  // Charts: laid out for their width, never scaled.
  const ns = "http://www.w3.org/2000/svg";
  const make = (tag, attributes, title) => {
    const e = document.createElementNS(ns, tag);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (title) { const t = document.createElementNS(ns, "title"); t.textContent = title; e.append(t); }
    return e;
  };
  function canvas(id, height, label) {
    const host = $(id), width = Math.max(280, host.clientWidth || 800);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label, tabindex: "0" });
    host.replaceChildren(svg);
    const boxes = [];
    const api = {
      svg, width, height,
      line: (points, s, w = 1, dash) => { const e = make("path", { d: points.map((p, i) => (i ? "L" : "M") + p[0].toFixed(1) + " " + p[1].toFixed(1)).join(""), fill: "none", "data-s": s, "stroke-width": w, "stroke-linejoin": "round" }); if (dash) e.setAttribute("stroke-dasharray", "6 5"); svg.append(e); return e; },
      rect: (x, y, w, h, f, title) => { const e = make("rect", { x: x.toFixed(1), y: y.toFixed(1), width: Math.max(0, w).toFixed(1), height: Math.max(0, h).toFixed(1), "data-f": f }, title); svg.append(e); return e; },
      mark: (x, y, f, full, title, shape) => { boxes.push([x - 8, y - 8, x + 8, y + 8]); const r = 7; const d = shape === "square" ? `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}Z` : shape === "diamond" ? `M${x} ${y - r - 2}l${r + 2} ${r + 2}l${-r - 2} ${r + 2}l${-r - 2} ${-r - 2}Z` : `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`; const e = make("path", { d, "data-f": full ? f : "paper", "data-s": full ? "paper" : f, "stroke-width": full ? 1 : 2 }, title); svg.append(e); return e; },
      text: (x, y, t, f = "ink", anchor = "start", size = 13, turn) => { const e = make("text", { x: x.toFixed(1), y: y.toFixed(1), "data-f": f, "text-anchor": anchor, "font-size": size }); if (turn) e.setAttribute("transform", `rotate(${turn} ${x} ${y})`); e.textContent = t; svg.append(e); return e; },
      /** At the first of the places where it stands on nothing else. */
      place: (t, size, f, places) => {
        const w = t.length * size * 0.56;
        for (const [x, y, anchor] of places) {
          const l = anchor === "start" ? x : anchor === "end" ? x - w : x - w / 2, b = [l, y - size, l + w, y + 4];
          if (b[0] < 2 || b[2] > width - 2 || boxes.some((o) => b[0] < o[2] && o[0] < b[2] && b[1] < o[3] && o[1] < b[3])) continue;
          boxes.push(b); api.text(x, y, t, f, anchor, size); return;
        }
      },
    };
    return api;
  }
  function axis(values, from, to) {
    const use = values.filter((v) => v > 0 && Number.isFinite(v));
    const low = 10 ** Math.floor(Math.log10(Math.min(...use)) + 1e-9);
    let high = 10 ** Math.ceil(Math.log10(Math.max(...use)) - 1e-9);
    if (high <= low * 1.001) high = low * 10;
    const at = (v) => from + ((to - from) * Math.log(Math.min(Math.max(v, low), high) / low)) / Math.log(high / low);
    const decades = [];
    for (let v = low; v <= high * 1.001; v *= 10) decades.push(v);
    return { low, high, at, decades, few: decades.length <= 3 };
  }
  const plain = (v) => (v >= 0.999 ? v.toFixed(0) : String(Number(v.toPrecision(3))));
  function grid(c, x, top, bottom, label, every = 1) {
    x.decades.forEach((v, i) => { c.line([[x.at(v), top], [x.at(v), bottom]], "grid", 1); if (i % every === 0) c.text(x.at(v), bottom + 17, label(v), "grey", "middle", 12); });
  }
  function rungs(c, y, left, right, label) {
    for (const v of y.decades) { c.line([[left, y.at(v)], [right, y.at(v)]], "grid", 1); c.text(left - 7, y.at(v) + 4, label(v), "grey", "end", 12); }
  }

  function kernelChart() {
    const d = device(), roof = now.roof, ridge = roof.peak / roof.bandwidth, f = now.fused;
    const c = canvas("chart-kernels", 620, "Roof of " + d.name + ", and below it where the time goes, by operations per byte. " + binds(f) + ".");
    const left = 62, right = c.width - 14, top = 14, foot = 330, floor = 556;
    const points = [["unfused", now.unfused, "square", false], ["fused", f, "circle", true], ["at best", now.at_best, "diamond", true]].filter((p) => p[1].intensity > 0 && p[1].operations_per_second > 0);
    const x = axis([ridge / 300, ridge * 30, ...points.map((p) => p[1].intensity)], left, right);
    const y = axis([Math.min(roof.peak, roof.bandwidth * x.low), roof.peak * 1.4, ...points.map((p) => p[1].operations_per_second)], foot, top);
    c.rect(left, top, x.at(ridge) - left, floor - top, "shade");
    grid(c, x, top, floor, plain);
    const scale = prefixes.find(([s]) => roof.peak >= s);
    rungs(c, y, left, right, (v) => plain(v / scale[0]));
    c.text(16, (top + foot) / 2, scale[1] + "FLOP/s", "ink", "middle", 13, -90);
    const begin = Math.max(y.low / roof.bandwidth, x.low);
    c.line([[x.at(begin), y.at(begin * roof.bandwidth)], [x.at(ridge), y.at(roof.peak)], [right, y.at(roof.peak)]], "ink", 3);
    c.place(si(roof.peak, "FLOP/s") + " " + types().ceiling, 13, "ink", [[right - 4, y.at(roof.peak) - 9, "end"]]);
    const marks = points.map(([name, t, shape, full]) => [x.at(t.intensity), y.at(t.operations_per_second), name, t, shape, full]);
    c.line(marks.map((m) => [m[0], m[1]]), "grey", 1.5);
    for (const [px, py, name, t, shape, full] of marks) c.mark(px, py, "ink", full, `${name}: ${si(t.operations_per_second, "FLOP/s")}, ${si(t.seconds, "s")}`, shape);
    for (const [px, py, name, t] of marks) {
      const label = c.width < 560 ? name : `${name}, ${si(t.seconds, "s")}`;
      const below = [[px + 12, py + 19, "start"], [px - 12, py + 21, "end"], [px, py + 38, "middle"], [px, py + 56, "middle"]];
      const above = [[px - 12, py - 11, "end"], [px + 12, py - 11, "start"], [px, py - 28, "middle"]];
      c.place(label, 13, "ink", name === "at best" ? [...above, ...below] : [...below, ...above]);
    }
    // Where the time goes: a share of the time for each bin of intensity, eight bins a decade.
    const bins = new Map();
    for (const k of now.kernels) {
      const i = k.bytes > 0 ? k.operations / k.bytes : x.high;
      const bin = Math.floor(Math.log10(Math.min(Math.max(i, x.low), x.high * 0.999)) * 8 + 1e-9);
      if (!bins.has(bin)) bins.set(bin, new Map());
      const cls = subject().kernels.class[k.at];
      bins.get(bin).set(cls, (bins.get(bin).get(cls) ?? 0) + (k.count * k.each) / f.seconds);
    }
    const sums = [...bins.values()].map((b) => [...b.values()].reduce((a, v) => a + v, 0));
    const most = Math.max(0.05, ...sums);
    const ceiling = foot + 62;
    for (const [bin, parts] of bins) {
      const l = x.at(10 ** (bin / 8)) + 0.5, r = x.at(10 ** ((bin + 1) / 8)) - 0.5;
      let base = floor;
      for (const [cls, share] of [...parts].sort((a, b) => b[1] - a[1])) {
        const h = (share / most) * (floor - ceiling);
        const bar = c.rect(l, base - h, r - l, h, ink(cls), `${cls}: ${(100 * share).toFixed(1)} % of the time`);
        bar.dataset.bin = bin; base -= h;
      }
      const all = [...parts.values()].reduce((a, v) => a + v, 0);
      if (all >= 0.03 && c.width > 480) c.text((l + r) / 2, base - 4, (100 * all).toFixed(0), "ink", "middle", 11);
    }
    c.line([[left, floor], [right, floor]], "ink", 1.5);
    c.text(x.at(ridge) - 8, foot + 44, "memory " + percent(f.memory), "ink", "end", 14);
    c.text(x.at(ridge) + 8, foot + 44, "arithmetic " + percent(f.compute) + (f.launches >= 0.005 && c.width > 560 ? " · launches " + percent(f.launches) : ""), "ink", "start", 14);
    c.text(16, (ceiling + floor) / 2, "% of the time", "ink", "middle", 13, -90);
    c.text((left + right) / 2, floor + 40, c.width < 560 ? "operations per byte, FLOP/B" : "operations per byte moved by each fused kernel, FLOP/B", "ink", "middle", 13);
    legend();
    c.svg.addEventListener("keydown", keys);
  }
  function legend() {
    const totals = new Map();
    for (const k of now.kernels) { const cls = subject().kernels.class[k.at]; totals.set(cls, (totals.get(cls) ?? 0) + k.count * k.each); }
    const list = [...totals].sort((a, b) => b[1] - a[1]);
    $("legend").replaceChildren(...list.map(([cls, t]) => {
      const span = el("span"), svg = make("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" });
      svg.append(make("rect", { width: 14, height: 14, "data-f": ink(cls) }));
      span.append(svg, ` ${cls || "other"} ${percent(t / now.fused.seconds)}`); return span;
    }));
  }

  function deviceChart() {
    const s = state.subject, rows = [];
    study.devices.forEach((d, i) => {
      const own = caseOf(s, i);
      const t = rooflens.times(subject(), d, state.activations || state.weights ? types() : { ceiling: own?.dtype ?? subject().dtype, bits: null }, state.sizes);
      if (t && t.fused.seconds > 0) rows.push([d.name, t, i]); else rows.push([d.name, null, i]);
    });
    const known = rows.filter((r) => r[1]).sort((a, b) => a[1].fused.seconds - b[1].fused.seconds);
    const lacking = rows.filter((r) => !r[1]);
    const c = canvas("chart-devices", 62 + 46 * known.length + 20 * lacking.length, "Least times of a run by device");
    const narrow = c.width < 560, left = narrow ? 12 : 200, right = c.width - 16;
    const x = axis(known.flatMap((r) => [r[1].at_best.seconds, r[1].fused.seconds, r[1].unfused.seconds]), left + 10, right);
    const bottom = 20 + 46 * known.length;
    grid(c, x, 6, bottom, (v) => si(v, "s").replace(".00", ""));
    known.forEach(([name, t, i], row) => {
      const y = 30 + 46 * row + (narrow ? 6 : 0);
      c.text(narrow ? left : left - 4, narrow ? y - 12 : y + 4, name, i === state.device ? "ink" : "grey", narrow ? "start" : "end", 13);
      c.line([[x.at(t.at_best.seconds), y], [x.at(t.unfused.seconds), y]], "grey", 1.5);
      c.mark(x.at(t.at_best.seconds), y, "s0", true, `${name}, no run takes less: ${si(t.at_best.seconds, "s")}`, "diamond");
      c.mark(x.at(t.fused.seconds), y, "s0", true, `${name}, fused: ${si(t.fused.seconds, "s")}, ${binds(t.fused)}`, "circle");
      c.mark(x.at(t.unfused.seconds), y, "s0", false, `${name}, unfused: ${si(t.unfused.seconds, "s")}`, "square");
      const label = narrow ? si(t.fused.seconds, "s") : `${si(t.fused.seconds, "s")}, ${binds(t.fused)}`;
      const px = x.at(t.fused.seconds);
      c.place(label, 12, "ink", [[px, y + 22, "middle"], [right - 2, y + 22, "end"], [left + 12, y + 22, "start"]]);
    });
    lacking.forEach(([name], row) => c.text(left, bottom + 44 + 20 * row, `${name}: no ${types().ceiling} ceiling is known`, "grey", "start", 12));
  }

  function batchChart() {
    const s = subject(), symbol = s.symbols.find((x) => x.role === "batch"), host = $("chart-batch");
    if (!symbol || !symbol.open) { host.replaceChildren(el("p", symbol ? "No curve: " + (s.fixed ?? "its formulas do not depend on the batch") + "." : "No curve: the file fixes all sizes, or none of them can be said to be the batch.", { class: "grey" })); return; }
    const batches = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    const points = batches.map((b) => [b, rooflens.times(s, device(), types(), { ...state.sizes, [symbol.name]: b })]).filter((p) => p[1] && p[1].fused.seconds > 0);
    if (points.length < 2) { host.replaceChildren(el("p", "No curve: counts are not known at these batches.", { class: "grey" })); return; }
    const c = canvas("chart-batch", 330, "Inferences per second at the fused time, by batch");
    const left = 66, right = c.width - 18, top = 14, bottom = 270;
    const at = (b) => left + ((right - left) * Math.log2(b)) / 8;
    const y = axis(points.map((p) => p[0] / p[1].fused.seconds), bottom, top);
    for (const b of batches) { c.line([[at(b), top], [at(b), bottom]], "grid", 1); c.text(at(b), bottom + 17, String(b), "grey", "middle", 12); }
    rungs(c, y, left, right, (v) => si(v, "").trim().replace(".00", ""));
    c.line(points.map(([b, t]) => [at(b), y.at(b / t.fused.seconds)]), "s0", 2.5);
    for (const [b, t] of points) c.mark(at(b), y.at(b / t.fused.seconds), "s0", t.fused.memory >= 0.5, `batch ${b}: ${si(t.fused.seconds, "s")} per run, ${si(b / t.fused.seconds, "").trim()} inferences/s, ${binds(t.fused)}`, "circle");
    const b = Math.min(256, state.sizes[symbol.name]);
    if (b >= 1) { c.line([[at(b), top], [at(b), bottom]], "measured", 1.5, true); }
    c.text(16, (top + bottom) / 2, "inferences/s", "ink", "middle", 13, -90);
    c.text((left + right) / 2, bottom + 40, c.width < 560 ? "batch; full: memory binds" : "batch; full marks: memory takes most of the time, open marks: arithmetic", "ink", "middle", 13);
  }

  // Kernels.
  const columns = [
    { id: "name", head: "kernel", of: (k) => subject().kernels.operators[k.at], show: (k) => subject().kernels.operators[k.at] + " · " + subject().kernels.name[k.at] },
    { id: "class", head: "class", of: (k) => subject().kernels.class[k.at] },
    { id: "count", head: "alike", of: (k) => k.count },
    { id: "operations", head: "FLOP each", of: (k) => k.operations, show: (k) => si(k.operations, "") },
    { id: "bytes", head: "bytes each", of: (k) => k.bytes, show: (k) => si(k.bytes, "B") },
    { id: "intensity", head: "FLOP/B", of: (k) => (k.bytes > 0 ? k.operations / k.bytes : null), show: (k) => (k.bytes > 0 ? (k.operations / k.bytes).toFixed(1) : "–") },
    { id: "binds", head: "bound by", of: (k) => k.binds },
    { id: "time", head: "time", of: (k) => k.count * k.each, show: (k) => si(k.count * k.each, "s") },
    { id: "share", head: "share", of: (k) => k.count * k.each, show: (k) => ((100 * k.count * k.each) / now.fused.seconds).toFixed(1) + " %" },
  ];
  function chosen() {
    const query = state.query.toLowerCase(), column = columns.find((c) => c.id === state.sort), s = subject().kernels;
    const rows = now.kernels.filter((k) => (!state.bound || k.binds === state.bound) && !state.off.has(s.class[k.at]) && (!query || (s.operators[k.at] + " " + s.name[k.at] + " " + s.class[k.at]).toLowerCase().includes(query)));
    const sign = state.down ? -1 : 1;
    return rows.sort((a, b) => { const x = column.of(a), y = column.of(b); return sign * (x < y ? -1 : x > y ? 1 : 0) || a.at - b.at; });
  }
  function table() {
    const rows = chosen(), body = $("kernel-rows");
    const share = rows.reduce((a, k) => a + k.count * k.each, 0) / now.fused.seconds;
    $("kernel-count").textContent = `${rows.length} kinds of kernels, ${rows.reduce((a, k) => a + k.count, 0)} kernels, ${percent(share)} of the fused time`;
    body.replaceChildren(...rows.slice(0, state.shown).map((k) => {
      const tr = el("tr");
      if (k.at === state.picked) tr.className = "picked";
      for (const c of columns) { const td = el("td", c.show ? c.show(k) : String(c.of(k))); if (c.id === "class" || c.id === "binds") td.className = "left"; tr.append(td); }
      return tr;
    }));
    $("more").hidden = rows.length <= state.shown;
    for (const th of document.querySelectorAll("#kernels th[data-column]")) th.setAttribute("aria-sort", th.dataset.column === state.sort ? (state.down ? "descending" : "ascending") : "none");
  }
  function filters() {
    const names = [...new Set(subject().kernels.class)].sort();
    $("classes").replaceChildren(...names.map((name) => {
      const label = el("label"), box = el("input", null, { type: "checkbox" });
      box.checked = !state.off.has(name);
      box.addEventListener("change", () => { if (box.checked) state.off.delete(name); else state.off.add(name); table(); });
      label.append(box, " " + (name || "other")); return label;
    }));
  }
  /** Arrow keys go through kernels in the order of their time. */
  function keys(event) {
    const order = [...now.kernels].sort((a, b) => b.count * b.each - a.count * a.each);
    const at = order.findIndex((k) => k.at === state.picked);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") { state.picked = -1; $("picked").textContent = ""; table(); return; }
    if (!step) return;
    event.preventDefault();
    const k = order[Math.min(order.length - 1, Math.max(0, at + step))];
    state.picked = k.at;
    $("picked").textContent = columns.filter((c) => c.id !== "share").map((c) => `${c.head} ${c.show ? c.show(k) : c.of(k)}`).join(", ");
    table();
  }

  for (const th of document.querySelectorAll("#kernels th")) th.remove();
  for (const c of columns) {
    const th = el("th", null, { "data-column": c.id, scope: "col" }), button = el("button", c.head, { type: "button" });
    button.addEventListener("click", () => { if (state.sort === c.id) state.down = !state.down; else { state.sort = c.id; state.down = c.id !== "name" && c.id !== "class"; } save(); table(); });
    th.append(button); $("kernel-head").append(th);
  }
  restore();
  $("search").value = state.query;
  $("search").addEventListener("input", () => { state.query = $("search").value; state.shown = 100; save(); table(); });
  $("bound").value = state.bound;
  $("bound").addEventListener("change", () => { state.bound = $("bound").value; save(); table(); });
  $("more").addEventListener("click", () => { state.shown += 500; table(); });
  $("csv").addEventListener("click", () => {
    // A cell that begins like a formula is text to a spreadsheet only behind an apostrophe.
    const cell = (v) => { const t = String(v ?? ""); return '"' + (/^[=+\-@\t\r]/.test(t) && !/^-?\d/.test(t) ? "'" + t : t).replaceAll('"', '""') + '"'; };
    const lines = [["operators", "name", "class", "alike", "operations", "bytes", "bound by", "seconds"].join(",")];
    for (const k of chosen()) { const s = subject().kernels; lines.push([s.operators[k.at], s.name[k.at], s.class[k.at], k.count, k.operations, k.bytes, k.binds, k.count * k.each].map(cell).join(",")); }
    download(lines.join("\r\n") + "\r\n", "kernels.csv", "text/csv");
  });
  $("download").addEventListener("click", () => download(JSON.stringify(study), "study.json", "application/json"));
  function download(data, name, type) {
    const a = el("a", null, { download: name }), url = URL.createObjectURL(new Blob([data], { type }));
    a.href = url; a.click(); setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
  $("theme").addEventListener("click", () => {
    const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  $("print").addEventListener("click", () => print());
  controls(); filters(); update();
  let width = document.body.clientWidth;
  new ResizeObserver(() => { if (document.body.clientWidth !== width) { width = document.body.clientWidth; update(); } }).observe(document.body);
  addEventListener("hashchange", () => { restore(); controls(); update(); });
})();
