package main

import (
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var txnChecks = []check{
	{"txn_compare_and_swap", txnCompareAndSwap},
	{"txn_compares_every_target", txnCompares},
	{"txn_compares_a_range", txnCompareRange},
	{"txn_nested", txnNested},
	{"txn_reads_its_own_writes", txnReadsOwnWrites},
	{"txn_is_one_revision", txnOneRevision},
	{"txn_of_128_operations", txnLargest},
	{"txn_may_put_what_an_open_ended_delete_covers", txnOpenEndedDelete},
}

func txnCompareAndSwap(s *scope) {
	const writers, rounds = 8, 20
	counter := s.key("counter")
	s.put(counter, "0")
	var all sync.WaitGroup
	errs := make(chan error, writers)
	for range writers {
		all.Go(func() { errs <- increment(s, counter, rounds) })
	}
	all.Wait()
	for range writers {
		ok(<-errs)
	}
	kv := must(s.Get(s.ctx, counter)).Kvs[0]
	same("counter", string(kv.Value), fmt.Sprint(writers*rounds))
	same("version", kv.Version, writers*rounds+1)
}

func increment(s *scope, key string, rounds int) error {
	resp, err := s.Get(s.ctx, key)
	if err != nil {
		return err
	}
	for kv := resp.Kvs[0]; rounds > 0; {
		var n int
		fmt.Sscan(string(kv.Value), &n)
		swap, err := s.Txn(s.ctx).
			If(clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)).
			Then(clientv3.OpPut(key, fmt.Sprint(n+1)), clientv3.OpGet(key)).
			Else(clientv3.OpGet(key)).
			Commit()
		if err != nil {
			return err
		}
		if swap.Succeeded {
			rounds--
		}
		kv = swap.Responses[len(swap.Responses)-1].GetResponseRange().Kvs[0]
	}
	return nil
}

func txnCompares(s *scope) {
	a, missing := s.key("a"), s.key("missing")
	lease := must(s.Grant(s.ctx, 300)).ID
	created := s.put(a, "1")
	mod := s.put(a, "m", clientv3.WithLease(lease))
	holds := func(cmp clientv3.Cmp) bool { return must(s.Txn(s.ctx).If(cmp).Commit()).Succeeded }
	targets := []struct {
		name  string
		cmp   clientv3.Cmp
		below any
		equal any
		above any
	}{
		{"value", clientv3.Value(a), "l", "m", "n"},
		{"version", clientv3.Version(a), 1, 2, 3},
		{"create", clientv3.CreateRevision(a), created - 1, created, created + 1},
		{"mod", clientv3.ModRevision(a), mod - 1, mod, mod + 1},
		{"lease", clientv3.LeaseValue(a), lease - 1, lease, lease + 1},
		{"version of a missing key", clientv3.Version(missing), -1, 0, 1},
		{"mod of a missing key", clientv3.ModRevision(missing), -1, 0, 1},
		{"lease of a missing key", clientv3.LeaseValue(missing), clientv3.LeaseID(-1), clientv3.LeaseID(0), clientv3.LeaseID(1)},
	}
	for _, t := range targets {
		got := ""
		for _, operator := range []string{"=", "!=", ">", "<"} {
			for _, operand := range []any{t.below, t.equal, t.above} {
				got += map[bool]string{true: "1", false: "0"}[holds(clientv3.Compare(t.cmp, operator, operand))]
			}
		}
		same(t.name, got, "010"+"101"+"100"+"001")
	}
	for _, operator := range []string{"=", "!=", ">", "<"} {
		expect(!holds(clientv3.Compare(clientv3.Value(missing), operator, "x")), "the value of a missing key is %s x", operator)
	}
	must(s.Revoke(s.ctx, lease))
}

func txnCompareRange(s *scope) {
	s.put(s.key("a/1"), "v")
	s.put(s.key("a/2"), "v")
	s.put(s.key("a/2"), "v")
	every := func(cmp clientv3.Cmp, operator string, operand any) bool {
		return must(s.Txn(s.ctx).If(clientv3.Compare(cmp, operator, operand).WithPrefix()).Commit()).Succeeded
	}
	expect(every(clientv3.Value(s.key("a/")), "=", "v"), "all values are v")
	expect(every(clientv3.Version(s.key("a/")), ">", 0), "all versions are above 0")
	expect(!every(clientv3.Version(s.key("a/")), "=", 1), "not all versions are 1")
	expect(every(clientv3.Version(s.key("none/")), "=", 0), "an empty range has version 0")
	expect(!every(clientv3.Value(s.key("none/")), "=", ""), "an empty range has no value")
}

// txnNested: compares of every level are judged before the first write.
func txnNested(s *scope) {
	a, b := s.key("a"), s.key("b")
	resp := must(s.Txn(s.ctx).
		If(clientv3.Compare(clientv3.Version(a), "=", 0)).
		Then(
			clientv3.OpPut(a, "outer"),
			clientv3.OpTxn(
				[]clientv3.Cmp{clientv3.Compare(clientv3.Version(a), "=", 0)},
				[]clientv3.Op{clientv3.OpPut(b, "inner"), clientv3.OpGet(a)},
				[]clientv3.Op{clientv3.OpPut(b, "wrong")},
			),
			clientv3.OpGet(b),
		).Commit())
	expect(resp.Succeeded, "the outer compare fails")
	inner := resp.Responses[1].GetResponseTxn()
	expect(inner.Succeeded, "the inner compare saw the outer put")
	same("revision of the inner header", inner.Header.GetRevision(), 0)
	same("inner read of the outer put", string(inner.Responses[1].GetResponseRange().Kvs[0].Value), "outer")
	same("outer read of the inner put", string(resp.Responses[2].GetResponseRange().Kvs[0].Value), "inner")
	same("both keys are of one revision", must(s.Get(s.ctx, a)).Kvs[0].ModRevision, must(s.Get(s.ctx, b)).Kvs[0].ModRevision)
}

func txnReadsOwnWrites(s *scope) {
	a, b := s.key("a"), s.key("b")
	s.put(a, "old")
	resp := must(s.Txn(s.ctx).Then(
		clientv3.OpGet(a),
		clientv3.OpPut(a, "new", clientv3.WithPrevKV()),
		clientv3.OpPut(b, "1"),
		clientv3.OpGet(s.prefix, clientv3.WithPrefix()),
		clientv3.OpDelete(s.key("c"), clientv3.WithRange(s.key("z"))),
		clientv3.OpGet(a),
	).Commit())
	r := resp.Responses
	same("before", string(r[0].GetResponseRange().Kvs[0].Value), "old")
	same("previous", string(r[1].GetResponsePut().PrevKv.Value), "old")
	same("keys after two puts", r[3].GetResponseRange().Count, 2)
	same("deleted", r[4].GetResponseDeleteRange().Deleted, 0)
	after := r[5].GetResponseRange().Kvs[0]
	same("after", string(after.Value), "new")
	same("mod revision seen inside", after.ModRevision, resp.Header.Revision)
}

func txnOneRevision(s *scope) {
	before := s.revision()
	then := func(ops ...clientv3.Op) int64 {
		return must(s.Txn(s.ctx).Then(ops...).Commit()).Header.Revision - before
	}
	same("empty", then(), 0)
	same("only reads", then(clientv3.OpGet(s.key("a"))), 0)
	same("a delete of nothing", then(clientv3.OpDelete(s.key("a"))), 0)
	same("three writes", then(clientv3.OpPut(s.key("a"), "1"), clientv3.OpPut(s.key("b"), "1"), clientv3.OpDelete(s.key("c"))), 1)
	same("a delete of two", then(clientv3.OpDelete(s.prefix, clientv3.WithPrefix())), 2)
}

func txnLargest(s *scope) {
	ops := []clientv3.Op{}
	for i := range 128 {
		ops = append(ops, clientv3.OpPut(s.key(fmt.Sprint(i)), "v"))
	}
	must(s.Txn(s.ctx).Then(ops...).Commit())
	same("keys", must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix())).Count, 128)
}

// txnOpenEndedDelete: etcd's search for duplicate keys takes the end "\x00" for a key below all others, so it finds none.
func txnOpenEndedDelete(s *scope) {
	last := "\xff" + s.prefix
	s.put(last+"a", "1")
	resp := must(s.Txn(s.ctx).Then(clientv3.OpDelete(last, clientv3.WithFromKey()), clientv3.OpPut(last+"b", "2")).Commit())
	same("deleted", resp.Responses[0].GetResponseDeleteRange().Deleted, 1)
	same("keys left", must(s.Get(s.ctx, last, clientv3.WithFromKey())).Count, 1)
	must(s.Delete(s.ctx, last, clientv3.WithFromKey()))
}
