// The rules that need neither programs nor a browser: node --test tests/dashboard/rules.test.mjs
import assert from 'node:assert/strict';
import test from 'node:test';

import { parts, shown } from './board/units.mjs';
import { faults } from './faults.mjs';
import { called, chosen, intervals, onGrid, panels, substitute, variables } from './questions.mjs';

const label = (name, query, more = {}) => ({ name, type: 'query', query: { query }, ...more });

test('a variable of labels is asked for with the variables before it', () => {
  const list = [{ name: 'datasource', type: 'datasource' }, label('namespace', 'label_values(up, namespace)'),
    label('pod', 'label_values(up{namespace="$namespace"}, pod)', { includeAll: true, multi: true })];
  assert.deepEqual(variables({ templating: { list } }), [
    { name: 'namespace', selector: 'up', label: 'namespace', isAll: undefined },
    { name: 'pod', selector: 'up{namespace="$namespace"}', label: 'pod', isAll: true },
  ]);
});

test('a variable of another kind is not guessed at', () => {
  assert.throws(() => variables({ templating: { list: [label('x', 'query_result(up)')] } }), /variable x/);
  assert.throws(() => variables({ templating: { list: [{ ...label('x', 'label_values(up, a)'), type: 'custom' }] } }), /variable x/);
});

test('all values are one regular expression in a string', () => {
  assert.equal(chosen({ isAll: false }, ['shop', 'other']), 'shop');
  assert.equal(chosen({ isAll: true }, ['store-0']), 'store-0');
  assert.equal(chosen({ isAll: true }, ['a.b', 'c']), '(a\\\\.b|c)');
});

test('the window of a rate holds four scrapes', () => {
  const { start, end, step, words } = intervals({ from: 103, to: 204, width: 400, scrape: 5 });
  assert.deepEqual({ start, end, step }, { start: 100, end: 200, step: 5 });
  assert.equal(words.__rate_interval, '20s');
});

test('a long range has a point a pixel at most', () => {
  const { step, words } = intervals({ from: 0, to: 86_400, width: 400, scrape: 5 });
  assert.equal(step, 216);
  assert.equal(words.__rate_interval, '221s');
});

test('nothing stands in a query that nobody knows', () => {
  assert.equal(substitute('a{n="$n"}[${window}]', { n: 'shop', window: '20s' }), 'a{n="shop"}[20s]');
  assert.throws(() => substitute('rate(a[$__interval_ms])', {}), /\$__interval_ms/);
});

test('a legend has its labels filled in', () => {
  assert.equal(called('{{method}} {{ code }}', { method: 'Put', code: 'OK' }), 'Put OK');
  assert.equal(called('', { __name__: 'up', pod: 'p' }), 'up{pod="p"}');
});

test('what is no number is a gap', () => {
  assert.deepEqual(onGrid([[10, '1'], [15, 'NaN'], [25, '2.5']], { start: 10, end: 30, step: 5 }), [1, null, null, 2.5, null]);
});

test('panels below a row ask too', () => {
  const inner = { type: 'stat', title: 'in' };
  assert.deepEqual(panels({ panels: [{ type: 'row', panels: [inner] }, { type: 'stat', title: 'out' }] }).map(({ title }) => title), ['in', 'out']);
});

const line = (name, ...values) => ({ name, values });
const panel = (title, more = {}) => ({ title, type: 'timeseries', targets: [{ expr: 'up' }], fieldConfig: { defaults: more } });

test('a panel with numbers is well', () => {
  assert.deepEqual(faults(panel('Requests'), [{ query: 'up', series: [line('a', null, 1)] }]), []);
});

test('a panel without an answer, a series or a number is at fault, with its query', () => {
  for (const answer of [{ error: 'parse error' }, { series: [] }, { series: [line('a', null)] }]) {
    const [fault, ...others] = faults(panel('Requests'), [{ query: 'up', ...answer }]);
    assert.match(fault, /^Requests: .*\n +up$/);
    assert.deepEqual(others, []);
  }
});

test('only a panel with a reason may be empty, and never wrong', () => {
  assert.deepEqual(faults(panel('Disk is full in'), [{ query: 'up', series: [line('a', null)] }]), []);
  assert.equal(faults(panel('Disk is full in'), [{ query: 'up', error: 'parse error' }]).length, 1);
});

test('lines that nobody tells apart are a fault', () => {
  const many = Array.from({ length: 16 }, (_, at) => line(`line ${at}`, 1));
  assert.match(faults(panel('Requests'), [{ series: many }])[0], /16 lines/);
  assert.match(faults(panel('Requests'), [{ series: [line('puts', 1)] }, { series: [line('puts', 2)] }])[0], /called puts/);
});

test('a stat has colours of its own', () => {
  const stat = (more) => faults({ ...panel('Revision', more), type: 'stat' }, [{ series: [line('a', 1)] }]);
  assert.equal(stat({}).length, 1);
  assert.equal(stat({ mappings: [] }).length, 1);
  assert.equal(stat({ thresholds: { steps: [] } }).length, 0);
  assert.equal(stat({ mappings: [{ type: 'value' }] }).length, 0);
});

test('numbers have three digits and a unit', () => {
  const cases = [[0, 'bytes', '0 B'], [64 * 2 ** 20, 'bytes', '64 MiB'], [1500, 'short', '1.5 K'], [123_456, 'short', '123 K'],
    [12_345, 'locale', '12,345'], [0.00045, 's', '450 µs'], [90, 's', '1.5 min'], [7200, 's', '2 hours'], [0.25, 'percentunit', '25%'],
    [33.333, 'reqps', '33.3 req/s'], [2000, 'ops', '2 K ops/s'], [1, 'none', '1']];
  for (const [value, unit, text] of cases) assert.equal(shown(value, unit), text);
  assert.deepEqual(parts(64 * 2 ** 20, 'bytes'), ['64', 'MiB']);
  assert.throws(() => shown(1, 'furlongs'), /furlongs/);
});
