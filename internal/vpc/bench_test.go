package vpc

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// benchHost has one subnet of 4091 addresses.
func benchHost(b *testing.B) *Host {
	b.Helper()
	m := newMachine(b)
	h := m.open(m.config())
	must(b,
		h.EnsureVPC(b.Context(), VPC{"vpc-a", prefixes("10.0.0.0/16"), true}),
		h.EnsureSubnet(b.Context(), Subnet{"sub-a", "vpc-a", prefix("10.0.0.0/20"), true}))
	return h
}

func benchENI(i int, public bool) ENI {
	e := ENI{
		ID: fmt.Sprintf("eni-%d", i), VPC: "vpc-a", Subnet: "sub-a",
		Addr: offset(prefix("10.0.0.0/20"), uint32(10+i)), SourceDestCheck: true,
	}
	if public {
		e.Public = offset(prefix("127.64.0.0/12"), uint32(10+i))
	}
	return e
}

// BenchmarkEnsureENI makes 200 interfaces, then asks for them again, then removes them.
func BenchmarkEnsureENI(b *testing.B) {
	const enis = 200
	for _, public := range []bool{false, true} {
		name := "private"
		if public {
			name = "public"
		}
		b.Run(name, func(b *testing.B) {
			h := benchHost(b)
			for b.Loop() {
				for i := range enis {
					must(b, h.EnsureENI(b.Context(), benchENI(i, public)))
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e3/enis/float64(max(b.N, 1)), "ms/eni")
				b.StopTimer()
				must(b, h.Prune(b.Context(), Inventory{VPCs: []string{"vpc-a"}, Subnets: []string{"sub-a"}}))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkEnsureENIAgain is what a controller's periodic pass costs.
func BenchmarkEnsureENIAgain(b *testing.B) {
	h := benchHost(b)
	e := benchENI(0, true)
	for b.Loop() {
		must(b, h.EnsureENI(b.Context(), e))
	}
}

// BenchmarkSocket compares a socket of an interface with one of the process.
func BenchmarkSocket(b *testing.B) {
	h := benchHost(b)
	e := benchENI(0, false)
	must(b, h.EnsureENI(b.Context(), e))
	b.Run("process", func(b *testing.B) {
		for b.Loop() {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(b, err, unix.Close(fd))
		}
	})
	b.Run("interface", func(b *testing.B) {
		for b.Loop() {
			fd, err := h.Socket(e.ID, unix.AF_INET, unix.SOCK_STREAM, 0)
			must(b, err, unix.Close(fd))
		}
	})
}

// BenchmarkConnect is the way of a client: to a server on the host itself, from interface to
// interface, and from the host to a public address.
func BenchmarkConnect(b *testing.B) {
	m := newMachine(b)
	h := m.open(m.config())
	testNetwork(b, h, "vpc-a")
	testENI(b, h, ENI{
		ID: "server", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5"),
		Public: netip.MustParseAddr("127.9.8.7"),
	})
	testENI(b, h, ENI{ID: "client", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.6")})
	b.Run("same interface", func(b *testing.B) {
		for b.Loop() {
			expect(b, "answer", ask(b, h, "server", "10.0.1.5", dialTimeout), "server 10.0.1.5")
		}
	})
	b.Run("interface to interface", func(b *testing.B) {
		for b.Loop() {
			expect(b, "answer", ask(b, h, "client", "10.0.1.5", dialTimeout), "server 10.0.1.6")
		}
	})
	b.Run("host to public address", func(b *testing.B) {
		want := "server " + h.transit.hostAddr().String()
		for b.Loop() {
			expect(b, "answer", m.ask("host", "127.9.8.7", dialTimeout), want)
		}
	})
}
