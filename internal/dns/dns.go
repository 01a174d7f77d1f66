// Package dns answers for the names that Fairlead hands out: a load balancer's DNS name resolves to
// the addresses of its nodes, as Route 53 does it for Elastic Load Balancing.
//
// It is an authoritative server for one suffix ("localhost" by default) and refuses everything else;
// it knows no state, only a Zone that tells a name's addresses.
package dns

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// ttl of an answer in seconds, that of load-balancer names on AWS.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
const ttl = 60

// Zone tells the addresses of a name, which is in lower case and without the final dot. ok is false
// for a name that does not exist.
type Zone func(name string) (addresses []netip.Addr, ok bool)

// Server answers queries over UDP and TCP.
type Server struct {
	suffix string // with a final dot
	zone   Zone
	logger *slog.Logger
	udp    *dns.Server
	tcp    *dns.Server
}

// openTries is how often a port is looked for that is free for both transports, if it is the system's
// to choose.
const openTries = 8

// Open opens address ("127.0.0.1:4553") for both transports.
func Open(address string) (udp *net.UDPConn, tcp *net.TCPListener, err error) {
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("open the DNS port: %w", err)
	}
	for range openTries {
		if udp, tcp, err = openBoth(at); err == nil || at.Port != 0 {
			break
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the DNS port: %w", err)
	}
	return udp, tcp, nil
}

func openBoth(at *net.UDPAddr) (*net.UDPConn, *net.TCPListener, error) {
	udp, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, nil, err
	}
	same := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(same))
	if err != nil {
		udp.Close()
		return nil, nil, err
	}
	return udp, tcp, nil
}

// New makes a server on sockets that are open. It answers once Serve runs, which closes them.
func New(
	packet net.PacketConn, listener net.Listener, suffix string, zone Zone, logger *slog.Logger,
) *Server {
	s := &Server{suffix: dns.Fqdn(strings.ToLower(suffix)), zone: zone, logger: logger}
	s.udp = &dns.Server{PacketConn: packet, Handler: s}
	s.tcp = &dns.Server{Listener: listener, Handler: s}
	return s
}

// Addr returns the address that was opened.
func (s *Server) Addr() string { return s.udp.PacketConn.LocalAddr().String() }

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	ended := make(chan error, 2)
	for _, server := range []*dns.Server{s.udp, s.tcp} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- server.ActivateAndServe() }()
		select {
		case <-started:
		case err := <-ended:
			ended <- err
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
		ended <- nil
	}
	s.udp.Shutdown()
	s.tcp.Shutdown()
	<-ended
	<-ended
	if err != nil {
		return fmt.Errorf("answer DNS queries: %w", err)
	}
	return ctx.Err()
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	if err := w.WriteMsg(s.answer(query)); err != nil {
		s.logger.Debug("write DNS answer", "err", err)
	}
}

// answer is the reply to a query: addresses in random order, no data for other types of a name that
// exists, and NXDOMAIN for one that does not.
func (s *Server) answer(query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(query)
	if len(query.Question) != 1 {
		return reply.SetRcode(query, dns.RcodeFormatError)
	}
	q := query.Question[0]
	name := strings.ToLower(q.Name)
	if q.Qclass != dns.ClassINET || !dns.IsSubDomain(s.suffix, name) {
		return reply.SetRcode(query, dns.RcodeRefused)
	}
	reply.Authoritative = true
	addresses, ok := s.zone(strings.TrimSuffix(name, "."))
	if !ok {
		reply.Rcode = dns.RcodeNameError
		reply.Ns = []dns.RR{s.soa()}
		return reply
	}
	reply.Answer = records(q, addresses)
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{s.soa()}
	}
	return reply
}

func records(q dns.Question, addresses []netip.Addr) []dns.RR {
	var out []dns.RR
	header := dns.RR_Header{Name: q.Name, Class: dns.ClassINET, Ttl: ttl}
	for _, a := range shuffled(addresses) {
		switch {
		case a.Is4() && (q.Qtype == dns.TypeA || q.Qtype == dns.TypeANY):
			header.Rrtype = dns.TypeA
			out = append(out, &dns.A{Hdr: header, A: a.AsSlice()})
		case a.Is6() && (q.Qtype == dns.TypeAAAA || q.Qtype == dns.TypeANY):
			header.Rrtype = dns.TypeAAAA
			out = append(out, &dns.AAAA{Hdr: header, AAAA: a.AsSlice()})
		}
	}
	return out
}

func shuffled(addresses []netip.Addr) []netip.Addr {
	out := slices.Clone(addresses)
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// soa lets resolvers remember for a minute that a name is not there.
func (s *Server) soa() dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: s.suffix, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  "ns." + s.suffix, Mbox: "hostmaster." + s.suffix,
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: ttl,
	}
}
