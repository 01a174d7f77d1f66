package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fairlead/internal/runtime"
	"fairlead/internal/runtime/daemon"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == daemon.Command {
		if err := daemon.ServeContainerd(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestSmoke(t *testing.T) {
	run, _ := os.MkdirTemp("/tmp", "fl-")
	data := t.TempDir()
	s := time.Now()
	lap := func(what string) { t.Log(what, time.Since(s)); s = time.Now() }
	d, err := daemon.Start(t.Context(), daemon.Config{Exec: []string{"/proc/self/exe", daemon.Command}, Data: data, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	lap("daemon")
	defer func() {
		if t.Failed() { b, _ := os.ReadFile(data+"/containerd.log"); t.Log(string(b)) }
		if err := d.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	ctx := t.Context()
	e, err := Open(ctx, Config{Address: d.Address(), Instance: "smoke", Data: data, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	lap("open")
	defer func() {
		if err := e.Purge(context.Background()); err != nil {
			t.Error(err)
		}
		e.Close()
	}()
	ev := e.Watch(ctx)
	img, err := e.EnsureImage(ctx, "fairlead/hello:v2", runtime.Pull{})
	if err != nil {
		t.Fatal(err)
	}
	lap("image")
	t.Log(img)
	if err := e.EnsureGroup(ctx, runtime.Group{ID: "g", CPU: 256, Memory: 128}); err != nil {
		t.Fatal(err)
	}
	lap("group")
	for i := range 5 {
		id := fmt.Sprint("c", i)
		if err := e.Create(ctx, runtime.Container{ID: id, Group: "g", Image: "fairlead/hello:v2", LogPath: filepath.Join(data, id+".log"), Memory: 64, CPU: 128}); err != nil {
			t.Fatal(err)
		}
		lap("create")
		if err := e.Start(ctx, id); err != nil {
			t.Fatal(err)
		}
		lap("start")
	}
	time.Sleep(100*time.Millisecond)
	s = time.Now()
	r, err := e.Exec(ctx, "c0", runtime.ExecSpec{Args: []string{"/hello", "--check", "http://localhost/health"}, Timeout: 3*time.Second})
	t.Log(r, err)
	lap("exec")
	st, err := e.Stats(ctx, "c0")
	t.Logf("%+v %v", st, err)
	r, err = e.Exec(ctx, "c0", runtime.ExecSpec{Args: []string{"/hello", "--check", "http://localhost/memory/100"}, Timeout: 3*time.Second})
	t.Log(r, err)
	ls, err := e.List(ctx)
	t.Logf("%+v %v", ls, err)
	b, _ := os.ReadFile(filepath.Join(data, "c0.log"))
	t.Log(string(b))
	s = time.Now()
	for i := range 5 {
		if err := e.Delete(ctx, fmt.Sprint("c", i)); err != nil {
			t.Fatal(err)
		}
		lap("delete")
	}
	if err := e.DeleteGroup(ctx, "g"); err != nil { t.Fatal(err) }
	for len(ev) > 0 || true {
		select {
		case x := <-ev: t.Log(x); continue
		case <-time.After(200*time.Millisecond):
		}
		break
	}
}
