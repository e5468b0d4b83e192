// Curves as paths of SVG.

// A path through the values from one frame to another; null leaves a gap, and a value between two gaps is a dot. Where
// many frames share a pixel, only the lowest and the highest of them are drawn.
export function path(values, { from, to }, x, y) {
  const perPixel = Math.floor((to - from) / Math.max(x(to) - x(from), 1));
  return perPixel > 2 ? dense(values, from, to, perPixel, x, y) : sparse(values, from, to, x, y);
}

const isKnown = (value) => (value ?? null) !== null;
const at = (command, x, y) => `${command}${x.toFixed(1)} ${y.toFixed(1)}`;

function sparse(values, from, to, x, y) {
  let d = "";
  for (let f = from; f <= to; f++) {
    if (!isKnown(values[f])) continue;
    const follows = f > from && isKnown(values[f - 1]);
    d += at(follows ? "L" : "M", x(f), y(values[f]));
    if (!follows && !isKnown(values[f + 1])) d += "h0.01";
  }
  return d;
}

function dense(values, from, to, perPixel, x, y) {
  let d = "", follows = false;
  for (let start = from; start <= to; start += perPixel) {
    let low = null, high = null;
    for (let f = start; f < Math.min(start + perPixel, to + 1); f++) {
      if (!isKnown(values[f])) continue;
      if (low === null || values[f] < values[low]) low = f;
      if (high === null || values[f] > values[high]) high = f;
    }
    if (low === null) follows = false;
    else {
      for (const f of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
        d += at(follows ? "L" : "M", x(f), y(values[f]));
        follows = true;
      }
    }
  }
  return d;
}
