package containerd

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"fairlead/internal/runtime"
)

func TestNormalize(t *testing.T) {
	for ref, want := range map[string]string{
		"nginx":               "docker.io/library/nginx:latest",
		"fairlead/hello":      "docker.io/fairlead/hello:latest",
		"ghcr.io/a/b:1":       "ghcr.io/a/b:1",
		"localhost:5000/a":    "localhost:5000/a:latest",
		"not a reference":     "not a reference",
		"public.ecr.aws/x/y":  "public.ecr.aws/x/y:latest",
		"docker.io/nginx:1.2": "docker.io/library/nginx:1.2",
	} {
		if got := normalize(ref); got != want {
			t.Errorf("%s: got %s, want %s", ref, got, want)
		}
	}
}

func TestHelloTag(t *testing.T) {
	for ref, want := range map[string]string{
		"fairlead/hello": "latest", "docker.io/fairlead/hello:v2": "v2",
		"ghcr.io/fairlead/hello:v2": "", "fairlead/hello2": "",
	} {
		if got, ok := helloTag(normalize(ref)); ok != (want != "") || (ok && got != want) {
			t.Errorf("%s: got %q, %t, want %q", ref, got, ok, want)
		}
	}
}

func TestArguments(t *testing.T) {
	image := ocispec.ImageConfig{Entrypoint: []string{"/entry"}, Cmd: []string{"image"}}
	for name, test := range map[string]struct {
		entryPoint, command []string
		want                string
	}{
		"image":            {nil, nil, "/entry image"},
		"command":          {nil, []string{"mine"}, "/entry mine"},
		"entry point":      {[]string{"/mine"}, nil, "/mine"},
		"both":             {[]string{"/mine"}, []string{"a"}, "/mine a"},
		"empty is not set": {[]string{}, []string{}, "/entry image"},
	} {
		c := runtime.Container{EntryPoint: test.entryPoint, Command: test.command}
		if got := strings.Join(arguments(c, image), " "); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestMergeEnv(t *testing.T) {
	got := mergeEnv([]string{"A=1", "B=2"}, []string{"B=3", "C=4", "C=5", "AB=6"})
	if want := []string{"A=1", "B=3", "C=5", "AB=6"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestStopSignal(t *testing.T) {
	for text, want := range map[string]syscall.Signal{
		"": syscall.SIGTERM, "SIGQUIT": syscall.SIGQUIT, "quit": syscall.SIGQUIT,
		"9": syscall.SIGKILL, "nonsense": syscall.SIGTERM, "0": syscall.SIGTERM,
	} {
		if got := stopSignal(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestNumericUser(t *testing.T) {
	for text, want := range map[string][2]uint32{"0": {0, 0}, "10:20": {10, 20}} {
		if got, err := numericUser(text); err != nil || [2]uint32{got.UID, got.GID} != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "root", "1:", "1:users", "-1", "4294967296"} {
		if got, err := numericUser(text); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}

const procNetDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0: 1000 10 1 0 0 0 0 0 2000 20 2 0 0 0 0 0
  eth1: 1 1 1 0 0 0 0 0 1 1 1 0 0 0 0 0
`

func TestSumDevices(t *testing.T) {
	var got runtime.Stats
	sumDevices(procNetDev, &got)
	want := runtime.Stats{
		RxBytes: 1001, RxPackets: 11, RxErrors: 2, TxBytes: 2001, TxPackets: 21, TxErrors: 3,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func FuzzSumDevices(f *testing.F) {
	f.Add(procNetDev)
	f.Add("eth0: 1 2 3")
	f.Fuzz(func(t *testing.T, text string) {
		var stats runtime.Stats
		sumDevices(text, &stats)
		if !strings.Contains(text, ":") && stats != (runtime.Stats{}) {
			t.Errorf("counted %+v in %q", stats, text)
		}
	})
}

// FuzzReference checks that whatever users write as an image is completed once and for all.
func FuzzReference(f *testing.F) {
	for _, seed := range []string{"nginx", "a/b:c", "h:1/a@sha256:00", "UPPER", "", "/", "::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		once := normalize(ref)
		if twice := normalize(once); twice != once {
			t.Errorf("%q becomes %q, then %q", ref, once, twice)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Add([]byte("plain"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, archive []byte) {
		plain, err := decompress(strings.NewReader(string(archive)))
		if (plain == nil) == (err == nil) {
			t.Errorf("reader %v and error %v", plain, err)
		}
	})
}

func TestCutWriter(t *testing.T) {
	w := &cutWriter{limit: 5}
	for _, part := range []string{"abc", "def", "ghi"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("wrote %d, %v: the writer must take everything", n, err)
		}
	}
	if got := w.String(); got != "abcde" {
		t.Errorf("kept %q", got)
	}
}
