package lb

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"testing"
)

// echoing is a target that switches protocols and echoes until the client has no more to say.
func echoing(t *testing.T) netip.AddrPort {
	return rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		io.Copy(c, r)
	})
}

const switching = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"

// Tunnels that the client closes, or the target, are gone on both sides long before the idle timeout.
func TestTunnelsEnd(t *testing.T) {
	for name, target := range map[string]func(*testing.T) netip.AddrPort{
		"client": echoing, "target": parting,
	} {
		t.Run(name+" ends", func(t *testing.T) { tunnelsEnd(t, target(t)) })
	}
}

// parting is a target that switches protocols, echoes one byte and leaves.
func parting(t *testing.T) netip.AddrPort {
	return rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		io.CopyN(c, r, 1)
	})
}

func tunnelsEnd(t *testing.T, target netip.AddrPort) {
	f := serve(t, unprobed(groupOf("g", target)))
	for range 50 {
		c := f.raw(switching)
		r := bufio.NewReader(c)
		readHead(r)
		io.WriteString(c, "x")
		if b, err := r.ReadByte(); b != 'x' {
			t.Fatalf("%q, %v", b, err)
		}
		c.Close()
	}
	f.onlyLeft(0)
}
