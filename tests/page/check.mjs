// The sidecar's page in a real browser, beside a real core.
//   node check.mjs CHROMIUM CORE SIDECAR [PICTURES]
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Browser, until } from './browser.mjs';
import { Pod } from './pod.mjs';

const [chromium, core, sidecar, pictures] = process.argv.slice(2);
const pod = await Pod.start(core, sidecar, {
  METASTORE_NAME: 'alpha',
  // Known and ignored: one warning.
  METASTORE_WAL_DIR: '/elsewhere',
  // How full this machine's disk is must not matter.
  METASTORE_DISK_WARN_FREE: '8MiB',
  METASTORE_DISK_CLEAR_FREE: '6MiB',
  METASTORE_DISK_LOW_FREE: '4MiB',
  METASTORE_DISK_FLOOR_FREE: '2MiB',
});
const profile = mkdtempSync(join(tmpdir(), 'ms-chromium-'));
const forget = () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
const browser = await Browser.start(chromium, profile).catch((error) => { pod.stop(); forget(); throw error; });
let passed = 0;

async function check(name, body) {
  try {
    await body();
    passed += 1;
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    throw error;
  }
}

async function picture(tab, name) {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  writeFileSync(join(pictures, `${name}.png`), await tab.picture());
}

// Contrast of every visible text against what is behind it, as WCAG has it. Returns what is below 4.5.
const FAINT = `(() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const over = (top, below) => ({ r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a), b: top.b * top.a + below.b * (1 - top.a), a: 1 });
  const part = (value) => { const x = value / 255; return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; };
  const light = ({ r, g, b }) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || !element.checkVisibility() || element.closest('script, svg, .spoken')) continue;
    seen += 1;
    const line = [];
    for (let at = element; at; at = at.parentElement) line.unshift(getComputedStyle(at));
    let below = { r: 255, g: 255, b: 255, a: 1 }, opacity = 1;
    for (const style of line) { below = over(parse(style.backgroundColor), below); opacity *= Number(style.opacity); }
    const colour = parse(getComputedStyle(element).color);
    const [a, b] = [light(over({ ...colour, a: colour.a * opacity }, below)), light(below)].sort((a, b) => b - a);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(walker.currentNode.nodeValue.trim() + ': ' + ratio.toFixed(2));
  }
  return { seen, faint };
})()`;

// What reaches over the right edge.
const TOO_WIDE = `[...document.querySelectorAll('body *')]
  .filter((element) => element.checkVisibility() && !element.closest('.spoken') && element.getBoundingClientRect().right > innerWidth + 0.5)
  .map((element) => element.outerHTML.slice(0, 80))
  .concat(document.documentElement.scrollWidth > innerWidth ? ['the document: ' + document.documentElement.scrollWidth] : [])`;

async function readable(tab) {
  const { seen, faint } = await tab.evaluate(FAINT);
  assert.ok(seen > 50, `only ${seen} texts are visible`);
  assert.deepEqual(faint, []);
}

try {
  const puts = 40;
  for (let at = 0; at < puts; at += 1) await pod.put(`key-${at % 7}`, 2_000);
  const tab = await browser.open();
  const text = (selector) => tab.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ''`);
  const revision = async () => Number((await text('section[aria-labelledby=revisions] dd span')).replaceAll(',', ''));
  await tab.size(1280, 900);
  await tab.scheme('light');
  await tab.go(pod.url);

  await check('the member, its verdict and its checks are shown', async () => {
    await until('it is healthy', async () => (await text('h1')) === 'Healthy');
    assert.match(await text('section[aria-labelledby=member]'), /alpha.*leader.*this member/s);
    assert.match(await text('section[aria-labelledby=warnings]'), /METASTORE_WAL_DIR/);
    assert.match(await text('section[aria-labelledby=storage]'), /GiB/);
    assert.deepEqual(await tab.evaluate(`[...document.querySelectorAll('.probes li')].map((probe) => probe.querySelector('b').textContent)`), ['ok', 'ok', 'ok', 'ok']);
    assert.match(await tab.evaluate('document.title'), /^Healthy · alpha/);
  });

  await check('it has a structure that can be heard', async () => {
    const found = await tab.evaluate(`({
      headings: [...document.querySelectorAll('h1, h2, h3')].map(({ tagName }) => tagName).join(''),
      lang: document.documentElement.lang,
      unnamed: document.querySelectorAll('table:not(:has(caption)), svg[role=img]:not([aria-label]), section:not([aria-labelledby]):not(:has(h1))').length,
      doubles: [...document.querySelectorAll('[id]')].map(({ id }) => id).filter((id, at, all) => all.indexOf(id) !== at),
      lost: [...document.querySelectorAll('[aria-labelledby]')].filter((element) => !document.getElementById(element.getAttribute('aria-labelledby'))).length,
      live: [...document.querySelectorAll('[aria-live]')].map(({ tagName }) => tagName).join(),
    })`);
    assert.match(found.headings, /^H1(H2)+$/);
    assert.deepEqual({ ...found, headings: '' }, { headings: '', lang: 'en', unnamed: 0, doubles: [], lost: 0, live: 'H1' });
  });

  await check('a put shows without a reload, in the same element', async () => {
    await tab.evaluate(`window.before = document.querySelector('section[aria-labelledby=revisions] dd span')`);
    const shown = (number) => until(`revision ${number} is shown`, async () => (await revision()) === number, 8_000);
    // An empty store is at 1.
    await shown(1 + puts);
    await pod.put('key', 10);
    await shown(2 + puts);
    assert.ok(await tab.evaluate('window.before.isConnected'), 'the element was replaced');
  });

  await check('a refresh changes only what has changed, and keeps a selection', async () => {
    await tab.evaluate(`(() => {
      window.touched = [];
      new MutationObserver((all) => all.forEach(({ type, target }) => window.touched.push(type + ' ' + (target.tagName ?? target.parentElement?.tagName)))).observe(document.body, { childList: true, subtree: true, characterData: true });
      getSelection().selectAllChildren(document.querySelector('#member + dl dd'));
      window.selected = String(getSelection());
    })()`);
    const time = await text('time');
    await until('two refreshes', async () => (await text('time')) !== time, 8_000);
    const { replaced, selection } = await tab.evaluate(`({ replaced: window.touched.filter((touch) => touch.startsWith('childList')).length, selection: [window.selected, String(getSelection())] })`);
    assert.equal(replaced, 0, 'elements were replaced');
    assert.equal(selection[0], 'alpha');
    assert.equal(selection[1], 'alpha');
    await tab.evaluate('getSelection().removeAllRanges()');
  });

  await check('light is readable', () => readable(tab));
  await check('what judges legibility and width can say no', async () => {
    const change = (name, value) => tab.evaluate(`document.documentElement.style.setProperty('${name}', '${value}')`);
    await change('--soft', '#999');
    assert.notDeepEqual((await tab.evaluate(FAINT)).faint, []);
    await change('--soft', '');
    assert.deepEqual(await tab.evaluate(TOO_WIDE), []);
    await change('padding-left', '90vw');
    assert.notDeepEqual(await tab.evaluate(TOO_WIDE), []);
    await tab.evaluate(`document.documentElement.removeAttribute('style')`);
  });
  await picture(tab, 'light');
  const paper = 'getComputedStyle(document.body).backgroundColor';
  const light = await tab.evaluate(paper);
  await tab.scheme('dark');
  await check('dark is dark, and readable', async () => {
    assert.notEqual(await tab.evaluate(paper), light);
    await readable(tab);
  });
  await picture(tab, 'dark');

  await check('a phone shows all of it', async () => {
    for (const width of [360, 320, 700, 1024]) {
      await tab.size(width, 740, width < 500);
      assert.deepEqual(await tab.evaluate(TOO_WIDE), [], `${width} px`);
    }
    await tab.size(360, 740, true);
  });
  await tab.scheme('light');
  await picture(tab, 'phone');
  await tab.size(1280, 900);

  await check('a core that stands still is told at once, in words', async () => {
    assert.deepEqual(pod.status().code, 0);
    pod.core.kill('SIGSTOP');
    try {
      await until('the headline says so', async () => (await text('h1')) === 'Core is silent', 10_000);
      assert.match(await text('#probe-readiness'), /fails/);
      assert.match(await text('#probe-liveness'), /ok/);
      await readable(tab);
      await picture(tab, 'silent');
      const { code, text: said } = pod.status();
      assert.equal(code, 1, said);
      assert.match(said, /CORE IS SILENT/);
    } finally {
      pod.core.kill('SIGCONT');
    }
    await until('it recovers', async () => (await text('h1')) === 'Healthy', 10_000);
  });

  await check('nothing but the page itself is asked for, and nothing complains', async () => {
    const strangers = tab.requests.filter((url) => !url.startsWith(pod.url) && !url.startsWith('data:'));
    assert.deepEqual(strangers, []);
    assert.ok(tab.requests.length > 3);
    assert.equal(tab.loads, 1, 'the document was loaded again');
    assert.deepEqual(tab.complaints, []);
  });

  await check('without a script it is all there, and reloads itself', async () => {
    const plain = await browser.open();
    await plain.call('Emulation.setScriptExecutionDisabled', { value: true });
    await plain.go(pod.url);
    const { root } = await plain.call('DOM.getDocument', { depth: 0 });
    const { outerHTML } = await plain.call('DOM.getOuterHTML', { nodeId: root.nodeId });
    assert.match(outerHTML, /Healthy/);
    assert.match(outerHTML, /alpha/);
    await until('it is loaded again', () => plain.loads > 1, 12_000);
    assert.deepEqual(plain.complaints, []);
  });

  await check('curl and the terminal get text', async () => {
    const answer = await fetch(pod.url, { headers: { accept: '*/*' } });
    assert.match(answer.headers.get('content-type'), /^text\/plain/);
    const lines = (await answer.text()).split('\n');
    assert.deepEqual(lines.filter((line) => [...line].length > 80), []);
    const { code, text: said } = pod.status();
    assert.equal(code, 0, said);
    assert.match(said, /^alpha {2}HEALTHY/);
    assert.ok(!said.includes('\x1b'), 'no colour where there is no terminal');
    assert.equal(JSON.parse(pod.status('--format', 'json').text).member.name, 'alpha');
    assert.equal(pod.status('--format', 'yaml').code, 64);
  });

  await check('a sidecar that has gone is told, too', async () => {
    pod.sidecar.kill('SIGKILL');
    await until('the page says so', async () => /has not answered/.test(await text('#link')), 10_000);
    await readable(tab);
    const { code, complaint } = pod.status();
    assert.equal(code, 69);
    assert.match(complaint, /no sidecar answers/);
    pod.sidecar = pod.run(sidecar, 'sidecar');
    await until('and that it is back', async () => (await text('#link')) === '', 10_000);
  });

  console.log(`page: ${passed} checks passed in ${browser.version}`);
} finally {
  await browser.stop();
  pod.stop();
  forget();
}
