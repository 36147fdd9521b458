package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	errorChecks      = []check{{"errors_have_etcds_codes_and_texts", errorTexts}, {"errors_leave_no_trace", errorsLeaveNoTrace}}
	compactionChecks = []check{{"compaction_errors", compactionErrors}, {"compaction_keeps_what_is_live", compactionKeeps}}
	sizeChecks       = []check{{"size_of_a_request_just_under_the_limit", sizeUnder}, {"size_of_a_request_over_the_limit", sizeOver}, {"size_of_a_large_answer", sizeAnswer}}
	clusterChecks    = []check{{"cluster_member_list_and_status", clusterMembers}}
)

// An errorCase is a request and the status that etcd answers, read off the wire: clients look errors up by code and text.
type errorCase struct {
	name string
	call func(*raw) error
	want error
}

// raw is the generated stubs, without what clientv3 does to requests and errors.
type raw struct {
	ctx     context.Context
	kv      pb.KVClient
	lease   pb.LeaseClient
	cluster pb.ClusterClient
	upkeep  pb.MaintenanceClient
}

func (s *scope) raw() *raw {
	conn := s.ActiveConnection()
	return &raw{s.ctx, pb.NewKVClient(conn), pb.NewLeaseClient(conn), pb.NewClusterClient(conn), pb.NewMaintenanceClient(conn)}
}

func (r *raw) put(p *pb.PutRequest) error { return second(r.kv.Put(r.ctx, p)) }

func (r *raw) get(p *pb.RangeRequest) error { return second(r.kv.Range(r.ctx, p)) }

func (r *raw) txn(t *pb.TxnRequest) error { return second(r.kv.Txn(r.ctx, t)) }

func (r *raw) then(ops ...*pb.RequestOp) error { return r.txn(&pb.TxnRequest{Success: ops}) }

func second[T any](_ T, err error) error { return err }

func opPut(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key)}}}
}

func opDelete(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

func opRange(key string, revision int64) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key), Revision: revision}}}
}

func opTxn(success, failure []*pb.RequestOp) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: success, Failure: failure}}}
}

func ops(list ...*pb.RequestOp) []*pb.RequestOp { return list }

func manyPuts(n int) []*pb.RequestOp {
	list := []*pb.RequestOp{}
	for i := range n {
		list = append(list, opPut(fmt.Sprint(i)))
	}
	return list
}

var errorCases = []errorCase{
	{"range of an empty key", func(r *raw) error { return r.get(&pb.RangeRequest{}) }, rpctypes.ErrGRPCEmptyKey},
	{"range with an unknown sort order", func(r *raw) error { return r.get(&pb.RangeRequest{Key: []byte("a"), SortOrder: 9}) }, rpctypes.ErrGRPCInvalidSortOption},
	{"range with an unknown sort target", func(r *raw) error { return r.get(&pb.RangeRequest{Key: []byte("a"), SortTarget: 9}) }, rpctypes.ErrGRPCInvalidSortOption},
	{"range of a future revision", func(r *raw) error { return r.get(&pb.RangeRequest{Key: []byte("a"), Revision: math.MaxInt64}) }, rpctypes.ErrGRPCFutureRev},
	{"put of an empty key", func(r *raw) error { return r.put(&pb.PutRequest{}) }, rpctypes.ErrGRPCEmptyKey},
	{"put on a missing lease", func(r *raw) error { return r.put(&pb.PutRequest{Key: []byte("a"), Lease: 1}) }, rpctypes.ErrGRPCLeaseNotFound},
	{"put that ignores a value it has", func(r *raw) error {
		return r.put(&pb.PutRequest{Key: []byte("a"), Value: []byte("1"), IgnoreValue: true})
	}, rpctypes.ErrGRPCValueProvided},
	{"put that ignores a lease it has", func(r *raw) error { return r.put(&pb.PutRequest{Key: []byte("a"), Lease: 1, IgnoreLease: true}) }, rpctypes.ErrGRPCLeaseProvided},
	{"put that ignores the value of a missing key", func(r *raw) error { return r.put(&pb.PutRequest{Key: []byte("no such key"), IgnoreValue: true}) }, rpctypes.ErrGRPCKeyNotFound},
	{"put that ignores the lease of a missing key", func(r *raw) error { return r.put(&pb.PutRequest{Key: []byte("no such key"), IgnoreLease: true}) }, rpctypes.ErrGRPCKeyNotFound},
	{"delete of an empty key", func(r *raw) error { return second(r.kv.DeleteRange(r.ctx, &pb.DeleteRangeRequest{})) }, rpctypes.ErrGRPCEmptyKey},
	{"txn that puts a key twice", func(r *raw) error { return r.then(opPut("a"), opPut("a")) }, rpctypes.ErrGRPCDuplicateKey},
	{"txn that puts what it deletes", func(r *raw) error { return r.then(opPut("b"), opDelete("a", "c")) }, rpctypes.ErrGRPCDuplicateKey},
	{"txn that deletes what it puts", func(r *raw) error { return r.then(opDelete("a", "c"), opPut("b")) }, rpctypes.ErrGRPCDuplicateKey},
	{"txn that puts in a nested one again", func(r *raw) error { return r.then(opPut("a"), opTxn(nil, ops(opPut("a")))) }, rpctypes.ErrGRPCDuplicateKey},
	{"txn with duplicates in the branch not taken", func(r *raw) error { return r.txn(&pb.TxnRequest{Failure: ops(opPut("a"), opPut("a"))}) }, rpctypes.ErrGRPCDuplicateKey},
	{"txn with an empty key", func(r *raw) error { return r.then(opPut("")) }, rpctypes.ErrGRPCEmptyKey},
	{"txn that compares an empty key", func(r *raw) error { return r.txn(&pb.TxnRequest{Compare: []*pb.Compare{{}}}) }, rpctypes.ErrGRPCEmptyKey},
	{"txn with an empty operation", func(r *raw) error { return r.then(&pb.RequestOp{}) }, rpctypes.ErrGRPCKeyNotFound},
	{"txn of 129 operations", func(r *raw) error { return r.then(manyPuts(129)...) }, rpctypes.ErrGRPCTooManyOps},
	{"txn of 128 operations and a nested one", func(r *raw) error { return r.then(append(manyPuts(127), opTxn(manyPuts(2), nil))...) }, rpctypes.ErrGRPCTooManyOps},
	{"txn that reads a future revision", func(r *raw) error { return r.then(opRange("a", math.MaxInt64)) }, rpctypes.ErrGRPCFutureRev},
	{"txn that writes and reads a future revision", func(r *raw) error { return r.then(opPut("a"), opRange("a", math.MaxInt64)) }, rpctypes.ErrGRPCFutureRev},
	{"txn on a missing lease", func(r *raw) error {
		return r.then(&pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("a"), Lease: 1}}})
	}, rpctypes.ErrGRPCLeaseNotFound},
	{"lease revoke of a missing lease", func(r *raw) error { return second(r.lease.LeaseRevoke(r.ctx, &pb.LeaseRevokeRequest{ID: 1})) }, rpctypes.ErrGRPCLeaseNotFound},
	{"lease of too long a TTL", func(r *raw) error {
		return second(r.lease.LeaseGrant(r.ctx, &pb.LeaseGrantRequest{TTL: 9_000_000_001}))
	}, rpctypes.ErrGRPCLeaseTTLTooLarge},
	{"lease that exists", func(r *raw) error {
		id := time.Now().UnixNano()
		defer r.lease.LeaseRevoke(r.ctx, &pb.LeaseRevokeRequest{ID: id})
		ok(second(r.lease.LeaseGrant(r.ctx, &pb.LeaseGrantRequest{ID: id, TTL: 60})))
		return second(r.lease.LeaseGrant(r.ctx, &pb.LeaseGrantRequest{ID: id, TTL: 60}))
	}, rpctypes.ErrGRPCLeaseExist},
	{"compaction of a future revision", func(r *raw) error { return second(r.kv.Compact(r.ctx, &pb.CompactionRequest{Revision: math.MaxInt64})) }, rpctypes.ErrGRPCFutureRev},
	{"hash of a future revision", func(r *raw) error { return second(r.upkeep.HashKV(r.ctx, &pb.HashKVRequest{Revision: math.MaxInt64})) }, rpctypes.ErrGRPCFutureRev},
	{"request over the limit", func(r *raw) error { return r.put(&pb.PutRequest{Key: []byte("a"), Value: make([]byte, 1572864)}) }, rpctypes.ErrGRPCRequestTooLarge},
}

func errorTexts(s *scope) {
	r := s.raw()
	wrong := []string{}
	for _, c := range errorCases {
		got, want := status.Convert(c.call(r)), status.Convert(c.want)
		if got.Code() != want.Code() || got.Message() != want.Message() {
			wrong = append(wrong, fmt.Sprintf("%s: got %v %q, want %v %q", c.name, got.Code(), got.Message(), want.Code(), want.Message()))
		}
	}
	expect(len(wrong) == 0, "%s", strings.Join(wrong, "\n  "))
}

func errorsLeaveNoTrace(s *scope) {
	before := s.revision()
	for _, c := range errorCases {
		expect(c.call(s.raw()) != nil, "%s succeeds", c.name)
	}
	same("revision", s.revision(), before)
}

func compactionErrors(s *scope) {
	revision := s.put(s.key("a"), "1")
	s.put(s.key("a"), "2")
	must(s.Compact(s.ctx, revision))
	same("compacted again", second(s.Compact(s.ctx, revision)), error(rpctypes.ErrCompacted))
	same("compacted before", second(s.Compact(s.ctx, 0)), error(rpctypes.ErrCompacted))
	same("compacted beyond", second(s.Compact(s.ctx, s.revision()+1)), error(rpctypes.ErrFutureRev))
	same("read before", second(s.Get(s.ctx, s.key("a"), clientv3.WithRev(revision-1))), error(rpctypes.ErrCompacted))
	same("txn read before", second(s.Txn(s.ctx).Then(clientv3.OpGet(s.key("a"), clientv3.WithRev(revision-1))).Commit()), error(rpctypes.ErrCompacted))
	same("hash before", second(s.HashKV(s.ctx, s.endpoint, revision-1)), error(rpctypes.ErrCompacted))
	same("read at it", string(must(s.Get(s.ctx, s.key("a"), clientv3.WithRev(revision))).Kvs[0].Value), "1")
}

func compactionKeeps(s *scope) {
	for i := range 300 {
		s.put(s.key(fmt.Sprint("k", i%10)), fmt.Sprint(i))
	}
	must(s.Delete(s.ctx, s.key("k3")))
	at := s.revision()
	s.put(s.key("k3"), "again")
	must(s.Compact(s.ctx, at, clientv3.WithCompactPhysical()))
	old := must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithRev(at)))
	same("keys at the compacted revision", old.Count, 9)
	for _, kv := range old.Kvs {
		same("version", kv.Version, 30)
	}
	same("keys now", must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix())).Count, 10)
}

const requestLimit = 1536 << 10

func sizeUnder(s *scope) {
	value := strings.Repeat("x", requestLimit-512)
	s.put(s.key("a"), value)
	s.put(s.key("b"), value)
	expect(string(must(s.Get(s.ctx, s.key("a"))).Kvs[0].Value) == value, "the value differs")
}

func sizeOver(s *scope) {
	err := second(s.Put(s.ctx, s.key("a"), strings.Repeat("x", requestLimit)))
	same("over the request limit", err, error(rpctypes.ErrRequestTooLarge))
	// Past the limit of a gRPC message it is the transport that refuses, in words of its own.
	err = second(s.Put(s.ctx, s.key("a"), strings.Repeat("x", 10<<20)))
	var refused rpctypes.EtcdError
	code := status.Code(err)
	if errors.As(err, &refused) {
		code = refused.Code()
	}
	same("code over the message limit", code, codes.ResourceExhausted)
	same("keys", must(s.Get(s.ctx, s.key("a"))).Count, 0)
	s.put(s.key("a"), "the connection still works")
}

func sizeAnswer(s *scope) {
	for i := range 12 {
		s.put(s.key(fmt.Sprint(i)), strings.Repeat("x", 1<<20))
	}
	resp := must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix()))
	same("keys", resp.Count, 12)
	_, err := s.raw().kv.Range(s.ctx, &pb.RangeRequest{Key: []byte(s.prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(s.prefix))}, grpc.MaxCallRecvMsgSize(1<<20))
	same("code when the client takes less", status.Code(err), codes.ResourceExhausted)
	must(s.Delete(s.ctx, s.prefix, clientv3.WithPrefix()))
}

func clusterMembers(s *scope) {
	members := must(s.MemberList(s.ctx))
	same("revision in the header", members.Header.Revision, 0)
	same("members", len(members.Members), 1)
	me := members.Members[0]
	state := must(s.Status(s.ctx, s.endpoint))
	same("leader", state.Leader, me.ID)
	same("member id in the header", state.Header.MemberId, me.ID)
	same("revision", state.Header.Revision, s.revision())
	same("learner", state.IsLearner || me.IsLearner, false)
	expect(len(me.ClientURLs) == 1 && me.ClientURLs[0] == s.endpoint, "client URLs are %v", me.ClientURLs)
	expect(state.DbSize >= state.DbSizeInUse && state.DbSizeInUse > 0, "sizes are %d and %d", state.DbSize, state.DbSizeInUse)
	same("alarms", len(must(s.AlarmList(s.ctx)).Alarms), 0)
	must(s.Defragment(s.ctx, s.endpoint))
}
