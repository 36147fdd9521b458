package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var leaseChecks = []check{
	{"lease_grant_and_time_to_live", leaseGrant},
	{"lease_revoke_deletes_keys_in_one_revision", leaseRevoke},
	{"lease_expiry_deletes_keys_in_one_revision", leaseExpiry},
	{"lease_keep_alive_holds_it", leaseKeepAlive},
	{"lease_keep_alive_of_a_missing_lease_answers_zero", leaseKeepAliveMissing},
	{"lease_list_is_ordered_by_expiry", leaseList},
}

func (s *scope) grant(id, ttl int64) *pb.LeaseGrantResponse {
	return must(pb.NewLeaseClient(s.ActiveConnection()).LeaseGrant(s.ctx, &pb.LeaseGrantRequest{ID: id, TTL: ttl}))
}

func leaseGrant(s *scope) {
	id := time.Now().UnixNano()
	same("id asked for", s.grant(id, 300).ID, id)
	s.put(s.key("b"), "1", clientv3.WithLease(clientv3.LeaseID(id)))
	s.put(s.key("a"), "1", clientv3.WithLease(clientv3.LeaseID(id)))
	left := must(s.TimeToLive(s.ctx, clientv3.LeaseID(id), clientv3.WithAttachedKeys()))
	expect(left.TTL <= 300 && left.TTL > 280, "%d s are left of 300", left.TTL)
	keys := []string{}
	for _, key := range left.Keys {
		keys = append(keys, strings.TrimPrefix(string(key), s.prefix))
	}
	slices.Sort(keys)
	same("attached keys", strings.Join(keys, " "), "a b")
	same("keys when not asked for", len(must(s.TimeToLive(s.ctx, clientv3.LeaseID(id))).Keys), 0)
	must(s.Revoke(s.ctx, clientv3.LeaseID(id)))
	gone := must(s.TimeToLive(s.ctx, clientv3.LeaseID(id)))
	same("TTL and granted TTL of a revoked lease", fmt.Sprint(gone.TTL, gone.GrantedTTL), "-1 0")
	for _, ttl := range []int64{-1, 0, 1, 2} {
		short := s.grant(0, ttl)
		same("TTL of a short lease", short.TTL, 2)
		expect(short.ID > 0, "the server's own id is %d", short.ID)
	}
}

func leaseRevoke(s *scope) {
	lease := must(s.Grant(s.ctx, 300)).ID
	for _, name := range []string{"c", "a", "b"} {
		s.put(s.key(name), "1", clientv3.WithLease(lease))
	}
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	<-ch
	before := s.revision()
	same("revision of the revoke", must(s.Revoke(s.ctx, lease)).Header.Revision, before+1)
	s.deletedTogether(ch, "delete a was 1, delete b was 1, delete c was 1")
	empty := must(s.Grant(s.ctx, 300)).ID
	same("revision after revoking an empty lease", must(s.Revoke(s.ctx, empty)).Header.Revision, before+1)
}

func (s *scope) deletedTogether(ch clientv3.WatchChan, want string) {
	select {
	case resp := <-ch:
		got := []string{}
		for _, e := range resp.Events {
			got = append(got, s.describe(e))
			same("revision of a delete", e.Kv.ModRevision, resp.Events[0].Kv.ModRevision)
		}
		same("deletes", strings.Join(got, ", "), want)
	case <-s.ctx.Done():
		fail("nothing is deleted")
	}
}

func leaseExpiry(s *scope) {
	lease := must(s.Grant(s.ctx, 2)).ID
	kept := must(s.Grant(s.ctx, 300)).ID
	s.put(s.key("b"), "1", clientv3.WithLease(lease))
	s.put(s.key("a"), "1", clientv3.WithLease(lease))
	s.put(s.key("moved"), "1", clientv3.WithLease(lease))
	s.put(s.key("moved"), "2", clientv3.WithLease(kept))
	granted := time.Now()
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-ch
	s.deletedTogether(ch, "delete a, delete b")
	took := time.Since(granted)
	expect(took > 1500*time.Millisecond && took < 10*time.Second, "a lease of 2 s expired after %v", took)
	same("TTL", must(s.TimeToLive(s.ctx, lease)).TTL, -1)
	same("keys left", must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix())).Count, 1)
	must(s.Revoke(s.ctx, kept))
}

func leaseKeepAlive(s *scope) {
	lease := must(s.Grant(s.ctx, 3)).ID
	s.put(s.key("a"), "1", clientv3.WithLease(lease))
	alive := must(s.KeepAlive(s.ctx, lease))
	for start := time.Now(); time.Since(start) < 6*time.Second; {
		resp := <-alive
		expect(resp != nil, "the lease is lost while kept alive")
		same("TTL", resp.TTL, 3)
	}
	same("keys", must(s.Get(s.ctx, s.key("a"))).Count, 1)
	same("TTL of one keep-alive", must(s.KeepAliveOnce(s.ctx, lease)).TTL, 3)
	must(s.Revoke(s.ctx, lease))
}

func leaseKeepAliveMissing(s *scope) {
	stream := must(pb.NewLeaseClient(s.ActiveConnection()).LeaseKeepAlive(s.ctx))
	lease := s.grant(0, 300).ID
	for _, id := range []int64{1, lease, 0, 1} {
		ok(stream.Send(&pb.LeaseKeepAliveRequest{ID: id}))
		resp := must(stream.Recv())
		same("id", resp.ID, id)
		same("TTL", resp.TTL, 300*boolToInt(id == lease))
	}
	must(s.Revoke(s.ctx, clientv3.LeaseID(lease)))
}

func leaseList(s *scope) {
	ids := map[int64]string{s.grant(0, 5000).ID: "long", s.grant(0, 3000).ID: "short", s.grant(0, 4000).ID: "middle"}
	order := []string{}
	for _, lease := range must(s.Leases(s.ctx)).Leases {
		if name := ids[int64(lease.ID)]; name != "" {
			order = append(order, name)
		}
	}
	same("order", strings.Join(order, " "), "short middle long")
	for id := range ids {
		must(s.Revoke(s.ctx, clientv3.LeaseID(id)))
	}
}
