package lb

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// What one engine seals another opens with the same key only.
func TestSealerKeys(t *testing.T) {
	key := bytes.Repeat([]byte{1}, CookieKeySize)
	first, err := newSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	l := &loop{random: rand.NewChaCha8([32]byte{})}
	value := []byte(first.seal(l, "target", now.Add(time.Hour)))
	again, _ := newSealer(key)
	if text, ok := again.open(value, now); !ok || text != "target" {
		t.Errorf("with the same key: %q, %v", text, ok)
	}
	other, _ := newSealer(nil)
	if text, ok := other.open(value, now); ok {
		t.Errorf("with another key: %q", text)
	}
	if _, err := newSealer(key[1:]); err == nil {
		t.Error("a short key is accepted")
	}
}
