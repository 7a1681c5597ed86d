// Vectors, cells, what lies between picked atoms, and colours of a scale: numbers in, numbers and words out.
// Nothing here knows the page or NGL.

const ARC_POINTS = 24, ARC_RADIUS = 0.9;

const minus = (a, b) => a.map((x, k) => x - b[k]);
const dot = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const scaled = (a, x) => a.map(y => x * y);
const norm = a => Math.sqrt(dot(a, a));
const degrees = x => (180 / Math.PI) * x;

// A vector turned by a quaternion.
function turned(a, {x, y, z, w}) {
  const axis = [x, y, z], t = scaled(cross(axis, a), 2), u = cross(axis, t);
  return a.map((value, k) => value + w * t[k] + u[k]);
}

const cellCorners = cell => Array.from({length: 8}, (_, number) => [0, 1, 2].map(k =>
  (number & 1 ? cell[k] : 0) + (number & 2 ? cell[3 + k] : 0) + (number & 4 ? cell[6 + k] : 0)));

// Places of the atoms in a list; in a cell, each is the image that is nearest to the one before.
function chain(positions, atoms, cell) {
  const at = atoms.map(atom => [...positions.subarray(3 * atom, 3 * atom + 3)]);
  const [a, b, c] = cell ? [0, 3, 6].map(first => [...cell.subarray(first, first + 3)]) : [];
  const volume = cell ? dot(a, cross(b, c)) : 0;
  if (Math.abs(volume) < 1e-6) return at;
  const faces = [cross(b, c), cross(c, a), cross(a, b)];
  const around = [-1, 0, 1].flatMap(i => [-1, 0, 1].flatMap(j => [-1, 0, 1].map(k => [i, j, k])));
  for (let k = 1; k < at.length; k++) {
    const cells = faces.map(face => Math.round(dot(minus(at[k], at[k - 1]), face) / volume));
    const images = around.map(more => at[k].map((x, n) => x - [a, b, c].reduce(
      (sum, vector, m) => sum + (cells[m] + more[m]) * vector[n], 0)));  // the nearest one of a skew cell may be aside
    const far = image => norm(minus(image, at[k - 1]));
    at[k] = images.reduce((best, image) => far(image) < far(best) - 1e-9 ? image : best);
  }
  return at;
}

// Distance, angle or dihedral of places, in words.
function measured(at) {
  if (at.length === 1) return `at ${at[0].map(x => x.toFixed(2)).join(", ")} Å`;
  if (at.length === 2) return `${norm(minus(at[0], at[1])).toFixed(3)} Å`;
  if (at.length === 3) {
    const [u, v] = [minus(at[0], at[1]), minus(at[2], at[1])];
    return `${degrees(Math.acos(dot(u, v) / (norm(u) * norm(v)))).toFixed(1)}°`;
  }
  const [a, b, c] = [minus(at[1], at[0]), minus(at[2], at[1]), minus(at[3], at[2])];
  const [n, m] = [cross(a, b), cross(b, c)];
  return `${degrees(Math.atan2(norm(b) * dot(a, m), dot(n, m))).toFixed(1)}°`;
}

// Points on the arc of an angle, which turns from one direction to another.
function arcBetween(centre, from, to) {
  const u = scaled(from, 1 / norm(from)), aside = minus(to, scaled(u, dot(to, u)));
  const v = scaled(aside, 1 / (norm(aside) || 1)), angle = Math.atan2(dot(to, v), dot(to, u));
  return Array.from({length: ARC_POINTS}, (_, k) => {
    const turn = (angle * k) / (ARC_POINTS - 1);
    return centre.map((x, c) => x + ARC_RADIUS * (u[c] * Math.cos(turn) + v[c] * Math.sin(turn)));
  });
}

function dihedralArc(at) {
  const axis = minus(at[2], at[1]), across = a => minus(a, scaled(axis, dot(a, axis) / dot(axis, axis)));
  const middle = at[1].map((x, c) => 0.5 * (x + at[2][c]));
  return arcBetween(middle, across(minus(at[0], at[1])), across(minus(at[3], at[2])));
}

// How far a point in the plane is from the line between two others.
function toSegment(point, from, to) {
  const way = minus(to, from), length = dot(way, way);
  const share = length ? Math.min(1, Math.max(0, dot(minus(point, from), way) / length)) : 0;
  return norm(minus(point, from.map((x, k) => x + share * way[k])));
}

// Colours between the stops of a scale, as numbers.
function painter(scale) {
  const stops = scale.map(text => [1, 3, 5].map(k => parseInt(text.slice(k, k + 2), 16)));
  return share => {
    const place = Math.min(Math.max(Number.isFinite(share) ? share : 0.5, 0), 1) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2), part = place - low;
    const [r, g, b] = stops[low].map((x, k) => Math.round(x + part * (stops[low + 1][k] - x)));
    return (r << 16) | (g << 8) | b;
  };
}

// A number as a legend says it: three digits, none of them needless.
const tick = x => String(Number(Number(x).toPrecision(3)));
