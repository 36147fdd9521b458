// Which questions Grafana asks Prometheus for a dashboard: what it puts in place of variables, over
// which range and in which steps.
//
// Pure. As Grafana's documentation of the Prometheus data source has it; what stands in a dashboard and is
// not known here is an error, so that nothing is asked differently from Grafana in silence.

// Every panel that asks, those below a collapsed row too.
export function panels(dashboard) {
  const all = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  return all.filter(({ type }) => type !== 'row');
}

// The variables whose values come from Prometheus, in the order in which they are asked for: a later
// one may name an earlier one.
export function variables(dashboard) {
  return dashboard.templating.list.filter(({ type }) => type !== 'datasource').map((variable) => {
    const [, selector, label] = /^label_values\((.+), *([a-z_]+)\)$/.exec(variable.query.query) ?? [];
    if (variable.type !== 'query' || !label) throw new Error(`variable ${variable.name}: only label_values(…) is known here`);
    return { name: variable.name, selector, label, isAll: variable.includeAll && variable.multi };
  });
}

// What stands for a variable in a query: the first value, or for one that takes them all a regular
// expression of all of them, inside the string that the query has around it.
export function chosen({ isAll }, values) {
  if (!isAll) return values[0].replaceAll('\\', '\\\\').replaceAll("'", "\\\\'");
  const escaped = values.map((value) => value.replaceAll('\\', '\\\\\\\\').replace(/[$^*{}[\]'+?.()|]/g, '\\\\$&'));
  return escaped.length === 1 ? escaped[0] : `(${escaped.join('|')})`;
}

// The range from `from` to `to` (seconds since 1970) with one point a pixel at most, but none between two scrapes.
// The window of a rate holds four scrapes.
export function intervals({ from, to, width, scrape }) {
  const step = Math.max(scrape, Math.ceil((to - from) / width));
  const aligned = (at) => Math.floor(at / step) * step;
  const rate = Math.max(step + scrape, 4 * scrape);
  const words = { __interval: `${step}s`, __rate_interval: `${rate}s`, __range: `${to - from}s` };
  return { start: aligned(from), end: aligned(to), step, words };
}

export function substitute(text, words) {
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced, bare) => {
    const word = words[braced ?? bare];
    if (word === undefined) throw new Error(`nothing is known to stand for ${whole}`);
    return word;
  });
}

// What a line is called: the legend with its labels filled in, or the labels.
export function called(legend, labels) {
  if (legend) return legend.replace(/\{\{ *(\w+) *\}\}/g, (_, label) => labels[label] ?? '');
  const { __name__: name = '', ...rest } = labels;
  return `${name}{${Object.entries(rest).map(([label, value]) => `${label}="${value}"`).join(', ')}}`;
}

// A line of Prometheus' on the grid of the range: null where there is no number.
export function onGrid(samples, { start, end, step }) {
  const found = new Map(samples.map(([at, text]) => [Math.round((at - start) / step), Number(text)]));
  return Array.from({ length: Math.round((end - start) / step) + 1 }, (_, at) => {
    const value = found.get(at);
    return Number.isFinite(value) ? value : null;
  });
}
