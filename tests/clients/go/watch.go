package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

var watchChecks = []check{
	{"watch_from_now", watchFromNow},
	{"watch_from_a_revision", watchFromRevision},
	{"watch_from_a_future_revision", watchFromFuture},
	{"watch_previous_values", watchPrevKV},
	{"watch_filters", watchFilters},
	{"watch_transaction_is_one_response", watchTxn},
	{"watch_progress_after_all_events", watchProgress},
	{"watch_compacted_start", watchCompacted},
	{"watch_many_on_one_stream", watchMany},
	{"watch_ids_and_cancel", watchIDs},
	{"watch_empty_range_is_refused", watchEmptyRange},
	{"watch_fragments", watchFragments},
	{"watch_whole_when_fragments_are_not_asked_for", watchWhole},
	{"watch_progress_request_on_raw_stream", watchRawProgress},
}

// events reads n events and writes each as "put a 1", with the previous value when there is one.
func (s *scope) events(ch clientv3.WatchChan, n int) []string {
	got := []string{}
	for len(got) < n {
		select {
		case resp, open := <-ch:
			expect(open, "the watch ended after %v", got)
			ok(resp.Err())
			for _, e := range resp.Events {
				got = append(got, s.describe(e))
			}
		case <-s.ctx.Done():
			fail("no more events after %v", got)
		}
	}
	return got
}

func (s *scope) describe(e *clientv3.Event) string {
	words := []string{strings.ToLower(e.Type.String()), strings.TrimPrefix(string(e.Kv.Key), s.prefix)}
	if e.Type == clientv3.EventTypePut {
		words = append(words, string(e.Kv.Value))
	}
	if e.PrevKv != nil {
		words = append(words, "was", string(e.PrevKv.Value))
	}
	return strings.Join(words, " ")
}

func (s *scope) sees(ch clientv3.WatchChan, want ...string) {
	same("events", strings.Join(s.events(ch, len(want)), ", "), strings.Join(want, ", "))
}

func watchFromNow(s *scope) {
	s.put(s.key("a"), "before")
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	created := <-ch
	expect(created.Created, "the first response is not the creation: %v", created)
	same("revision of the creation", created.Header.Revision, s.revision())
	s.put(s.key("a"), "1")
	must(s.Delete(s.ctx, s.key("a")))
	s.sees(ch, "put a 1", "delete a")
}

func watchFromRevision(s *scope) {
	first := s.put(s.key("a"), "1")
	s.put(s.key("a"), "2")
	must(s.Delete(s.ctx, s.key("a")))
	s.put(s.key("b"), "1")
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithRev(first+1))
	s.put(s.key("c"), "1")
	s.sees(ch, "put a 2", "delete a", "put b 1", "put c 1")
	s.sees(s.Watch(s.ctx, s.key("a"), clientv3.WithRev(first)), "put a 1", "put a 2", "delete a")
	s.sees(s.Watch(s.ctx, s.key("b"), clientv3.WithFromKey(), clientv3.WithRev(first)), "put b 1", "put c 1")
}

func watchFromFuture(s *scope) {
	start := s.revision() + 3
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithRev(start), clientv3.WithCreatedNotify())
	<-ch
	for i := range 4 {
		s.put(s.key("a"), fmt.Sprint(i))
	}
	s.sees(ch, "put a 2", "put a 3")
}

func watchPrevKV(s *scope) {
	first := s.put(s.key("a"), "1")
	live := s.Watch(s.ctx, s.key("a"), clientv3.WithPrevKV(), clientv3.WithRev(first))
	s.put(s.key("a"), "2")
	must(s.Delete(s.ctx, s.key("a")))
	s.put(s.key("a"), "3")
	want := []string{"put a 1", "put a 2 was 1", "delete a was 2", "put a 3"}
	s.sees(live, want...)
	s.sees(s.Watch(s.ctx, s.key("a"), clientv3.WithPrevKV(), clientv3.WithRev(first)), want...)
}

func watchFilters(s *scope) {
	first := s.put(s.key("a"), "1")
	puts := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithFilterDelete(), clientv3.WithRev(first))
	deletes := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithFilterPut(), clientv3.WithRev(first))
	must(s.Delete(s.ctx, s.key("a")))
	s.put(s.key("b"), "1")
	must(s.Delete(s.ctx, s.key("b")))
	s.put(s.key("c"), "1")
	s.sees(puts, "put a 1", "put b 1", "put c 1")
	s.sees(deletes, "delete a", "delete b")
}

func watchTxn(s *scope) {
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-ch
	ops := []clientv3.Op{clientv3.OpPut(s.key("z"), "first")}
	for i := range 100 {
		ops = append(ops, clientv3.OpPut(s.key(fmt.Sprintf("%03d", 99-i)), "v"))
	}
	revision := must(s.Txn(s.ctx).Then(ops...).Commit()).Header.Revision
	resp := <-ch
	same("events in the response", len(resp.Events), 101)
	same("events keep the order of the operations", s.describe(resp.Events[0])+", "+s.describe(resp.Events[1]), "put z first, put 099 v")
	same("revision of the header", resp.Header.Revision, revision)
	for _, e := range resp.Events {
		same("revision of an event", e.Kv.ModRevision, revision)
	}
}

func watchProgress(s *scope) {
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify())
	<-ch
	go func() {
		for i := range 100 {
			s.Put(s.ctx, s.key("a"), fmt.Sprint(i))
		}
	}()
	seen := int64(0)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for progress := 0; progress < 3; {
		select {
		case resp := <-ch:
			ok(resp.Err())
			if resp.IsProgressNotify() {
				progress += int(boolToInt(len(resp.Events) == 0 && seen > 0))
				same("events before the progress", must(s.Get(s.ctx, s.key("a"), clientv3.WithRev(resp.Header.Revision))).Kvs[0].ModRevision, seen)
			}
			for _, e := range resp.Events {
				seen = e.Kv.ModRevision
			}
		case <-poll.C:
			ok(s.RequestProgress(s.ctx))
		case <-s.ctx.Done():
			fail("no progress")
		}
	}
}

func watchCompacted(s *scope) {
	first := s.put(s.key("a"), "1")
	second := s.put(s.key("a"), "2")
	s.put(s.key("a"), "3")
	must(s.Compact(s.ctx, second, clientv3.WithCompactPhysical()))
	resp := <-s.Watch(s.ctx, s.key("a"), clientv3.WithRev(first))
	same("error", resp.Err(), error(rpctypes.ErrCompacted))
	same("compact revision", resp.CompactRevision, second)
	s.sees(s.Watch(s.ctx, s.key("a"), clientv3.WithRev(second)), "put a 2", "put a 3")

	w := s.rawWatch()
	w.create(&pb.WatchCreateRequest{Key: []byte(s.key("a")), WatchId: 5, StartRevision: first})
	same("first answer on the wire", summary(w.recv()), `id 5 created true canceled false ""`)
	canceled := w.recv()
	same("second answer on the wire", summary(canceled), `id 5 created false canceled true ""`)
	same("revision in its header", canceled.Header.Revision, 0)
	w.create(&pb.WatchCreateRequest{Key: []byte(s.key("a")), StartRevision: -1})
	same("answer to a negative revision", summary(w.recv()), `id -1 created true canceled true "etcdserver: mvcc: required revision has been compacted"`)
}

func watchMany(s *scope) {
	const watches = 1000
	channels := []clientv3.WatchChan{}
	for i := range watches {
		ch := s.Watch(s.ctx, s.key(fmt.Sprintf("%03d", i)), clientv3.WithCreatedNotify())
		<-ch
		channels = append(channels, ch)
	}
	for i := range watches {
		s.put(s.key(fmt.Sprintf("%03d", i)), "v")
	}
	for i, ch := range channels {
		s.sees(ch, fmt.Sprintf("put %03d v", i))
	}
}

// A rawWatch is the stream itself, for what clientv3 hides.
type rawWatch struct {
	s      *scope
	stream pb.Watch_WatchClient
}

func (s *scope) rawWatch() rawWatch {
	return rawWatch{s, must(pb.NewWatchClient(s.ActiveConnection()).Watch(s.ctx, grpc.MaxCallRecvMsgSize(64<<20)))}
}

func (w rawWatch) create(request *pb.WatchCreateRequest) {
	ok(w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}}))
}

func (w rawWatch) recv() *pb.WatchResponse { return must(w.stream.Recv()) }

func watchIDs(s *scope) {
	w := s.rawWatch()
	key := []byte(s.key("a"))
	w.create(&pb.WatchCreateRequest{Key: key})
	w.create(&pb.WatchCreateRequest{Key: key, WatchId: 7})
	w.create(&pb.WatchCreateRequest{Key: key, WatchId: 7})
	w.create(&pb.WatchCreateRequest{Key: key})
	for _, want := range []string{
		`id 0 created true canceled false ""`,
		`id 7 created true canceled false ""`,
		`id -1 created true canceled true "mvcc: duplicate watch ID provided on the WatchStream"`,
		`id 1 created true canceled false ""`,
	} {
		same("answer to a create", summary(w.recv()), want)
	}
	cancel := func(id int64) {
		ok(w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}))
	}
	cancel(99)
	cancel(7)
	same("answer to a cancel", summary(w.recv()), `id 7 created false canceled true ""`)
	s.put(s.key("a"), "1")
	ids := map[int64]int{}
	for range 2 {
		resp := w.recv()
		ids[resp.WatchId] += len(resp.Events)
	}
	same("events by watch", fmt.Sprint(ids), "map[0:1 1:1]")
}

func summary(r *pb.WatchResponse) string {
	return fmt.Sprintf("id %d created %v canceled %v %q", r.WatchId, r.Created, r.Canceled, r.CancelReason)
}

func watchEmptyRange(s *scope) {
	w := s.rawWatch()
	w.create(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a")})
	same("inverted", summary(w.recv()), `id -1 created true canceled true "mvcc: watcher range is empty"`)
	w.create(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("b")})
	same("empty", summary(w.recv()), `id -1 created true canceled true "mvcc: watcher range is empty"`)
}

// overTwoMegabytes writes one revision whose events, with their previous values, pass the size at which etcd splits a response.
func overTwoMegabytes(s *scope) (first int64, keys int) {
	value := strings.Repeat("x", 100<<10)
	ops := []clientv3.Op{}
	for i := range 14 {
		ops = append(ops, clientv3.OpPut(s.key(fmt.Sprintf("%02d", i)), value))
	}
	must(s.Txn(s.ctx).Then(ops...).Commit())
	return must(s.Txn(s.ctx).Then(ops...).Commit()).Header.Revision, len(ops)
}

func watchFragments(s *scope) {
	revision, keys := overTwoMegabytes(s)
	w := s.rawWatch()
	w.create(&pb.WatchCreateRequest{Key: []byte(s.prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(s.prefix)), PrevKv: true, Fragment: true, StartRevision: revision})
	expect(w.recv().Created, "the first response is not the creation")
	pieces, events := 0, 0
	for more := true; more; pieces++ {
		resp := w.recv()
		expect(proto.Size(resp) < 2<<20+512, "piece %d has %d bytes", pieces, proto.Size(resp))
		for _, e := range resp.Events {
			same("key", string(e.Kv.Key), s.key(fmt.Sprintf("%02d", events)))
			expect(bytes.Equal(e.Kv.Value, e.PrevKv.Value), "the previous value differs")
			events++
		}
		more = resp.Fragment
	}
	same("events", events, keys)
	same("pieces", pieces, 2)
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithFragment(), clientv3.WithRev(revision))
	same("events of the joined response", len((<-ch).Events), keys)
}

func watchWhole(s *scope) {
	revision, keys := overTwoMegabytes(s)
	ch := s.Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithRev(revision))
	same("events of the response", len((<-ch).Events), keys)
}

func watchRawProgress(s *scope) {
	w := s.rawWatch()
	ask := func() {
		ok(w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}))
	}
	w.create(&pb.WatchCreateRequest{Key: []byte(s.key("a"))})
	created := w.recv()
	revision := s.put(s.key("elsewhere"), "1")
	answers := make(chan *pb.WatchResponse)
	go func() {
		resp, err := w.stream.Recv()
		if err == nil {
			answers <- resp
		}
	}()
	for {
		ask()
		select {
		case resp := <-answers:
			same("answer", fmt.Sprintf("%s %d events", summary(resp), len(resp.Events)), `id -1 created false canceled false "" 0 events`)
			expect(resp.Header.Revision >= revision-1 && resp.Header.Revision >= created.Header.Revision, "progress is at %d, a put was at %d", resp.Header.Revision, revision)
			return
		case <-time.After(100 * time.Millisecond):
		case <-s.ctx.Done():
			fail("no answer")
		}
	}
}

func boolToInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
