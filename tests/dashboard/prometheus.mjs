// A real Prometheus on a free port of loopback that scrapes one pod, and what is asked of it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { until } from '../page/browser.mjs';

// The sidecar fetches core's metrics every 5 seconds: more frequent scrapes would see them in stairs.
export const SCRAPE = 5;

// What Kubernetes tells Prometheus of the pod, and what the Prometheus operator makes of it for a PodMonitor:
// the labels by which dashboard and alerts choose.
const DISCOVERED = {
  __meta_kubernetes_namespace: 'shop',
  __meta_kubernetes_pod_name: 'store-metastore-0',
  __meta_kubernetes_pod_container_name: 'sidecar',
};
const RELABELLED = [
  { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
  { source_labels: ['__meta_kubernetes_pod_container_name'], target_label: 'container' },
  { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' },
  { target_label: 'job', replacement: 'shop/store-metastore' },
  { target_label: 'endpoint', replacement: 'sidecar' },
];

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Prometheus {
  static async start(program, place, target) {
    const prometheus = new Prometheus();
    const address = `127.0.0.1:${await freePort()}`;
    const file = join(place, 'prometheus.json');
    prometheus.url = `http://${address}`;
    prometheus.log = join(place, 'prometheus.log');
    // YAML, of which JSON is a part.
    writeFileSync(file, JSON.stringify({
      global: { scrape_interval: `${SCRAPE}s`, scrape_timeout: `${SCRAPE}s` },
      scrape_configs: [{ job_name: 'pod', static_configs: [{ targets: [target], labels: DISCOVERED }], relabel_configs: RELABELLED }],
    }));
    const output = openSync(prometheus.log, 'a');
    const arguments_ = [`--config.file=${file}`, `--storage.tsdb.path=${join(place, 'series')}`, `--web.listen-address=${address}`];
    prometheus.process = spawn(program, arguments_, { stdio: ['ignore', output, output] });
    await until('prometheus has scraped the sidecar', () => prometheus.hasScraped(), 30_000).catch(async (error) => {
      await prometheus.stop();
      throw new Error(`${error.message}\n${readFileSync(prometheus.log, 'utf8').split('\n').slice(-20).join('\n')}`);
    });
    return prometheus;
  }

  async hasScraped() {
    if (this.process.exitCode !== null) throw new Error(`prometheus ended with ${this.process.exitCode}`);
    const { result } = await this.ask('query', { query: 'up == 1' }).catch(() => ({ result: [] }));
    return result.length === 1;
  }

  // The answer's data; a refusal is an error with Prometheus' own words.
  async ask(path, parameters) {
    const answer = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { status, data, error, warnings } = await answer.json();
    if (status !== 'success') throw new Error(error);
    if (warnings) throw new Error(warnings.join('; '));
    return data;
  }

  labelValues({ selector, label }, { start, end }) {
    return this.ask(`label/${label}/values`, { 'match[]': selector, start, end });
  }

  async range(query, { start, end, step }) {
    const { result } = await this.ask('query_range', { query, start, end, step });
    return result.map(({ metric, values }) => ({ labels: metric, samples: values }));
  }

  async stop() {
    const isRunning = this.process.exitCode === null && this.process.signalCode === null;
    const ended = isRunning && once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }
}
