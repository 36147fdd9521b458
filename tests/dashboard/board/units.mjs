// A number in the units of a Grafana panel, to three digits: the units that the dashboard uses, and no others.

const scaled = (base, names) => (value) => {
  let at = 0;
  while (Math.abs(value) >= base && at < names.length - 1) {
    value /= base;
    at += 1;
  }
  return [value, names[at]];
};

const thousands = scaled(1000, ['', 'K', 'Mil', 'Bil']);

function duration(seconds) {
  const size = Math.abs(seconds);
  if (size === 0) return [0, 's'];
  if (size < 1e-3) return [seconds * 1e6, 'µs'];
  if (size < 1) return [seconds * 1e3, 'ms'];
  const steps = [[60, 1, 's'], [3600, 60, 'min'], [86_400, 3600, 'hours'], [604_800, 86_400, 'days'], [Infinity, 604_800, 'weeks']];
  const [, divisor, name] = steps.find(([limit]) => size < limit);
  return [seconds / divisor, name];
}

const per = (what) => (value) => {
  const [number, name] = thousands(value);
  return [number, `${name}${what}`];
};

const UNITS = {
  none: (value) => [value, ''],
  short: thousands,
  locale: (value) => [value, ''],
  percentunit: (value) => [value * 100, '%'],
  bytes: scaled(1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']),
  s: duration,
  reqps: per(' req/s'),
  ops: per(' ops/s'),
};

// The number and its unit, apart: a stat shows them in two sizes.
export function parts(value, unit) {
  const scale = UNITS[unit];
  if (!scale) throw new Error(`the unit ${unit} is not known here`);
  const [number, name] = scale(value);
  if (unit === 'locale') return [Math.round(number).toLocaleString('en'), ''];
  const rounded = Math.abs(number) >= 100 ? Math.round(number) : Number(number.toPrecision(3));
  return [String(rounded), name.trim()];
}

export function shown(value, unit) {
  const [number, name] = parts(value, unit);
  if (name === '%') return `${number}%`;
  return name ? `${number} ${name}` : number;
}

// Whether the unit's round numbers are powers of two.
export const isBinary = (unit) => unit === 'bytes';
