// Asks a Prometheus everything that a dashboard asks, and says what is wrong with the answers.
import { faults, forgotten } from './faults.mjs';
import { SCRAPE } from './prometheus.mjs';
import { called, chosen, intervals, onGrid, panels, substitute, variables } from './questions.mjs';

// Pixels of a row of panels.
export const WIDTH = 1280;

// `span` is {from, to} in seconds since 1970. Returns the faults found, and all that it takes to draw the dashboard.
export async function askAll(dashboard, prometheus, span) {
  const found = forgotten(panels(dashboard)).map((title) => `${title}: may be empty, but there is no such panel`);
  const words = await choose(dashboard, prometheus, { start: span.from, end: span.to });
  const asked = new Map();
  for (const panel of panels(dashboard)) {
    const range = intervals({ ...span, width: (WIDTH * panel.gridPos.w) / 24, scrape: SCRAPE });
    const answers = await ask(prometheus, panel, range, { ...words, ...range.words });
    found.push(...faults(panel, answers));
    asked.set(panel, { ...panel, range, series: answers.flatMap(({ series = [] }) => series) });
  }
  return { found, answers: { title: dashboard.title, words, span, panels: dashboard.panels.map((panel) => asked.get(panel) ?? panel) } };
}

// What stands for the variables when the dashboard is opened.
async function choose(dashboard, prometheus, range) {
  const words = {};
  for (const variable of variables(dashboard)) {
    const selector = substitute(variable.selector, words);
    const values = await prometheus.labelValues({ selector, label: variable.label }, range);
    if (values.length === 0) throw new Error(`the variable ${variable.name} has no value: label_values(${selector}, ${variable.label})`);
    words[variable.name] = chosen(variable, values);
  }
  return words;
}

function ask(prometheus, panel, range, words) {
  return Promise.all(panel.targets.map(async ({ expr, legendFormat }) => {
    const query = substitute(expr, words);
    try {
      const series = await prometheus.range(query, range);
      return { query, series: series.map(({ labels, samples }) => line(called(legendFormat, labels), samples, range)) };
    } catch (error) {
      return { query, error: error.message };
    }
  }));
}

// `last` is what a stat shows: null where the newest sample is no number, as JSON has it.
function line(name, samples, range) {
  const newest = Number(samples.at(-1)[1]);
  return { name, values: onGrid(samples, range), last: Number.isFinite(newest) ? newest : null };
}
