package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

const (
	operations  = 1000
	compactions = 3
	revisions   = 20
	leases      = 8
)

// hashkv writes the same to two fresh stores and compares every answer, and the hashes of their histories.
func hashkv(args []string) int {
	flags := flag.NewFlagSet("hashkv", flag.ExitOnError)
	a := flags.String("a", "", "client URL of the first store")
	b := flags.String("b", "", "client URL of the second store")
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano()), "replays a run")
	flags.Parse(args)

	compared, err := compareHashes(*a, *b, *seed)
	again := fmt.Sprintf("check hashkv --seed %d", *seed)
	if err != nil {
		fmt.Printf("FAIL hashkv: %v\n  again on fresh stores: %s\n", err, again)
		return 1
	}
	fmt.Printf("ok hashkv: %d operations answered alike, %d hashes equal (%s)\n", operations, compared, again)
	return 0
}

func compareHashes(a, b string, seed uint64) (compared int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	defer func() {
		if broken := recover(); broken != nil {
			f, ours := broken.(failure)
			if !ours {
				panic(broken)
			}
			err = f
		}
	}()
	p := &pair{ctx: ctx, rng: rand.New(rand.NewPCG(seed, 0)), left: must(connect(a)), right: must(connect(b))}
	defer p.left.Close()
	defer p.right.Close()
	p.run()
	return p.compared, nil
}

// pair is two stores that should never differ.
type pair struct {
	ctx         context.Context
	rng         *rand.Rand
	left, right *clientv3.Client
	revision    int64
	compacted   []int64
	compared    int
}

func (p *pair) run() {
	p.both("first read", func(c *clientv3.Client) (proto.Message, error) {
		return pb.NewKVClient(c.ActiveConnection()).Range(p.ctx, &pb.RangeRequest{Key: []byte("k"), CountOnly: true})
	})
	for id := range leases {
		p.grant(int64(1000 + id))
	}
	for i := range operations {
		p.operation(i)
		if (i+1)%(operations/(compactions+1)) == 0 {
			p.hashes()
			if len(p.compacted) < compactions {
				p.compact()
				p.hashes()
			}
		}
	}
}

// both sends one request to both stores; the answers must be equal but for who gave them.
func (p *pair) both(what string, send func(*clientv3.Client) (proto.Message, error)) {
	left, leftErr := send(p.left)
	right, rightErr := send(p.right)
	same(what+": error", fmt.Sprint(rightErr), fmt.Sprint(leftErr))
	if leftErr != nil {
		return
	}
	p.revision = header(left).GetRevision()
	anonymous(left)
	anonymous(right)
	expect(proto.Equal(left, right), "%s: got %s, want %s", what, prototext.Format(right), prototext.Format(left))
}

func header(m proto.Message) *pb.ResponseHeader {
	return m.(interface{ GetHeader() *pb.ResponseHeader }).GetHeader()
}

func anonymous(m proto.Message) {
	h := header(m)
	h.ClusterId, h.MemberId, h.RaftTerm = 0, 0, 0
}

func (p *pair) grant(id int64) {
	p.both("grant", func(c *clientv3.Client) (proto.Message, error) {
		return pb.NewLeaseClient(c.ActiveConnection()).LeaseGrant(p.ctx, &pb.LeaseGrantRequest{ID: id, TTL: 100_000})
	})
}

func (p *pair) revoke(id int64) {
	p.both("revoke", func(c *clientv3.Client) (proto.Message, error) {
		return pb.NewLeaseClient(c.ActiveConnection()).LeaseRevoke(p.ctx, &pb.LeaseRevokeRequest{ID: id})
	})
}

func (p *pair) operation(i int) {
	switch dice := p.rng.IntN(100); {
	case dice < 2:
		id := p.lease()
		p.revoke(id)
		p.grant(id)
	case dice < 25:
		txn := p.txn(1)
		p.both(fmt.Sprintf("operation %d", i), func(c *clientv3.Client) (proto.Message, error) {
			return pb.NewKVClient(c.ActiveConnection()).Txn(p.ctx, txn)
		})
	default:
		txn := &pb.TxnRequest{Success: ops(p.write())}
		p.both(fmt.Sprintf("operation %d", i), func(c *clientv3.Client) (proto.Message, error) {
			return single(p.ctx, pb.NewKVClient(c.ActiveConnection()), txn.Success[0])
		})
	}
}

// single sends an operation by its own RPC.
func single(ctx context.Context, kv pb.KVClient, op *pb.RequestOp) (proto.Message, error) {
	switch request := op.Request.(type) {
	case *pb.RequestOp_RequestPut:
		return kv.Put(ctx, request.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		return kv.DeleteRange(ctx, request.RequestDeleteRange)
	default:
		return kv.Range(ctx, op.GetRequestRange())
	}
}

func (p *pair) txn(depth int) *pb.TxnRequest {
	txn := &pb.TxnRequest{Compare: []*pb.Compare{{
		Key: p.key(), Target: pb.Compare_VERSION, Result: pb.Compare_GREATER, TargetUnion: &pb.Compare_Version{Version: p.rng.Int64N(3)},
	}}}
	for range 1 + p.rng.IntN(4) {
		txn.Success = append(txn.Success, p.write(), p.read())
		txn.Failure = append(txn.Failure, p.write())
	}
	if depth > 0 && p.rng.IntN(3) == 0 {
		txn.Success = append(txn.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: p.txn(depth - 1)}})
	}
	return txn
}

func (p *pair) write() *pb.RequestOp {
	switch dice := p.rng.IntN(100); {
	case dice < 70:
		put := &pb.PutRequest{Key: p.key(), Value: make([]byte, p.rng.IntN(60)), PrevKv: p.rng.IntN(4) == 0}
		for i := range put.Value {
			put.Value[i] = byte(p.rng.Uint32())
		}
		if p.rng.IntN(4) == 0 {
			put.Lease = p.lease()
		}
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}}
	case dice < 88:
		return deletion(&pb.DeleteRangeRequest{Key: p.key(), PrevKv: true})
	default:
		from := p.key()
		return deletion(&pb.DeleteRangeRequest{Key: from, RangeEnd: append(slices.Clone(from[:len(from)-1]), from[len(from)-1]+byte(1+p.rng.IntN(4))), PrevKv: p.rng.IntN(2) == 0})
	}
}

func deletion(request *pb.DeleteRangeRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: request}}
}

func (p *pair) read() *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: p.key(), RangeEnd: []byte("l"), Limit: p.rng.Int64N(4)}}}
}

func (p *pair) key() []byte { return fmt.Appendf(nil, "k%d/%02d", p.rng.IntN(3), p.rng.IntN(20)) }

func (p *pair) lease() int64 { return 1000 + p.rng.Int64N(leases) }

// compact goes to a random revision after the last one and waits until it is done.
func (p *pair) compact() {
	from := p.floor()
	at := from + 1 + p.rng.Int64N(p.revision-from)
	p.both("compact", func(c *clientv3.Client) (proto.Message, error) {
		return pb.NewKVClient(c.ActiveConnection()).Compact(p.ctx, &pb.CompactionRequest{Revision: at, Physical: true})
	})
	p.compacted = append(p.compacted, at)
}

func (p *pair) floor() int64 {
	if len(p.compacted) == 0 {
		return 1
	}
	return p.compacted[len(p.compacted)-1]
}

// hashes compares the newest revision and random ones that are readable.
// A past compaction's own revision is left out: there etcd may answer from a cache made before it compacted.
func (p *pair) hashes() {
	asked := []int64{0}
	for len(asked) < 1+revisions && p.revision > p.floor() {
		asked = append(asked, p.floor()+1+p.rng.Int64N(p.revision-p.floor()))
	}
	for _, revision := range asked {
		if slices.Contains(p.compacted, revision) {
			continue
		}
		what := fmt.Sprintf("hash at %d of %d, compacted %v", revision, p.revision, p.compacted)
		now := p.revision
		p.both(what, func(c *clientv3.Client) (proto.Message, error) {
			return pb.NewMaintenanceClient(c.ActiveConnection()).HashKV(p.ctx, &pb.HashKVRequest{Revision: revision})
		})
		same("revision in the header of a hash", p.revision, now)
		p.compared++
	}
	fmt.Fprintf(os.Stderr, "hashkv: revision %d, compacted %v, %d hashes\n", p.revision, p.compacted, p.compared)
}
