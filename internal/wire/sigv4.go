package wire

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature Version 4, as https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html has
// it.
const (
	sigAlgorithm   = "AWS4-HMAC-SHA256"
	sigTime        = "20060102T150405Z"
	sigTerminator  = "aws4_request"
	unsignedMark   = "UNSIGNED-PAYLOAD"
	maxSkew        = 15 * time.Minute
	maxPresigned   = 7 * 24 * time.Hour
	maxSignedNames = 100
)

// signature is what a request says about who signed it: its Authorization header, or the
// X-Amz- parameters of a presigned URL.
type signature struct {
	accessKey, date, region, service string

	headers   []string // names of the signed headers, lower case
	value     string   // hex
	when      time.Time
	token     string
	presigned bool
	lifetime  time.Duration // of a presigned URL
}

// errUnsigned says that a request carries no signature at all.
var errUnsigned = errors.New("Missing Authentication Token")

// The parts of a credential go into keys and file names, so they are narrow.
var (
	accessKeyForm = regexp.MustCompile(`^[\w.@=+-]{1,128}$`)
	regionForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	serviceForm   = regexp.MustCompile(`^[a-z0-9.-]{1,64}$`)
	dateForm      = regexp.MustCompile(`^\d{8}$`)
)

// parseSignature reads what the request claims, without verifying it.
func parseSignature(req *http.Request) (*signature, error) {
	query := req.URL.Query()
	if header := req.Header.Get("Authorization"); header != "" {
		return parseAuthorization(header, req.Header)
	}
	if query.Get("X-Amz-Algorithm") != "" {
		return parsePresigned(query)
	}
	return nil, errUnsigned
}

func parseAuthorization(header string, h http.Header) (*signature, error) {
	algorithm, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	if algorithm != sigAlgorithm {
		return nil, fmt.Errorf("Authorization header requires the algorithm %s", sigAlgorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if parts[name] == "" {
			return nil, fmt.Errorf("Authorization header requires '%s' parameter", name)
		}
	}
	s := &signature{value: parts["Signature"], token: h.Get("X-Amz-Security-Token")}
	when := cmp.Or(h.Get("X-Amz-Date"), h.Get("Date"))
	return s, s.fill(parts["Credential"], parts["SignedHeaders"], when)
}

func parsePresigned(query url.Values) (*signature, error) {
	if a := query.Get("X-Amz-Algorithm"); a != sigAlgorithm {
		return nil, fmt.Errorf("X-Amz-Algorithm must be %s", sigAlgorithm)
	}
	seconds, err := strconv.Atoi(cmp.Or(query.Get("X-Amz-Expires"), "900"))
	if err != nil || seconds < 0 || seconds > int(maxPresigned/time.Second) {
		return nil, errors.New("X-Amz-Expires must be between 0 and 604800 seconds")
	}
	s := &signature{
		value:     query.Get("X-Amz-Signature"),
		token:     query.Get("X-Amz-Security-Token"),
		presigned: true,
		lifetime:  time.Duration(seconds) * time.Second,
	}
	credential, headers := query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders")
	return s, s.fill(credential, headers, query.Get("X-Amz-Date"))
}

// fill takes the credential KEY/DATE/REGION/SERVICE/aws4_request, the names of the signed headers
// and the time of signing.
func (s *signature) fill(credential, headers, when string) error {
	p := strings.Split(credential, "/")
	if len(p) != 5 || p[4] != sigTerminator {
		return fmt.Errorf("Credential must have exactly 5 slash-delimited elements, "+
			"e.g. keyid/date/region/service/term, got '%.200s'", credential)
	}
	s.accessKey, s.date, s.region, s.service = p[0], p[1], p[2], p[3]
	switch {
	case !accessKeyForm.MatchString(s.accessKey), !dateForm.MatchString(s.date),
		!regionForm.MatchString(s.region), !serviceForm.MatchString(s.service):
		return fmt.Errorf("Credential '%.200s' is not well formed", credential)
	}
	s.headers = strings.Split(headers, ";")
	if !slices.Contains(s.headers, "host") || len(s.headers) > maxSignedNames {
		return errors.New("'Host' must be a signed header")
	}
	t, err := time.Parse(sigTime, when)
	if err != nil {
		t, err = http.ParseTime(when)
	}
	if err != nil {
		return errors.New("Authorization header requires existence of either a " +
			"'X-Amz-Date' or a 'Date' header")
	}
	s.when = t
	return nil
}

// fresh returns an error when the signature is not valid at now.
func (s *signature) fresh(now time.Time) error {
	start, end := s.when.Add(-maxSkew), s.when.Add(maxSkew)
	if s.presigned {
		end = s.when.Add(s.lifetime)
	}
	stamp := func(t time.Time) string { return t.UTC().Format(sigTime) }
	switch {
	case now.After(end):
		return fmt.Errorf("Signature expired: %s is now earlier than %s (%s - 15 min.)",
			stamp(s.when), stamp(now.Add(-maxSkew)), stamp(now))
	case now.Before(start):
		return fmt.Errorf("Signature not yet current: %s is still later than %s (%s + 15 min.)",
			stamp(s.when), stamp(now.Add(maxSkew)), stamp(now))
	case s.when.UTC().Format("20060102") != s.date:
		return fmt.Errorf("Date in Credential scope does not match YYYYMMDD from ISO-8601 "+
			"version of date from HTTP: '%s' != '%s'", s.date, stamp(s.when))
	}
	return nil
}

// matches reports whether the secret signs this request with this very signature.
func (s *signature) matches(req *http.Request, body []byte, secret string) bool {
	payload, ok := s.payloadHash(req, body)
	want := s.sign(s.stringToSign(s.canonical(req, payload)), secret)
	return hmac.Equal([]byte(want), []byte(s.value)) && ok
}

// payloadHash is the hash that the signature covers; ok is false when it is not the body's.
func (s *signature) payloadHash(req *http.Request, body []byte) (hash string, ok bool) {
	sum := sha256.Sum256(body)
	actual := hex.EncodeToString(sum[:])
	stated := req.Header.Get("X-Amz-Content-Sha256")
	switch stated {
	case "":
		return actual, true
	case unsignedMark:
		return stated, true
	}
	return stated, hmac.Equal([]byte(stated), []byte(actual))
}

func (s *signature) stringToSign(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{s.date, s.region, s.service, sigTerminator}, "/")
	when := s.when.UTC().Format(sigTime)
	return strings.Join([]string{sigAlgorithm, when, scope, hex.EncodeToString(sum[:])}, "\n")
}

func (s *signature) sign(toSign, secret string) string {
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, sigTerminator, toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// canonical is the canonical request.
func (s *signature) canonical(req *http.Request, payloadHash string) string {
	var headers strings.Builder
	for _, name := range s.headers {
		headers.WriteString(name + ":" + headerText(req, name) + "\n")
	}
	return strings.Join([]string{
		req.Method, canonicalPath(req), canonicalQuery(req.URL), headers.String(),
		strings.Join(s.headers, ";"), payloadHash,
	}, "\n")
}

func headerText(req *http.Request, name string) string {
	values := req.Header.Values(name)
	if name == "host" {
		values = []string{req.Host}
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(trimmed, ",")
}

// canonicalPath is the normalized path, escaped once more than it is on the wire.
func canonicalPath(req *http.Request) string {
	p, _, _ := strings.Cut(req.RequestURI, "?")
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return escape(clean, true)
}

// canonicalQuery orders the parameters by name, then by value, both as escaped.
func canonicalQuery(u *url.URL) string {
	var names []string
	values := map[string][]string{}
	for name, all := range u.Query() {
		if name == "X-Amz-Signature" {
			continue
		}
		name = escape(name, false)
		names = append(names, name)
		for _, v := range all {
			values[name] = append(values[name], name+"="+escape(v, false))
		}
	}
	slices.Sort(names)
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, slices.Sorted(slices.Values(values[name]))...)
	}
	return strings.Join(pairs, "&")
}

// escape percent-encodes everything but RFC 3986's unreserved characters, and slashes if told.
func escape(s string, slash bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.IndexByte("-_.~", c) >= 0, slash && c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
