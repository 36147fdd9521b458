// Drives a server with npm's etcd3: what a Node service would do, from put to lock.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3, EtcdLeaseInvalidError, EtcdLockFailedError } from 'etcd3';

const client = new Etcd3({ hosts: process.argv[2] });

const checks = {
  async put_get_delete(store) {
    assert.equal(await store.get('a').string(), null);
    await store.put('a').value('1');
    assert.equal((await store.put('a').value('2').getPrevious()).value.toString(), '1');
    await store.put('b').value('1');
    assert.deepEqual(await store.getAll().sort('Key', 'Descend').keys(), ['b', 'a']);
    const { header } = await store.get('a').exec();
    assert.equal(await store.get('a').revision(Number(header.revision) - 2).string(), '1');
    assert.equal((await store.delete().key('a')).deleted, '1');
    assert.equal((await store.delete().all()).deleted, '1');
    assert.equal(await store.getAll().count(), 0);
  },

  async binary(store) {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await store.put(every).value(every);
    assert.deepEqual(await store.get(every).buffer(), every);
  },

  async transaction(store) {
    await store.put('a').value('1');
    const swap = (from, to) => store.if('a', 'Value', '==', from).then(store.put('a').value(to)).else(store.get('a')).commit();
    assert.equal((await swap('1', '2')).succeeded, true);
    const late = await swap('1', '3');
    assert.equal(late.succeeded, false);
    assert.equal(late.responses[0].response_range.kvs[0].value.toString(), '2');
    assert.equal((await store.if('new', 'Version', '==', 0).and('a', 'Mod', '>', 0).then(store.delete().all()).commit()).succeeded, true);
  },

  async watch(store) {
    const watcher = await store.watch().prefix('').withPreviousKV().create();
    const seen = [];
    watcher.on('put', (kv, previous) => seen.push(`put ${kv.value} was ${previous?.value}`));
    const ended = once(watcher, 'delete');
    for (const value of ['1', '2']) await store.put('a').value(value);
    await store.delete().key('a');
    const [, previous] = await ended;
    assert.deepEqual(seen, ['put 1 was undefined', 'put 2 was 1']);
    assert.equal(previous.value.toString(), '2');
    await watcher.cancel();
  },

  async watch_from_a_revision(store) {
    const first = (await store.put('a').value('0')).header.revision;
    for (let n = 1; n < 50; n++) await store.put('a').value(n);
    const seen = [];
    const watcher = await store.watch().key('a').startRevision(first).create();
    await new Promise((done) => watcher.on('put', (kv) => seen.push(Number(kv.value)) === 50 && done()));
    assert.deepEqual(seen, Array.from({ length: 50 }, (_, n) => n));
    await watcher.cancel();
  },

  async lease(store) {
    const lease = store.lease(5);
    await lease.put('a').value('1');
    assert.equal((await lease.keepaliveOnce()).TTL, '5');
    const id = await lease.grant();
    const left = await client.leaseClient.leaseTimeToLive({ ID: id, keys: true });
    assert.equal(left.grantedTTL, '5');
    assert.equal(left.keys.length, 1);
    await lease.revoke();
    assert.equal(await store.get('a').string(), null);
    await assert.rejects(store.put('a').value('1').lease(id).exec(), EtcdLeaseInvalidError);
  },

  async lease_expires(store) {
    const lease = store.lease(2, { autoKeepAlive: false });
    await lease.put('a').value('1');
    while ((await store.get('a').string()) !== null) await sleep(100);
  },

  async lock(store) {
    const first = await store.lock('mutex').ttl(10).acquire();
    await assert.rejects(store.lock('mutex').acquire(), EtcdLockFailedError);
    await first.release();
    assert.equal(await store.lock('mutex').do(async () => 'held'), 'held');
  },

  async election(store) {
    const election = store.election('leader', 10);
    const campaign = election.campaign('me');
    await once(campaign, 'elected');
    assert.equal(await election.leader(), 'me');
    await campaign.resign();
    assert.equal(await election.leader(), undefined);
  },

  async cluster() {
    const { members } = await client.cluster.memberList({});
    const status = await client.maintenance.status({});
    assert.equal(members.length, 1);
    assert.equal(status.leader, members[0].ID);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    const late = sleep(20_000, undefined, { ref: false }).then(() => assert.fail('not done within 20 s'));
    await Promise.race([check(client.namespace(`node/${name}/${Date.now()}/`)), late]);
    console.log(`ok node_${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL node_${name}: ${error.stack}`);
  }
}
client.close();
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
