package handover

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairlead/internal/lb"
)

// meet opens a door at path and returns both ends of a conversation.
func meet(t *testing.T, path string) (predecessor, successor *Conn) {
	t.Helper()
	door, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Remove() })
	if successor, err = Dial(path); err != nil || successor == nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { successor.Close() })
	if predecessor, err = door.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { predecessor.Close() })
	return predecessor, successor
}

// Names of any length do, and only the owner may knock.
func TestDoor(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 200))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(long, "door")
	meet(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the door is %v, %v", info, err)
	}
}

func TestSendAndReceive(t *testing.T) {
	predecessor, successor := meet(t, filepath.Join(t.TempDir(), "door"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sent := Socket{Name: "api", Inherited: lb.Inherited{Files: []*os.File{f}}}
	if err := predecessor.Send([]Socket{sent}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	got, err := successor.Receive()
	if err != nil || len(got) != 1 || got[0].Name != "api" || len(got[0].Files) != 1 {
		t.Fatalf("received %+v, %v", got, err)
	}
	defer closeSockets(got)
	again, err := net.FileListener(got[0].Files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Addr().String() != l.Addr().String() {
		t.Errorf("received a socket on %s, want %s", again.Addr(), l.Addr())
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the socket is closed although the successor has it: %v", err)
	}
	c.Close()
}

func TestWords(t *testing.T) {
	predecessor, successor := meet(t, filepath.Join(t.TempDir(), "door"))
	if err := successor.Tell("prepared"); err != nil {
		t.Fatal(err)
	}
	if err := predecessor.Await("prepared", patience); err != nil {
		t.Error(err)
	}
	if err := successor.Tell("something else"); err != nil {
		t.Fatal(err)
	}
	if err := predecessor.Await("prepared", patience); err == nil {
		t.Error("another word is taken for the one that was awaited")
	}
	successor.Close()
	if err := predecessor.Await("prepared", patience); err == nil {
		t.Error("the end of a successor is taken for its word")
	}
	predecessor.Gone(t.Context()) // returns, for it is
}

// Gone ends with its context while the other side is there.
func TestGoneEndsWithContext(t *testing.T) {
	predecessor, _ := meet(t, filepath.Join(t.TempDir(), "door"))
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() { predecessor.Gone(ctx); close(gone) }()
	cancel()
	<-gone
}

func TestDialNobody(t *testing.T) {
	if c, err := Dial(filepath.Join(t.TempDir(), "nobody")); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := Dial(filepath.Join(t.TempDir(), "no", "directory")); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
}

// FuzzHeader looks that what is accepted means something.
func FuzzHeader(f *testing.F) {
	f.Add([]byte(`{"addr":"127.0.0.1:80","node":"eni-1"}`))
	f.Add([]byte(`{"name":"api"}`))
	f.Add([]byte(`{"last":true}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := parseHeader(raw)
		if err == nil && !h.Last && h.Name == "" && !h.Addr.IsValid() {
			t.Errorf("%q is accepted as %+v", raw, h)
		}
	})
}
