// A core and a sidecar on free ports and an empty directory, and a client that puts.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:http2';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from './browser.mjs';

// Of our variables only those of the test reach the processes.
const bare = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(METASTORE|ETCD)_/.test(name)));

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Pod {
  static async start(core, sidecar, variables = {}) {
    const pod = new Pod();
    pod.place = mkdtempSync(join(tmpdir(), 'ms-page-'));
    const [client, probes] = [await freePort(), await freePort()];
    pod.client = `http://127.0.0.1:${client}`;
    pod.url = `http://127.0.0.1:${probes}/`;
    pod.sidecarProgram = sidecar;
    pod.variables = {
      ...bare,
      METASTORE_DATA_DIR: join(pod.place, 'data'),
      METASTORE_LISTEN_CLIENT_URLS: pod.client,
      METASTORE_SIDECAR_LISTEN: `127.0.0.1:${probes}`,
      ...variables,
    };
    pod.core = pod.run(core, 'core');
    pod.sidecar = pod.run(sidecar, 'sidecar');
    const ready = () => {
      const ended = [pod.core, pod.sidecar].find(({ exitCode }) => exitCode !== null);
      if (ended) throw new Error(`${ended.spawnfile} ended with ${ended.exitCode}`);
      return fetch(`${pod.url}readyz`).then((answer) => answer.ok, () => false);
    };
    await until('the sidecar says that core is ready', ready, 60_000).catch((error) => {
      const output = `${pod.output('core')}\n${pod.output('sidecar')}`;
      pod.stop();
      throw new Error(`${error.message}\n${output}`);
    });
    return pod;
  }

  run(program, name) {
    const output = openSync(join(this.place, name), 'a');
    return spawn(program, [], { env: this.variables, stdio: ['ignore', output, output] });
  }

  output(name) {
    return readFileSync(join(this.place, name), 'utf8').split('\n').slice(-20).join('\n');
  }

  // `metastore-sidecar status`: exit code and output.
  status(...options) {
    const { status, stdout, stderr } = spawnSync(this.sidecarProgram, ['status', ...options], { env: this.variables, encoding: 'utf8', timeout: 10_000 });
    return { code: status, text: stdout, complaint: stderr };
  }

  // One gRPC call: a Put of a value with so many bytes.
  put(key, length) {
    const field = (number, bytes) => Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
    const message = Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.alloc(length, 'v'))]);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    this.session ??= connect(this.client);
    return new Promise((resolve, reject) => {
      const call = this.session.request({ ':method': 'POST', ':path': '/etcdserverpb.KV/Put', 'content-type': 'application/grpc', te: 'trailers' });
      let status;
      const see = (headers) => { status = headers['grpc-status'] ?? status; };
      call.on('response', see).on('trailers', see).on('error', reject).resume();
      call.on('close', () => (status === '0' ? resolve() : reject(new Error(`put: grpc-status ${status}`))));
      call.end(Buffer.concat([prefix, message]));
    });
  }

  stop() {
    this.session?.destroy();
    for (const process_ of [this.sidecar, this.core]) process_.kill('SIGKILL');
    rmSync(this.place, { recursive: true, force: true });
  }
}

function varint(number) {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return Buffer.from([...bytes, number]);
}
