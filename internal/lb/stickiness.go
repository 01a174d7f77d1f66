package lb

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"fairlead/internal/lb/http1"
)

// The cookies of AWS. Each has a twin for requests from other sites, which wins if both are there.
const (
	targetCookie = "AWSALB"
	groupCookie  = "AWSALBTG"
	appCookie    = "AWSALBAPP-0"
	corsSuffix   = "CORS"
	// cookieLife is what Expires says, whatever the duration of the stickiness, which is inside.
	cookieLife = 7 * 24 * time.Hour
)

// CookieKeySize is the size of Config.CookieKey in bytes.
const CookieKeySize = 32

// sealer makes cookie values that only engines with the same key can read.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	switch len(key) {
	case 0:
		key = make([]byte, CookieKeySize)
		rand.Read(key)
	case CookieKeySize:
	default:
		return sealer{}, fmt.Errorf("cookie key has %d bytes, want %d", len(key), CookieKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("make cookie cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return sealer{}, fmt.Errorf("make cookie cipher: %w", err)
	}
	return sealer{aead}, nil
}

// seal makes an opaque value of a text that is good until the given time.
func (s sealer) seal(l *loop, text string, until time.Time) string {
	nonce := make([]byte, s.aead.NonceSize())
	for i := range nonce {
		nonce[i] = byte(l.uint64())
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	plain = append(plain, text...)
	return base64.StdEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, nil))
}

// open reads a value; ok is false if it is not ours or not good any more.
func (s sealer) open(value []byte, now time.Time) (text string, ok bool) {
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(value)))
	n, err := base64.StdEncoding.Decode(raw, value)
	if raw = raw[:n]; err != nil || n < s.aead.NonceSize() {
		return "", false
	}
	plain, err := s.aead.Open(nil, raw[:s.aead.NonceSize()], raw[s.aead.NonceSize():], nil)
	if err != nil || len(plain) < 8 || int64(binary.BigEndian.Uint64(plain)) < now.Unix() {
		return "", false
	}
	return string(plain[8:]), true
}

// cookie finds the value of a cookie in the request.
func cookie(r *http1.Request, name string) []byte {
	for _, f := range r.Fields {
		if f.Kind != http1.Cookie {
			continue
		}
		for rest := f.Value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			k, v, _ := bytes.Cut(bytes.TrimLeft(pair, " "), []byte("="))
			if string(k) == name {
				return v
			}
		}
	}
	return nil
}

// sealedCookie reads one of our cookies, preferring the twin for requests from other sites.
func (ex *exchange) sealedCookie(r *http1.Request, name string) (string, bool) {
	v := cookie(r, name+corsSuffix)
	if v == nil {
		v = cookie(r, name)
	}
	if v == nil {
		return "", false
	}
	return ex.loop.eng.sealer.open(v, ex.loop.wall(ex.loop.now))
}

// stickyTarget returns the target that a cookie names, if it may be used, and renews the cookie.
func (ex *exchange) stickyTarget(r *http1.Request, set *targetSet) *target {
	name := targetCookie
	if ex.grp.Stickiness.Type == AppCookie {
		if cookie(r, ex.grp.Stickiness.Cookie) == nil {
			return nil
		}
		name = appCookie
	}
	text, ok := ex.sealedCookie(r, name)
	if !ok {
		return nil
	}
	for _, t := range set.targets {
		if t.cookieText() == text {
			if name == targetCookie {
				ex.setTargetCookie(t)
			}
			return t
		}
	}
	return nil
}

// cookieText names a target within a cookie.
func (t *target) cookieText() string {
	return string(binary.BigEndian.AppendUint16([]byte(t.key.Group+"\x00"+t.key.ID), t.key.Port))
}

func (ex *exchange) setTargetCookie(t *target) {
	ex.setCookie(targetCookie, t.cookieText(), ex.grp.Stickiness.Duration)
}

// appStickiness binds the client to the target when the response sets the application's cookie.
func (ex *exchange) appStickiness(r *http1.Response) {
	if ex.grp == nil || ex.grp.Stickiness.Type != AppCookie {
		return
	}
	for _, f := range r.Fields {
		name, _, _ := bytes.Cut(f.Value, []byte("="))
		if f.Kind == http1.SetCookie && string(name) == ex.grp.Stickiness.Cookie {
			value := ex.sealed(ex.tgt.cookieText(), ex.grp.Stickiness.Duration)
			ex.addCookie(appCookie + "=" + value + ex.cookieAttributes())
			return
		}
	}
}

// stickyGroup returns the group that a cookie names, if the action still sends traffic there.
func (ex *exchange) stickyGroup(r *http1.Request) *liveGroup {
	text, ok := ex.sealedCookie(r, groupCookie)
	if !ok {
		return nil
	}
	for _, w := range ex.act.groups {
		if w.group.ID == text && w.weight > 0 {
			g := ex.live.groups[w.group.index]
			ex.setGroupCookie(g)
			return g
		}
	}
	return nil
}

func (ex *exchange) setGroupCookie(g *liveGroup) {
	ex.setCookie(groupCookie, g.ID, ex.act.sticky)
}

// setCookie adds a cookie and its twin to the response.
func (ex *exchange) setCookie(name, text string, d time.Duration) {
	value := ex.sealed(text, d)
	rest := value + ex.cookieAttributes()
	ex.addCookie(name + "=" + rest)
	twin := name + corsSuffix + "=" + rest + "; SameSite=None"
	if ex.ln.Protocol == HTTPS {
		twin += "; Secure"
	}
	ex.addCookie(twin)
}

func (ex *exchange) sealed(text string, d time.Duration) string {
	return ex.loop.eng.sealer.seal(ex.loop, text, ex.loop.wall(ex.loop.now).Add(d))
}

func (ex *exchange) cookieAttributes() string {
	expires := ex.loop.wall(ex.loop.now).Add(cookieLife).UTC()
	return "; Expires=" + expires.Format(httpTime) + "; Path=/"
}

func (ex *exchange) addCookie(value string) {
	ex.cookies = append(ex.cookies, http1.Field{Name: []byte("Set-Cookie"),
		Value: []byte(value), Kind: http1.SetCookie})
}
