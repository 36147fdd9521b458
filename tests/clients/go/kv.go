package main

import (
	"fmt"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

var kvChecks = []check{
	{"kv_revisions_count_writes", kvRevisions},
	{"kv_put_options", kvPutOptions},
	{"kv_sorts_and_filters", kvSortsAndFilters},
	{"kv_binary_keys", kvBinaryKeys},
	{"kv_keys_only_has_no_lease", kvKeysOnly},
	{"kv_pages_5000_keys_like_kube_apiserver", kvPages},
	{"kv_optimistic_put_and_delete_like_kube_apiserver", kvOptimistic},
	{"kv_reads_own_writes_from_other_connections", kvLinearizable},
}

func kvRevisions(s *scope) {
	a := s.key("a")
	first := s.put(a, "1")
	same("second put", s.put(a, "2"), first+1)
	same("delete of nothing", must(s.Delete(s.ctx, s.key("missing"))).Header.Revision, first+1)
	s.put(s.key("b"), "1")
	gone := must(s.Delete(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithPrevKV()))
	same("delete of two keys", gone.Header.Revision, first+3)
	same("deleted", gone.Deleted, 2)
	same("previous value", string(gone.PrevKvs[0].Value), "2")
	same("its version", gone.PrevKvs[0].Version, 2)
	s.put(a, "3")
	kv := must(s.Get(s.ctx, a)).Kvs[0]
	same("version after a delete", kv.Version, 1)
	same("create revision", kv.CreateRevision, first+4)
	old := must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithRev(first+1)))
	same("value at an old revision", string(old.Kvs[0].Value), "2")
	same("header at an old revision is the newest", old.Header.Revision, first+4)
	same("serializable count", must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithSerializable(), clientv3.WithCountOnly())).Count, 1)
}

func kvPutOptions(s *scope) {
	a := s.key("a")
	expect(must(s.Put(s.ctx, a, "1", clientv3.WithPrevKV())).PrevKv == nil, "a create has a previous value")
	lease := must(s.Grant(s.ctx, 300)).ID
	same("previous value", string(must(s.Put(s.ctx, a, "2", clientv3.WithPrevKV(), clientv3.WithLease(lease))).PrevKv.Value), "1")
	s.put(a, "3", clientv3.WithIgnoreLease())
	s.put(a, "", clientv3.WithIgnoreValue(), clientv3.WithLease(lease))
	kv := must(s.Get(s.ctx, a)).Kvs[0]
	same("value kept", string(kv.Value), "3")
	same("lease kept", clientv3.LeaseID(kv.Lease), lease)
	s.put(a, "4")
	same("lease after a plain put", must(s.Get(s.ctx, a)).Kvs[0].Lease, 0)
	must(s.Revoke(s.ctx, lease))
	same("keys after revoking a lease that was left", must(s.Get(s.ctx, a)).Count, 1)
}

func kvSortsAndFilters(s *scope) {
	first := s.put(s.key("b"), "2")
	s.put(s.key("a"), "3")
	s.put(s.key("c"), "1")
	s.put(s.key("b"), "2")
	order := func(opts ...clientv3.OpOption) string {
		resp := must(s.Get(s.ctx, s.prefix, append(opts, clientv3.WithPrefix())...))
		same("count ignores limits and filters", resp.Count, 3)
		names := ""
		for _, kv := range resp.Kvs {
			names += strings.TrimPrefix(string(kv.Key), s.prefix)
		}
		if resp.More {
			names += "…"
		}
		return names
	}
	up, down := clientv3.SortAscend, clientv3.SortDescend
	same("by key", order(), "abc")
	same("by key, down", order(clientv3.WithSort(clientv3.SortByKey, down)), "cba")
	same("by value", order(clientv3.WithSort(clientv3.SortByValue, up)), "cba")
	same("by value, keys only", order(clientv3.WithSort(clientv3.SortByValue, up), clientv3.WithKeysOnly()), "cba")
	same("by create", order(clientv3.WithSort(clientv3.SortByCreateRevision, up)), "bac")
	same("by mod, one", order(clientv3.WithSort(clientv3.SortByModRevision, down), clientv3.WithLimit(1)), "b…")
	same("by version", order(clientv3.WithSort(clientv3.SortByVersion, clientv3.SortNone)), "acb")
	same("limit", order(clientv3.WithLimit(2)), "ab…")
	same("limit of all", order(clientv3.WithLimit(3)), "abc")
	same("min mod", order(clientv3.WithMinModRev(first+2)), "bc")
	same("max create and a limit", order(clientv3.WithMaxCreateRev(first+1), clientv3.WithLimit(1)), "a…")
	same("max create and a limit of all that pass", order(clientv3.WithMaxCreateRev(first+1), clientv3.WithLimit(2)), "ab")
	inverted := must(s.Get(s.ctx, s.key("c"), clientv3.WithRange(s.key("a"))))
	expect(inverted.Count == 0 && !inverted.More, "an inverted range is not empty: %v", inverted)
}

func kvBinaryKeys(s *scope) {
	every := []byte{}
	for b := range 256 {
		every = append(every, byte(b))
	}
	for _, key := range []string{s.key("\x00"), s.key("\xff"), s.key("\xff\xff"), s.key(string(every)), s.key("ключ 鍵"), s.key("")} {
		s.put(key, key)
		same("value", string(must(s.Get(s.ctx, key)).Kvs[0].Value), key)
	}
	same("keys under the prefix", must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix())).Count, 6)
	same("keys from \\xff under the prefix", must(s.Get(s.ctx, s.key("\xff"), clientv3.WithPrefix())).Count, 2)
}

func kvKeysOnly(s *scope) {
	lease := must(s.Grant(s.ctx, 300)).ID
	revision := s.put(s.key("a"), "value", clientv3.WithLease(lease))
	kv := must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())).Kvs[0]
	same("key, value, lease, revisions", fmt.Sprint(string(kv.Key) == s.key("a"), len(kv.Value), kv.Lease, kv.ModRevision-revision, kv.CreateRevision-revision, kv.Version), "true 0 0 0 0 1")
	must(s.Revoke(s.ctx, lease))
}

// kvPages lists as kube-apiserver does: has more = fewer keys than the count from the continue key on, all at the first page's revision.
func kvPages(s *scope) {
	const total, page = 5000, 499
	var writers sync.WaitGroup
	for start := range 50 {
		writers.Go(func() {
			ops := []clientv3.Op{}
			for i := start; i < total; i += 50 {
				ops = append(ops, clientv3.OpPut(s.key(fmt.Sprintf("%05d", i)), "value"))
			}
			s.Txn(s.ctx).Then(ops...).Commit()
		})
	}
	writers.Wait()
	list := kubernetesClient(s).List
	listed, next, revision := 0, "", int64(0)
	for {
		resp := must(list(s.ctx, s.prefix, kubernetes.ListOptions{Limit: page, Continue: next, Revision: revision}))
		same("count from the continue key", resp.Count, int64(total-listed))
		for _, kv := range resp.Kvs {
			same("key", string(kv.Key), s.key(fmt.Sprintf("%05d", listed)))
			listed++
		}
		if revision == 0 {
			revision = resp.Revision
			must(s.Delete(s.ctx, s.key("02"), clientv3.WithPrefix()))
		}
		if int64(len(resp.Kvs)) == resp.Count {
			break
		}
		next = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	same("keys listed", listed, total)
	same("count now", must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())).Count, total-1000)
}

func kvOptimistic(s *scope) {
	k, a := kubernetesClient(s), s.key("a")
	made := must(k.OptimisticPut(s.ctx, a, []byte("1"), 0, kubernetes.PutOptions{GetOnFailure: true}))
	expect(made.Succeeded, "create of a new key is refused")
	again := must(k.OptimisticPut(s.ctx, a, []byte("x"), 0, kubernetes.PutOptions{GetOnFailure: true}))
	expect(!again.Succeeded && string(again.KV.Value) == "1", "create of an existing key: %v", again)
	updated := must(k.OptimisticPut(s.ctx, a, []byte("2"), made.Revision, kubernetes.PutOptions{}))
	same("revision of the update", updated.Revision, made.Revision+1)
	late := must(k.OptimisticDelete(s.ctx, a, made.Revision, kubernetes.DeleteOptions{GetOnFailure: true}))
	expect(!late.Succeeded && late.KV.ModRevision == updated.Revision, "delete at an old revision: %v", late)
	expect(must(k.OptimisticDelete(s.ctx, a, updated.Revision, kubernetes.DeleteOptions{})).Succeeded, "delete is refused")
	var none *mvccpb.KeyValue
	same("after the delete", must(k.Get(s.ctx, a, kubernetes.GetOptions{})).KV, none)
}

func kvLinearizable(s *scope) {
	other := s.dial(s.endpoint)
	for i := range 200 {
		value := fmt.Sprint(i)
		s.put(s.key("a"), value)
		same("read on another connection", string(must(other.Get(s.ctx, s.key("a"))).Kvs[0].Value), value)
	}
}

func kubernetesClient(s *scope) kubernetes.Interface { return &kubernetes.Client{Client: s.Client} }
