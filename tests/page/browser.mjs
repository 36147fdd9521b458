// A headless Chromium, driven through the pipe of its DevTools protocol: no package is needed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const LIMIT_MS = 20_000;

export class Browser {
  static async start(program, profile) {
    const arguments_ = ['--headless=new', '--remote-debugging-pipe', `--user-data-dir=${profile}`, '--no-first-run',
      '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--hide-scrollbars', '--force-color-profile=srgb', '--mute-audio', 'about:blank'];
    // The sandbox needs what root in a container does not have; the page is ours.
    if (process.getuid() === 0) arguments_.unshift('--no-sandbox');
    const process_ = spawn(program, arguments_, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    const browser = new Browser(process_);
    browser.version = (await browser.call('Browser.getVersion')).product;
    return browser;
  }

  constructor(process_) {
    this.process = process_;
    [, , , this.out, this.in] = process_.stdio;
    this.calls = new Map();
    this.tabs = new Map();
    this.next = 1;
    let rest = '';
    this.in.setEncoding('utf8').on('data', (text) => {
      const messages = (rest + text).split('\0');
      rest = messages.pop();
      messages.forEach((message) => this.take(JSON.parse(message)));
    });
    process_.once('exit', (code) => this.fail(new Error(`chromium ended with ${code}`)));
    this.out.on('error', (error) => this.fail(error));
  }

  take({ id, result, error, method, params, sessionId }) {
    if (id === undefined) return this.tabs.get(sessionId)?.happened(method, params);
    const { resolve, reject } = this.calls.get(id);
    this.calls.delete(id);
    if (error) reject(new Error(`${error.message} ${error.data ?? ''}`));
    else resolve(result);
  }

  fail(error) {
    for (const { reject } of this.calls.values()) reject(error);
    this.calls.clear();
  }

  call(method, params = {}, sessionId = undefined) {
    const id = this.next++;
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), LIMIT_MS);
      const done = (then) => (value) => { clearTimeout(timer); then(value); };
      this.calls.set(id, { resolve: done(resolve), reject: done(reject) });
    });
    this.out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return answer;
  }

  async open() {
    const { browserContextId } = await this.call('Target.createBrowserContext');
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true });
    const tab = new Tab(this, sessionId);
    this.tabs.set(sessionId, tab);
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await tab.call(`${domain}.enable`);
    return tab;
  }

  async stop() {
    const ended = this.process.exitCode === null && once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }
}

class Tab {
  constructor(browser, session) {
    Object.assign(this, { browser, session, requests: [], complaints: [], loads: 0 });
  }

  call(method, params) {
    return this.browser.call(method, params, this.session);
  }

  happened(method, params) {
    switch (method) {
      case 'Network.requestWillBeSent': this.requests.push(params.request.url); break;
      case 'Runtime.exceptionThrown': this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text); break;
      case 'Runtime.consoleAPICalled': if (['error', 'warning', 'assert'].includes(params.type)) this.complaints.push(`console.${params.type}`); break;
      case 'Log.entryAdded': if (params.entry.level === 'error') this.complaints.push(`${params.entry.text} ${params.entry.url ?? ''}`); break;
      case 'Page.loadEventFired': this.loads += 1; break;
      default:
    }
  }

  // The value of an expression or of an async function's body.
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  async go(url) {
    const loads = this.loads;
    const { errorText } = await this.call('Page.navigate', { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await until(`${url} is loaded`, () => this.loads > loads);
  }

  size(width, height, mobile = false) {
    return this.call('Emulation.setDeviceMetricsOverride', { width, height, mobile, deviceScaleFactor: mobile ? 2 : 1 });
  }

  scheme(value) {
    return this.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
  }

  // The whole page as PNG.
  async picture() {
    const { cssContentSize } = await this.call('Page.getLayoutMetrics');
    const clip = { x: 0, y: 0, width: cssContentSize.width, height: cssContentSize.height, scale: 1 };
    const { data } = await this.call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip });
    return Buffer.from(data, 'base64');
  }
}

// Waits for something, a limited time.
export async function until(what, condition, limitMs = LIMIT_MS) {
  const end = Date.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
