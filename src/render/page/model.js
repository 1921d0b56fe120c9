// Costs and times at any sizes and types, from the formulas of a study. The same functions are in Rust, in
// crates/study/src/study/formula.rs and times.rs; a test holds both to the same numbers.
"use strict";

const rooflens = (() => {
  /** Every formula at these sizes, in order; null where it overflowed or a size has no value. */
  function evaluate(subject, sizes) {
    const atoms = new Array(subject.atoms.length);
    const numbers = [];
    const atom = (at) => {
      if (atoms[at] !== undefined) return atoms[at];
      const is = subject.atoms[at];
      let value = null;
      if (typeof is === "string") {
        value = Object.hasOwn(sizes, is) ? sizes[is] : null;
      } else if (Array.isArray(is)) {
        const a = numbers[is[1]], b = numbers[is[2]];
        if (a != null && b != null) value = operation(is[0], a, b);
      }
      return (atoms[at] = value);
    };
    for (const terms of subject.exprs) {
      let sum = terms === null ? null : 0;
      for (const [coefficient, factors] of terms ?? []) {
        let product = Number(coefficient);
        for (const [at, power] of factors) {
          const value = atom(at);
          if (value === null) { product = null; break; }
          for (let n = 0; n < power; n++) product *= value;
        }
        if (product === null) { sum = null; break; }
        sum += product;
      }
      numbers.push(sum !== null && Number.isFinite(sum) ? sum : null);
    }
    return numbers;
  }

  function operation(name, a, b) {
    const quotient = () => (b === 0 ? null : b > 0 ? Math.floor(a / b) : -Math.floor(a / -b));
    switch (name) {
      case "div": return quotient();
      case "mod": { const q = quotient(); return q === null ? null : a - b * q; }
      case "min": return Math.min(a, b);
      case "max": return Math.max(a, b);
      case "log2": {
        let stages = 1;
        for (let reached = 2; reached < a && stages < 127; reached *= 2) stages += 1;
        return stages;
      }
      default: return null;
    }
  }

  /** Kernels one after another: rows of how many alike, operations and bytes of one. */
  function sum(rows, roof) {
    let compute = 0, memory = 0, launches = 0, operations = 0, moved = 0;
    for (const row of rows) {
      const arithmetic = row.operations / roof.peak, traffic = row.bytes / roof.bandwidth;
      row.each = Math.max(arithmetic, traffic, roof.launch);
      if (Math.max(arithmetic, traffic) < roof.launch) { launches += row.count * roof.launch; row.binds = "launches"; }
      else if (arithmetic >= traffic) { compute += row.count * arithmetic; row.binds = "arithmetic"; }
      else { memory += row.count * traffic; row.binds = "memory"; }
      operations += row.count * row.operations;
      moved += row.count * row.bytes;
    }
    const seconds = compute + memory + launches;
    const share = (part) => (seconds > 0 ? part / seconds : 0);
    return {
      seconds,
      operations_per_second: seconds > 0 ? operations / seconds : 0,
      intensity: moved > 0 ? operations / moved : null,
      compute: share(compute), memory: share(memory), launches: share(launches),
    };
  }

  /** Three times of a model on a device, and its fused kernels; null where something is not known.
   *  types: { ceiling, bits: null or [of a weight, of an activation] }. */
  function times(subject, device, types, sizes) {
    const peak = device.peaks.find((p) => p.dtype === types.ceiling);
    if (!peak) return null;
    const numbers = evaluate(subject, sizes);
    const roof = { peak: peak.rate, bandwidth: device.bandwidth, launch: device.launch_seconds ?? 0 };
    const bytes = (own, parts) => {
      if (!types.bits) return numbers[own];
      if (parts.some((p) => p === null || p === undefined)) return null;
      const [w, a, o] = parts.map((p) => numbers[p]);
      return w === null || a === null || o === null ? null : o + (w * types.bits[0]) / 8 + (a * types.bits[1]) / 8;
    };
    const rows = (columns) => {
      const all = [];
      for (let at = 0; at < columns.count.length; at++) {
        const flops = numbers[columns.flops[at]], ints = numbers[columns.int_ops[at]];
        const moved = bytes(columns.bytes[at], [columns.weights[at], columns.activations[at], columns.other[at]]);
        if (flops === null || ints === null || moved === null) return null;
        all.push({ at, count: columns.count[at], operations: flops + ints, bytes: moved });
      }
      return all;
    };
    const fused = rows(subject.kernels), alone = rows(subject.alone);
    const best = subject.at_best;
    const integers = types.bits && types.ceiling.startsWith("i");
    let spared = 0;
    for (const [part, of, macs] of integers ? best.fast_integer : best.fast) {
      if (numbers[macs] === null) return null;
      spared += Math.ceil((numbers[macs] * (of - part)) / of);
    }
    const moved = bytes(best.bytes, [best.weights, best.activations, best.other]);
    const counts = [best.operations, best.macs, best.effective_macs].map((i) => numbers[i]);
    if (!fused || !alone || moved === null || counts.includes(null)) return null;
    const least = Math.max(0, counts[0] - 2 * (counts[1] - (counts[2] - spared)));
    const arithmetic = least / roof.peak, traffic = Math.max(0, moved - device.cached_bytes) / roof.bandwidth;
    const seconds = Math.max(arithmetic, traffic);
    const is = (holds) => (holds && seconds > 0 ? 1 : 0);
    const memory = subject.memory;
    const of = (index) => (index === null || index === undefined ? null : numbers[index]);
    return {
      at_best: {
        seconds,
        operations_per_second: seconds > 0 ? least / seconds : 0,
        intensity: moved > 0 ? least / moved : null,
        compute: is(arithmetic >= traffic), memory: is(arithmetic < traffic), launches: 0,
      },
      fused: sum(fused, roof), unfused: sum(alone, roof), kernels: fused, roof,
      held: { weights: of(memory.weights), cache: of(memory.cache), peak: of(memory.peak) },
    };
  }

  return { evaluate, times };
})();
if (typeof module !== "undefined") module.exports = rooflens;
