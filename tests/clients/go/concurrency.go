package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

var concurrencyChecks = []check{
	{"mutex_of_two_sessions", mutexTwoSessions},
	{"mutex_is_freed_when_its_session_expires", mutexExpires},
	{"mutex_excludes_ten_sessions", mutexExcludes},
	{"election_of_two_candidates", electionTwoCandidates},
	{"stm_moves_money_without_loss", stmTransfers},
}

func (s *scope) session(ttl int) *concurrency.Session {
	session := must(concurrency.NewSession(s.dial(s.endpoint), concurrency.WithTTL(ttl)))
	s.atEnd(func() { session.Close() })
	return session
}

func mutexTwoSessions(s *scope) {
	first, second := concurrency.NewMutex(s.session(10), s.prefix), concurrency.NewMutex(s.session(10), s.prefix)
	ok(first.Lock(s.ctx))
	expect(errors.Is(second.TryLock(s.ctx), concurrency.ErrLocked), "the second session can lock too")
	locked := make(chan error)
	go func() { locked <- second.Lock(s.ctx) }()
	s.eventually("the second session queues", func() bool {
		return must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix())).Count == 2
	})
	select {
	case err := <-locked:
		fail("the second session did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	ok(first.Unlock(s.ctx))
	ok(<-locked)
	expect(must(s.Txn(s.ctx).If(second.IsOwner()).Commit()).Succeeded, "the second session does not own it")
	expect(!must(s.Txn(s.ctx).If(first.IsOwner()).Commit()).Succeeded, "the first session still owns it")
	ok(second.Unlock(s.ctx))
}

func mutexExpires(s *scope) {
	dying := s.session(2)
	ok(concurrency.NewMutex(dying, s.prefix).Lock(s.ctx))
	dying.Orphan()
	ok(concurrency.NewMutex(s.session(10), s.prefix).Lock(s.ctx))
}

func mutexExcludes(s *scope) {
	var all sync.WaitGroup
	errs := make(chan error, 10)
	inside := 0 // Guarded by nothing but the mutex under test.
	for range 10 {
		mutex := concurrency.NewMutex(s.session(20), s.prefix)
		all.Go(func() {
			errs <- func() error {
				for range 5 {
					if err := mutex.Lock(s.ctx); err != nil {
						return err
					}
					if inside++; inside != 1 {
						return fmt.Errorf("%d are inside", inside)
					}
					inside--
					if err := mutex.Unlock(s.ctx); err != nil {
						return err
					}
				}
				return nil
			}()
		})
	}
	all.Wait()
	for range 10 {
		ok(<-errs)
	}
}

func electionTwoCandidates(s *scope) {
	first, second := concurrency.NewElection(s.session(10), s.prefix), concurrency.NewElection(s.session(10), s.prefix)
	watcher := concurrency.NewElection(s.session(10), s.prefix)
	_, err := watcher.Leader(s.ctx)
	expect(errors.Is(err, concurrency.ErrElectionNoLeader), "a leader before any campaign: %v", err)
	observed := watcher.Observe(s.ctx)
	leads := func(want string) { same("leader", string((<-observed).Kvs[0].Value), want) }

	ok(first.Campaign(s.ctx, "first"))
	leads("first")
	elected := make(chan error)
	go func() { elected <- second.Campaign(s.ctx, "second") }()
	ok(first.Proclaim(s.ctx, "first again"))
	leads("first again")
	s.eventually("the second candidate queues", func() bool {
		return must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix())).Count == 2
	})
	ok(first.Resign(s.ctx))
	ok(<-elected)
	leads("second")
	same("leader", string(must(watcher.Leader(s.ctx)).Kvs[0].Value), "second")
	expect(errors.Is(first.Proclaim(s.ctx, "x"), concurrency.ErrElectionNotLeader), "the first can still proclaim")
	ok(second.Resign(s.ctx))
}

func stmTransfers(s *scope) {
	const accounts, movers, rounds = 5, 6, 15
	account := func(i int) string { return s.key(fmt.Sprint(i % accounts)) }
	for i := range accounts {
		s.put(account(i), "100")
	}
	errs := make(chan error, movers)
	for mover := range movers {
		go func() {
			errs <- func() error {
				for round := range rounds {
					from, to := account(mover+round), account(mover+3*round+1)
					if _, err := concurrency.NewSTM(s.Client, transfer(from, to), concurrency.WithAbortContext(s.ctx)); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range movers {
		ok(<-errs)
	}
	total := 0
	for _, kv := range must(s.Get(s.ctx, s.prefix, clientv3.WithPrefix())).Kvs {
		total += amount(string(kv.Value))
	}
	same("total", total, 100*accounts)
}

func transfer(from, to string) func(concurrency.STM) error {
	return func(stm concurrency.STM) error {
		stm.Put(from, fmt.Sprint(amount(stm.Get(from))-1))
		stm.Put(to, fmt.Sprint(amount(stm.Get(to))+1))
		return nil
	}
}

func amount(text string) (n int) {
	fmt.Sscan(text, &n)
	return n
}
