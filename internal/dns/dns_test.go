package dns

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// start serves a zone with one name of two addresses on a free loopback port.
func start(t *testing.T) *Server {
	t.Helper()
	zone := func(name string) ([]netip.Addr, bool) {
		if name != "web-1.eu-west-1.elb.localhost" {
			return nil, false
		}
		return []netip.Addr{netip.MustParseAddr("127.0.1.1"), netip.MustParseAddr("127.0.1.2")}, true
	}
	packet, listener, err := Open("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(packet, listener, "localhost", zone, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(ctx); err != context.Canceled {
			t.Errorf("Serve = %v, want canceled", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

func TestAnswers(t *testing.T) {
	s := start(t)
	tests := []struct {
		name, query string
		qtype       uint16
		rcode       int
		answers     int
		negative    bool // carries an SOA
	}{
		{"both nodes of a load balancer", "web-1.eu-west-1.elb.localhost.", dns.TypeA, dns.RcodeSuccess, 2, false},
		{"names are compared without case", "WEB-1.eu-west-1.ELB.localhost.", dns.TypeA, dns.RcodeSuccess, 2, false},
		{"no IPv6 address", "web-1.eu-west-1.elb.localhost.", dns.TypeAAAA, dns.RcodeSuccess, 0, true},
		{"unknown name", "web-2.eu-west-1.elb.localhost.", dns.TypeA, dns.RcodeNameError, 0, true},
		{"somebody else's name", "example.com.", dns.TypeA, dns.RcodeRefused, 0, false},
	}
	for _, transport := range []string{"udp", "tcp"} {
		for _, tt := range tests {
			t.Run(transport+"/"+tt.name, func(t *testing.T) {
				client := &dns.Client{Net: transport}
				reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(tt.query, tt.qtype), s.Addr())
				if err != nil {
					t.Fatal(err)
				}
				if reply.Rcode != tt.rcode || len(reply.Answer) != tt.answers {
					t.Errorf("rcode %s with %d answers, want %s with %d", dns.RcodeToString[reply.Rcode],
						len(reply.Answer), dns.RcodeToString[tt.rcode], tt.answers)
				}
				if (len(reply.Ns) == 1) != tt.negative {
					t.Errorf("authority section %v, want an SOA: %v", reply.Ns, tt.negative)
				}
			})
		}
	}
}

func FuzzAnswer(f *testing.F) {
	good, _ := new(dns.Msg).SetQuestion("web-1.eu-west-1.elb.localhost.", dns.TypeA).Pack()
	f.Add(good)
	s := &Server{suffix: "localhost.", zone: func(string) ([]netip.Addr, bool) { return nil, true }}
	f.Fuzz(func(t *testing.T, raw []byte) {
		query := new(dns.Msg)
		if query.Unpack(raw) != nil {
			return
		}
		if _, err := s.answer(query).Pack(); err != nil && len(query.Question) == 1 {
			t.Errorf("answer to %v does not pack: %v", query, err)
		}
	})
}
