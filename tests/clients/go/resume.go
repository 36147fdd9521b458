package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var resumeChecks = []check{
	{"watch_resumes_after_a_cut_connection", watchResumes},
	{"lease_survives_a_cut_connection", leaseSurvivesCut},
}

// A proxy passes TCP on to the server until it is told to cut what it carries.
type proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	open     []net.Conn
}

func (s *scope) proxy() *proxy {
	p := &proxy{listener: must(net.Listen("tcp", "127.0.0.1:0")), target: strings.TrimPrefix(s.endpoint, "http://")}
	go p.serve()
	s.atEnd(func() { p.listener.Close(); p.cut() })
	return p
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, client, server)
		p.mu.Unlock()
		go io.Copy(client, server)
		go io.Copy(server, client)
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.open {
		conn.Close()
	}
	p.open = nil
}

func watchResumes(s *scope) {
	const cuts, perCut = 5, 200
	p := s.proxy()
	ch := s.dial(p.url()).Watch(s.ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	<-ch
	go func() {
		for i := range cuts * perCut {
			s.Put(s.ctx, s.key("a"), fmt.Sprint(i))
			if i%perCut == perCut/2 {
				p.cut()
			}
		}
	}()
	for i, got := range s.events(ch, cuts*perCut) {
		want := fmt.Sprintf("put a %d", i)
		if i > 0 {
			want += fmt.Sprintf(" was %d", i-1)
		}
		same("event", got, want)
	}
}

func leaseSurvivesCut(s *scope) {
	p := s.proxy()
	c := s.dial(p.url())
	lease := must(c.Grant(s.ctx, 3)).ID
	alive := must(c.KeepAlive(s.ctx, lease))
	expect(<-alive != nil, "the lease is gone at once")
	p.cut()
	for range 3 {
		expect(<-alive != nil, "the lease is not kept alive after the cut")
	}
	same("granted TTL", must(s.TimeToLive(s.ctx, lease)).GrantedTTL, 3)
}
