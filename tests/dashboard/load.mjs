// A load on core that gives every panel something to show: bounded, slow enough for a busy machine, and the same every time.
//
// Real clients (npm's etcd3), each a loop that ends with the load. Nothing is left to chance: what varies follows the clock
// and counters.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

const WAVE_SECONDS = 50;
const KEYS = 400;

export class Load {
  // `etcd3` is the package; it is resolved by the caller, outside of the tree.
  constructor({ Etcd3 }, url, seconds) {
    // Each client has a connection of its own, as clients in pods of their own do.
    this.connect = () => new Etcd3({ hosts: url, grpcOptions: { 'grpc.use_local_subchannel_pool': 1 } });
    this.begun = Date.now();
    this.end = this.begun + seconds * 1000;
    this.clients = [];
  }

  async run() {
    const client = this.client();
    const [puts, reads] = [this.client(), this.client()];
    await Promise.all([
      this.paced(() => 20 + 45 * this.wave(), (n) => puts.put(order(n)).value(text(n))),
      this.paced(() => 10 + 60 * this.wave(0.35), (n) => reads.get(order(n * 7))),
      this.paced(() => 2 + 4 * this.wave(0.6), (n) => reads.getAll().prefix(`order/${n % 40}`).limit(20)),
      this.paced(() => 1 + 6 * this.wave(0.2), (n) => puts.delete().key(order(n * 3))),
      this.paced(() => 5 + 5 * this.wave(0.8), (n) => reserve(client, n)),
      this.paced(() => 0.4 + 1.5 * this.wave(0.5), (n) => session(client, n)),
      ...MISTAKES.map((mistake, at) => this.paced(() => 0.2 + this.wave(at / 5), () => refused(client, mistake))),
      this.paced(() => 1 / 70, () => compact(client)),
      ...[0, 1, 2, 3].map((number) => this.watcher(number)),
    ]);
    this.clients.forEach((each) => each.close());
  }

  client() {
    this.clients.push(this.connect());
    return this.clients.at(-1);
  }

  get isOver() {
    return Date.now() >= this.end;
  }

  // From 0 to 1 and back; `shift` is a part of the period.
  wave(shift = 0) {
    const seconds = (Date.now() - this.begun) / 1000;
    return 0.5 - 0.5 * Math.cos(2 * Math.PI * (seconds / WAVE_SECONDS - shift));
  }

  // Does something so often a second, one after the other.
  async paced(rate, act) {
    for (let n = 0; !this.isOver; n += 1) {
      await act(n);
      await this.pause(1 / rate());
    }
  }

  // A client that comes, watches some prefixes for a while, and goes.
  async watcher(number) {
    while (!this.isOver) {
      await this.pause(4 + 6 * number);
      const client = this.client();
      const watches = Array.from({ length: 2 + number }, (_, at) => client.watch().prefix(`order/${at}`).create());
      await Promise.all(watches);
      await this.pause(20 + 5 * number);
      for (const watch of watches) await (await watch).cancel();
      client.close();
      this.clients.splice(this.clients.indexOf(client), 1);
    }
  }

  async pause(seconds) {
    await sleep(Math.max(0, Math.min(seconds * 1000, this.end - Date.now())));
  }
}

const order = (n) => `order/${(n * 7919) % KEYS}`;
const text = (n) => 'x'.repeat(400 + ((n * 613) % 4000));

// A stock that is filled five times and then sold out: a transaction of either kind.
function reserve(client, n) {
  const key = `stock/${n % 50}`;
  return client.if(key, 'Version', '<', 5).then(client.put(key).value(String(n))).else(client.delete().key(key)).commit();
}

// A session of which every second is ended by its client, and the others by their time.
async function session(client, n) {
  const lease = client.lease(5, { autoKeepAlive: false });
  await lease.put(`session/${n}`).value('here');
  if (n % 2) await lease.revoke();
}

// Mistakes of clients, and what core says of them: one that it does not refuse would be its own.
const MISTAKES = [
  [/lease not found/, (client) => client.put('order/0').value('x').lease(7)],
  [/future revision/, (client) => client.get('order/0').revision(2 ** 40)],
  [/key is not provided/, (client) => client.kv.put({ key: Buffer.alloc(0), value: Buffer.alloc(0) })],
  [/duplicate key/, (client) => client.if('order/0', 'Version', '>', -1)
    .then(client.put('order/0').value('x'), client.put('order/0').value('y')).commit()],
];

async function refused(client, [words, request]) {
  await assert.rejects(async () => request(client), words);
}

async function compact(client) {
  const { header } = await client.get('order/0').exec();
  const revision = Number(header.revision) - 300;
  if (revision > 0) await client.kv.compact({ revision });
}
