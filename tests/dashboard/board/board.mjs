// Draws the dashboard from /answers.json: each panel in its place on Grafana's grid of 24 columns, lines with uPlot.
//
// What a panel asks for and this page cannot draw is an error: a picture must not show less than Grafana does.
import uPlot from '/uPlot.esm.js';

import { isBinary, parts, shown } from '/units.mjs';

const LIGHT = ['#2f6fb0', '#c8601a', '#2d8a56', '#7b5bb5', '#c0392f', '#14828c', '#8a6a2f', '#c2568f', '#6b6962', '#7d8a1c', '#3b4a99', '#a5527a', '#4f9d9d', '#b0893a', '#555'];
const DARK = ['#7fb2e5', '#f0a35e', '#79c99a', '#b79cec', '#ff8d83', '#5cc7cf', '#cfae6a', '#ef94c0', '#a9a69e', '#bcc75a', '#8f9cf0', '#d79ab5', '#9adfdf', '#e6c98a', '#ccc'];
const isDark = matchMedia('(prefers-color-scheme: dark)').matches;
const COLOURS = isDark ? DARK : LIGHT;
const FONT = '12px Inter';

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function placed(made, { x, y, w, h }) {
  Object.assign(made.style, { gridColumn: `${x + 1} / span ${w}`, gridRow: `${y + 1} / span ${h}` });
  return made;
}

function titled({ title, description }) {
  const heading = element('h3', {}, title);
  if (description) heading.append(element('i', { title: description }, 'i'));
  return heading;
}

// The text and the colour of a stat's value, by its mappings and then by its thresholds.
function judged(value, { unit, mappings = [], thresholds }) {
  const mapped = mappings.map(({ type, options }) => {
    if (type === 'value') return options[String(value)];
    if (type === 'special' && options.match === 'null+nan') return value === null ? options.result : undefined;
    throw new Error(`mappings of the type ${type} are not drawn`);
  }).find(Boolean);
  const step = thresholds?.steps.findLast((each) => each.value === null || (value !== null && value >= each.value));
  const [number, name] = value === null ? ['no data', ''] : parts(value, unit);
  return { number: mapped?.text ?? number, name: mapped ? '' : name, colour: mapped?.color ?? step?.color ?? 'text' };
}

function stat(panel) {
  const { colorMode, graphMode, reduceOptions } = panel.options;
  if (graphMode !== 'none' || String(reduceOptions.calcs) !== 'lastNotNull') throw new Error(`${panel.title}: is not drawn`);
  const values = element('div', { className: 'values' });
  const made = element('section', { className: colorMode }, titled(panel), values);
  for (const { last } of panel.series) {
    const { number, name, colour } = judged(last, panel.fieldConfig.defaults);
    if (!['green', 'orange', 'red', 'blue', 'text'].includes(colour)) throw new Error(`${panel.title}: the colour ${colour} is not drawn`);
    made.style.setProperty('--value', `var(--${colour})`);
    made.style.setProperty('--tile', `var(--${colour}-tile)`);
    values.append(element('span', {}, number, name ? element('small', {}, name) : ''));
  }
  return made;
}

function timeseries(panel) {
  const plot = element('div', { className: 'plot' });
  const legend = element('ul', {}, ...panel.series.map(({ name }, at) => {
    const entry = element('li', {}, name);
    entry.style.setProperty('--series', COLOURS[at]);
    return entry;
  }));
  return element('section', {}, titled(panel), plot, legend);
}

const KINDS = { row: ({ title }) => element('h2', {}, title), stat, timeseries };

// Lines are drawn when the whole page has its sizes.
function draw(panel, plot) {
  const { start, end, step } = panel.range;
  const { unit, min, custom } = panel.fieldConfig.defaults;
  if (panel.series.length === 0) {
    plot.className = 'nothing';
    plot.append('No data');
    return;
  }
  const times = Array.from({ length: Math.round((end - start) / step) + 1 }, (_, at) => start + at * step);
  const axis = { stroke: style('--soft'), font: FONT, grid: { stroke: style('--grid'), width: 1 }, ticks: { show: false } };
  const lines = panel.series.map((_, at) => ({
    stroke: COLOURS[at],
    width: custom.lineWidth * 1.5,
    fill: `${COLOURS[at]}${Math.round(custom.fillOpacity * 2.55).toString(16).padStart(2, '0')}`,
    points: { show: custom.showPoints !== 'never' },
  }));
  new uPlot({
    width: plot.clientWidth,
    height: plot.clientHeight,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), 'UTC'),
    scales: { x: { time: true, range: [start, end] }, y: { range: (_, low, high) => range(min ?? low, high) } },
    axes: [
      { ...axis, space: 75, size: 28, gap: 8, incrs: [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600], values: (chart, at) => at.map((each) => (fits(chart, each) ? clock(each) : '')) },
      {
        ...axis,
        space: 32,
        gap: 6,
        size: (chart, labels) => 12 + widest(chart.ctx, labels ?? []),
        values: (_, at) => at.map((value) => shown(value, unit)),
        ...(isBinary(unit) && { incrs: Array.from({ length: 45 }, (_, power) => 2 ** power) }),
      },
    ],
    series: [{}, ...lines],
  }, [times, ...panel.series.map(({ values }) => values)], plot);
}

// A line at the bottom of nothing has something above it.
const range = (low, high) => [low, high > low ? high + (high - low) * 0.08 : low + 1];

// Whether a time of day has room below its place: at the edges it would be cut off.
function fits(chart, at) {
  const place = chart.valToPos(at, 'x');
  return place > 18 && place < chart.valToPos(chart.scales.x.max, 'x') - 18;
}

const clock = (at) => new Date(at * 1000).toISOString().slice(11, 19);

function widest(context, labels) {
  context.save();
  context.font = FONT;
  const widths = labels.map((label) => context.measureText(label).width);
  context.restore();
  return Math.max(0, ...widths);
}

async function build() {
  const answers = await (await fetch('/answers.json')).json();
  await document.fonts.load('14px Inter');
  const { title, words, span, panels } = answers;
  const chosen = Object.entries(words).map(([name, value]) => element('span', {}, name, element('b', {}, value)));
  const during = element('span', {}, `${clock(span.from)} to ${clock(span.to)} UTC`);
  document.body.append(element('header', {}, element('h1', {}, title), ...chosen, during));
  const made = panels.map((panel) => placed((KINDS[panel.type] ?? unknown)(panel), panel.gridPos));
  document.body.append(element('main', {}, ...made));
  panels.forEach((panel, at) => panel.type === 'timeseries' && draw(panel, made[at].querySelector('.plot')));
}

function unknown({ type }) {
  throw new Error(`panels of the type ${type} are not drawn`);
}

await build();
document.documentElement.dataset.isDrawn = 'true';
