// Command check drives a server with etcd's Go client and says what does not behave as etcd does.
//
//	check --endpoint http://127.0.0.1:2379 [--only name]
//	check hashkv --a http://… --b http://… [--seed 7]     two fresh stores, the same writes, the same hashes
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const checkTimeout = 60 * time.Second

// A check is a sentence that is true of etcd and the code that finds out whether it is true here.
type check struct {
	name string
	run  func(*scope)
}

var groups = [][]check{kvChecks, txnChecks, sizeChecks, watchChecks, resumeChecks, leaseChecks, concurrencyChecks, errorChecks, compactionChecks, clusterChecks}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "hashkv" {
		os.Exit(hashkv(os.Args[2:]))
	}
	endpoint := flag.String("endpoint", "http://127.0.0.1:2379", "client URL of the server")
	only := flag.String("only", "", "run checks whose name contains this")
	flag.Parse()

	passed, failed := 0, 0
	for _, group := range groups {
		for _, c := range group {
			if !strings.Contains(c.name, *only) {
				continue
			}
			if err := runOne(c, *endpoint); err != nil {
				failed++
				fmt.Printf("FAIL %s: %v\n", c.name, err)
				continue
			}
			passed++
			fmt.Printf("ok %s\n", c.name)
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

func runOne(c check, endpoint string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	s := &scope{ctx: ctx, endpoint: endpoint, prefix: fmt.Sprintf("%s/%x/", c.name, time.Now().UnixNano())}
	defer s.close()
	defer func() {
		if broken := recover(); broken != nil {
			f, ours := broken.(failure)
			if !ours {
				panic(broken)
			}
			err = f
		}
	}()
	s.Client = s.dial(endpoint)
	c.run(s)
	return nil
}

// scope is what a check works with: a client, a deadline and keys of its own.
type scope struct {
	*clientv3.Client
	ctx      context.Context
	endpoint string
	prefix   string
	cleanup  []func()
}

func (s *scope) key(name string) string { return s.prefix + name }

// dial connects with limits that leave the judging of sizes to the server.
func (s *scope) dial(endpoint string) *clientv3.Client {
	c := must(connect(endpoint))
	s.atEnd(func() { c.Close() })
	return c
}

func connect(endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:          []string{endpoint},
		DialTimeout:        5 * time.Second,
		MaxCallSendMsgSize: 64 << 20,
		Logger:             zap.NewNop(),
	})
}

func (s *scope) atEnd(f func()) { s.cleanup = append(s.cleanup, f) }

func (s *scope) close() {
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		s.cleanup[i]()
	}
}

func (s *scope) put(key, value string, opts ...clientv3.OpOption) int64 {
	return must(s.Put(s.ctx, key, value, opts...)).Header.Revision
}

func (s *scope) revision() int64 {
	return must(s.Get(s.ctx, s.key("no such key"))).Header.Revision
}

// failure ends a check.
type failure struct{ text string }

func (f failure) Error() string { return f.text }

func fail(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }

func expect(holds bool, format string, args ...any) {
	if !holds {
		fail(format, args...)
	}
}

func same[T comparable](what string, got, want T) {
	expect(got == want, "%s: got %v, want %v", what, got, want)
}

func must[T any](value T, err error) T {
	ok(err)
	return value
}

func ok(err error) {
	if err != nil {
		fail("%v", err)
	}
}

// eventually tries until it holds or the check's time is up.
func (s *scope) eventually(what string, holds func() bool) {
	for !holds() {
		select {
		case <-s.ctx.Done():
			fail("never: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
