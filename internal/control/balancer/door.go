package balancer

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"fairlead/internal/lb"
)

// maxDoorBody is the longest answer of the front door itself, in bytes: the limit of a fixed
// response.
const maxDoorBody = 1024

// openDoor makes the listeners share an address on the host, each on its own port. A connection (by
// SNI) or a request (by Host) belongs to the listener that has the name: the DNS name of the load
// balancer, a host-header value of a rule, or a name of a certificate. Where a port has listeners
// of one load balancer only, that one gets every request; else a name that nobody has, or more than
// one, is answered with a 404 that lists what exists.
func openDoor(listeners []lb.Listener, at netip.Addr) []lb.Listener {
	byPort := map[uint16][]int{}
	for i, l := range listeners {
		byPort[l.Port] = append(byPort[l.Port], i)
	}
	for i := range listeners {
		if !onDoor(listeners, byPort[listeners[i].Port], i) {
			listeners[i].Names = nil
		}
	}
	for _, port := range sortedKeys(byPort) {
		members := slices.DeleteFunc(byPort[port], func(i int) bool { return listeners[i].Names == nil })
		bind := lb.Bind{Addr: netip.AddrPortFrom(at, port), Shared: true}
		names := make([][]string, len(members))
		for m, i := range members {
			names[m] = ownNames(listeners, members, i)
		}
		for m, i := range members {
			bind.Zone = listeners[i].Binds[0].Zone
			listeners[i].Binds = append(listeners[i].Binds, bind)
			listeners[i].Names = names[m]
		}
		if len(members) > 1 {
			listeners = append(listeners, nobody(listeners, members, bind))
		}
	}
	return listeners
}

// onDoor tells whether a listener can share its port: with those of the protocol that the port is
// known for, or else of the first listener.
func onDoor(listeners []lb.Listener, members []int, i int) bool {
	protocol := listeners[members[0]].Protocol
	for _, m := range members {
		p := listeners[m].Protocol
		if known := map[uint16]lb.Protocol{80: lb.HTTP, 443: lb.HTTPS}[listeners[m].Port]; p == known {
			protocol = p
		}
	}
	return listeners[i].Protocol == protocol
}

// ownNames lists the names of a listener that no other one on the port has, in lower case and
// sorted.
func ownNames(listeners []lb.Listener, members []int, i int) []string {
	taken := map[string]bool{}
	for _, m := range members {
		for _, n := range listeners[m].Names {
			taken[strings.ToLower(n)] = taken[strings.ToLower(n)] || m != i
		}
	}
	var own []string
	for _, n := range listeners[i].Names {
		n = strings.ToLower(n)
		if n == strings.ToLower(listeners[i].DNSName) || !taken[n] && !slices.Contains(own, n) {
			own = append(own, n)
		}
	}
	slices.Sort(own)
	return slices.Compact(own)
}

// nobody is the listener for names that no load balancer has.
func nobody(listeners []lb.Listener, members []int, bind lb.Bind) lb.Listener {
	first := listeners[members[0]]
	var names []string
	for _, m := range members {
		names = append(names, listeners[m].DNSName)
	}
	slices.Sort(names)
	return lb.Listener{
		ID: fmt.Sprintf("front-door:%d", bind.Addr.Port()), LoadBalancer: "front-door",
		Protocol: first.Protocol, Port: first.Port, TLS: first.TLS, Binds: []lb.Bind{bind},
		Default: []lb.Action{{Type: lb.ActionFixedResponse, FixedResponse: &lb.FixedResponse{
			StatusCode: http.StatusNotFound, ContentType: "text/plain", Body: doorBody(names),
		}}},
	}
}

func doorBody(names []string) string {
	const head, more = "No load balancer has this name. On this port there are:\n", "...\n"
	body := head
	for _, n := range names {
		if len(body)+len(n)+1+len(more) > maxDoorBody {
			return body + more
		}
		body += n + "\n"
	}
	return body
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
