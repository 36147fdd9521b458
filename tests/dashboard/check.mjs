// The chart's dashboard against a real Prometheus: every query of every panel, about real programs under a load.
//   node check.mjs TOOLS CORE SIDECAR SECONDS [PICTURES]
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Pod } from '../page/pod.mjs';
import { askAll } from './answers.mjs';
import { Load } from './load.mjs';
import { draw } from './pictures.mjs';
import { Prometheus, SCRAPE } from './prometheus.mjs';

// Before the first point that is asked for: the window of a rate, and a scrape.
const WARM_UP = 5 * SCRAPE;

const SETTINGS = {
  METASTORE_NAME: 'store-metastore-0',
  // With histograms of requests: one panel shows them.
  METASTORE_METRICS: 'extensive',
  // A volume and a quota to which the load makes a difference; how full this machine's disk is must not matter.
  METASTORE_DISK_CAPACITY_BYTES: '32GiB',
  METASTORE_QUOTA_BACKEND_BYTES: '64MiB',
  METASTORE_DISK_WARN_FREE: '8MiB',
  METASTORE_DISK_CLEAR_FREE: '6MiB',
  METASTORE_DISK_LOW_FREE: '4MiB',
  METASTORE_DISK_FLOOR_FREE: '2MiB',
  // So that history is compacted several times.
  METASTORE_KEEP_REVISIONS: '1500',
  METASTORE_KEEP_DURATION: '0s',
  METASTORE_CHECK_INTERVAL: '20s',
};

const dashboard = JSON.parse(readFileSync(new URL('../../helm/metastore/files/dashboard.json', import.meta.url)));
const [tools, core, sidecar, seconds, pictures] = process.argv.slice(2);

// However and whenever this ends, what was started is stopped, also what is only starting, and the directory goes.
const place = mkdtempSync(join(tmpdir(), 'ms-dashboard-'));
const started = [];
let finishing;
const finish = () => (finishing ??= stopAll());
async function stopAll() {
  for (const starting of started.reverse()) await (await starting.catch(() => undefined))?.stop();
  rmSync(place, { recursive: true, force: true, maxRetries: 5 });
}
function start(starting) {
  started.push(starting);
  return starting;
}
// timeout(1) sends its signal twice: to the process and to its group.
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) {
  process.on(signal, () => finish().finally(() => process.exit(code)));
}

try {
  const pod = await start(Pod.start(core, sidecar, SETTINGS));
  const prometheus = await start(Prometheus.start(join(tools, 'prometheus'), place, new URL(pod.url).host));
  const from = Date.now() / 1000 + WARM_UP;
  const etcd3 = createRequire(join(tools, 'package.json'))('etcd3');
  await new Load(etcd3, pod.client, WARM_UP + Number(seconds)).run();
  const { found, answers } = await askAll(dashboard, prometheus, { from, to: Date.now() / 1000 });
  for (const fault of found) console.error(`FAIL ${fault}`);
  console.log(`dashboard: ${answers.panels.filter(({ series }) => series).length} panels, ${found.length} faults`);
  if (found.length > 0) process.exitCode = 1;
  else if (pictures) await draw({ modules: join(tools, 'node_modules'), place, answers, into: pictures });
} finally {
  await finish();
}
// A load that failed has loops left, which nobody waits for.
process.exit();
