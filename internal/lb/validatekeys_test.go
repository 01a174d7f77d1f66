package lb

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fairlead/internal/lb/jwt"
)

// TestBadEndpoints has every way in which keys cannot be had, over either protocol.
func TestBadEndpoints(t *testing.T) {
	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }
	}
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	begin := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		hang(w, r)
	}
	breakOff := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	small := `{"keys": [{"kty": "RSA", "n": "` + encode64(make([]byte, 255)) + `", "e": "AQAB"}]}`
	eleven := strings.Split(strings.Repeat("k", 11), "")
	for name, c := range map[string]struct {
		jwks   http.HandlerFunc
		status int
		reason jwt.Reason
	}{
		"hangs":       {hang, 500, jwt.RequestTimeout},
		"hangs later": {begin, 500, jwt.RequestTimeout},
		"breaks off":  {breakOff, 500, jwt.RequestTimeout},
		"too large":   {says(keySet("k") + strings.Repeat(" ", 150<<10)), 500, jwt.ResponseSizeExceeded},
		"11 keys":     {says(keySet(eleven...)), 500, jwt.ResponseSizeExceeded},
		"404":         {http.NotFound, 562, jwt.RequestFailed},
		"redirect":    {http.RedirectHandler("/", 302).ServeHTTP, 562, jwt.RequestFailed},
		"not JSON":    {says("no"), 562, jwt.ResponseInvalid},
		"no keys":     {says("{}"), 562, jwt.ResponseInvalid},
		"small key":   {says(small), 562, jwt.ResponseInvalid},
		"other type":  {says(`{"keys": [{"kty": "EC", "x": "", "y": ""}]}`), 562, jwt.ResponseInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, c.jwks)
			for _, h2 := range []bool{false, true} {
				f := guarded(t, Config{keys: i.cache(time.Second)}, closedPort(t), i.guard())
				f.checkDenied(h2, c.status, c.reason, bearer(""))
			}
		})
	}
}

// An endpoint that cannot be reached or that is not trusted has no keys either.
func TestUnreachableEndpoint(t *testing.T) {
	gone := newIssuer(t, nil)
	gone.Close()
	guarded(t, Config{RootCAs: gone.roots()}, closedPort(t), gone.guard()).
		checkDenied(false, 500, jwt.RequestTimeout, bearer(""))
	i := newIssuer(t, nil)
	guarded(t, Config{}, closedPort(t), i.guard()).
		checkDenied(false, 500, jwt.RequestTimeout, bearer(""))
}

// panicking is a transport with a defect.
type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("defect") }

func TestInternalError(t *testing.T) {
	i := newIssuer(t, nil)
	cache := jwt.NewCache(&http.Client{Transport: panicking{}}, jwt.FetchTimeout)
	guarded(t, Config{keys: cache}, closedPort(t), i.guard()).
		checkDenied(false, 500, jwt.InternalError, bearer(""))
}

// Redirect and fixed response are guarded as well, and a rule's action like the default one.
func TestValidationBeforeOtherActions(t *testing.T) {
	i := newIssuer(t, nil)
	f := guarded(t, Config{RootCAs: i.roots()}, closedPort(t), func(l *Listener) {
		l.Default = []Action{{Type: ActionFixedResponse, FixedResponse: &FixedResponse{StatusCode: 204}}}
	}, i.guard(), func(l *Listener) {
		l.Rules = []Rule{{Priority: 1, Conditions: []Condition{{Field: HTTPHeader,
			HeaderName: "authorization", Values: []string{"*e30*"}}}, Actions: l.Default}}
		l.Default = []Action{{Type: ActionFixedResponse, FixedResponse: &FixedResponse{StatusCode: 200}}}
	})
	for authorization, want := range map[string]int{bearer(""): 200, "Bearer e30": 401,
		"Bearer " + sign(signingKey(), `{"alg":"RS256"}`, `{"iss":"https://me","exp":9e9,"x":`+
			`{}}`): 200} {
		if status, _ := f.answer(false, authorization); status != want {
			t.Errorf("%s: %d, want %d", authorization, status, want)
		}
	}
}

// Policies that AWS would refuse do not compile, nor do actions in another order or on HTTP.
func TestRefusedValidations(t *testing.T) {
	good := Action{Type: ActionJWTValidation, JWTValidation: &JWTValidation{
		JWKSEndpoint: "https://a/b", Issuer: "i"}}
	fixed := Action{Type: ActionFixedResponse, FixedResponse: &FixedResponse{StatusCode: 200}}
	spec := func(protocol Protocol, actions ...Action) TableSpec {
		ln := Listener{ID: "l", Protocol: protocol, Default: actions,
			Binds: []Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}}}
		if protocol == HTTPS {
			secure(certFor(t, "c", false, "a"))(&ln)
		}
		return TableSpec{Listeners: []Listener{ln}}
	}
	if _, err := Compile(spec(HTTPS, good, fixed)); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]TableSpec{
		"on HTTP":     spec(HTTP, good, fixed),
		"alone":       spec(HTTPS, good),
		"behind":      spec(HTTPS, fixed, good),
		"twice":       spec(HTTPS, good, good, fixed),
		"no settings": spec(HTTPS, Action{Type: ActionJWTValidation}, fixed),
		"bad settings": spec(HTTPS, Action{Type: ActionJWTValidation,
			JWTValidation: &JWTValidation{JWKSEndpoint: "http://a", Issuer: "i"}}, fixed),
	} {
		if _, err := Compile(s); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
}
