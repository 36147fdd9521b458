// The drawn dashboard as pictures, light and dark, taken by a headless Chromium.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { Browser, until } from '../page/browser.mjs';
import { WIDTH } from './answers.mjs';

const HERE = new URL('board/', import.meta.url).pathname;

const TYPES = { html: 'text/html', css: 'text/css', mjs: 'text/javascript', js: 'text/javascript', json: 'application/json', woff2: 'font/woff2' };

// What the page asks for, and the file that it gets.
const files = (modules) => ({
  '/': `${HERE}index.html`,
  '/board.css': `${HERE}board.css`,
  '/board.mjs': `${HERE}board.mjs`,
  '/units.mjs': `${HERE}units.mjs`,
  '/uPlot.esm.js': join(modules, 'uplot/dist/uPlot.esm.js'),
  '/uPlot.min.css': join(modules, 'uplot/dist/uPlot.min.css'),
  '/inter.woff2': join(modules, '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2'),
});

async function serve(modules, answers) {
  const known = files(modules);
  const server = createServer(({ url }, answer) => {
    const file = known[url];
    if (!file && url !== '/answers.json') return answer.writeHead(404).end();
    const type = TYPES[(file ?? url).split('.').at(-1)];
    return answer.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(file ? readFileSync(file) : JSON.stringify(answers));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

// What does not fit where it stands, and charts too flat to read.
const CRAMPED = `[...document.querySelectorAll('section')].filter((panel) => {
  const edge = panel.getBoundingClientRect();
  const isOver = [...panel.querySelectorAll('h3, li, .values, .plot')].some((part) => {
    const { right, bottom } = part.getBoundingClientRect();
    return right > edge.right || bottom > edge.bottom;
  });
  return isOver || panel.querySelector('.plot')?.clientHeight < 90;
}).map((panel) => panel.querySelector('h3').textContent)`;

export async function draw({ modules, place, answers, into }) {
  const server = await serve(modules, answers);
  const browser = await Browser.start('chromium', join(place, 'chromium'));
  try {
    const tab = await browser.open();
    await tab.size(WIDTH, 900);
    for (const scheme of ['light', 'dark']) {
      await tab.scheme(scheme);
      await tab.go(`http://127.0.0.1:${server.address().port}/`);
      await until('the dashboard is drawn', async () => tab.complaints.length > 0 || (await tab.evaluate('document.documentElement.dataset.isDrawn')));
      assert.deepEqual(tab.complaints, []);
      assert.deepEqual(await tab.evaluate(CRAMPED), [], 'panels that do not fit');
      mkdirSync(into, { recursive: true });
      writeFileSync(join(into, `dashboard-${scheme}.png`), await tab.picture());
    }
  } finally {
    await browser.stop();
    server.close();
  }
}
