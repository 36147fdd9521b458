// What is wrong with a panel, given the answers to its queries.
//
// Pure. `answers` has one entry for each target: an error, or series of labels, samples and values on the grid.

// A panel here may have only NaN, or nothing; each with the reason.
export const MAY_BE_EMPTY = {
  'Disk is full in': 'NaN says that the disk does not fill, which is what one hopes for',
};

// More lines than this nobody tells apart.
const LINES_MAX = 15;

export function faults(panel, answers) {
  const found = answers.flatMap((answer, at) => wrong(panel, answer).map((what) => `${what}\n    ${answer.query ?? panel.targets[at].expr}`));
  return [...found, ...unreadable(panel, answers)].map((what) => `${panel.title}: ${what}`);
}

function wrong(panel, { error, series = [] }) {
  if (error) return [`Prometheus refuses the query: ${error}`];
  if (panel.title in MAY_BE_EMPTY) return [];
  if (series.length === 0) return ['no series'];
  const isNumber = ({ values }) => values.some((value) => value !== null);
  return series.some(isNumber) ? [] : ['series without a single number'];
}

// Faults that show only where many series meet in one panel, or where Grafana would choose by itself.
function unreadable(panel, answers) {
  const names = answers.flatMap(({ series = [] }) => series.map(({ name }) => name));
  const doubles = new Set(names.filter((name, at) => names.indexOf(name) !== at));
  const found = [];
  if (names.length > LINES_MAX) found.push(`${names.length} lines, and nobody tells more than ${LINES_MAX} apart`);
  if (doubles.size > 0) found.push(`several lines are called ${[...doubles].join(', ')}`);
  const { thresholds, mappings = [] } = panel.fieldConfig.defaults;
  if (panel.type === 'stat' && !thresholds && mappings.length === 0) found.push('without thresholds Grafana shows whatever is above 80 in red');
  return found;
}

// Entries of the list above that no panel answers to any more.
export function forgotten(panels) {
  return Object.keys(MAY_BE_EMPTY).filter((title) => !panels.some((panel) => panel.title === title));
}
