package runtime

import "testing"

func TestPinned(t *testing.T) {
	for ref, want := range map[string]string{
		"nginx":                    "nginx@sha256:1",
		"nginx:1.27":               "nginx@sha256:1",
		"host:5000/team/app":       "host:5000/team/app@sha256:1",
		"host:5000/team/app:v1":    "host:5000/team/app@sha256:1",
		"team/app@sha256:2":        "team/app@sha256:1",
		"team/app:v1@sha256:2":     "team/app@sha256:1",
		"docker.io/library/x:late": "docker.io/library/x@sha256:1",
	} {
		if got := Pinned(ref, "sha256:1"); got != want || !ByDigest(got) {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}
