package wire

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fairlead/internal/aws"
)

type who struct{}

type whoami struct {
	Account *string `json:"Account,omitempty"`
	Region  *string `json:"Region,omitempty"`
}

// authWorld serves Who in all three protocols at a fixed time.
func authWorld(cfg Config, now time.Time) *Router {
	cfg.Now = func() time.Time { return now }
	r := NewRouter(cfg)
	for _, api := range []aws.API{
		{Name: "j", Protocol: aws.AWSJSON11, SigningName: "j", TargetPrefix: "J"},
		{Name: "q", Protocol: aws.AWSQuery, SigningName: "q", Version: "1"},
		{Name: "e", Protocol: aws.EC2Query, SigningName: "e", Version: "2"},
	} {
		Handle(r, aws.Operation[who, whoami]{API: &api, Name: "Who", ResultWrapper: "WhoResult"},
			func(ctx context.Context, _ *who) (*whoami, error) {
				c := aws.CallerFrom(ctx)
				return &whoami{&c.Account, &c.Region}, nil
			})
	}
	return r
}

// authCall is how a test's client signs: the zero value is right in everything.
type authCall struct {
	key, secret, token string
	at                 time.Time
	service            string
	tamper             bool
}

func (a authCall) send(r *Router, p aws.Protocol) *httptest.ResponseRecorder {
	service := map[aws.Protocol]string{
		aws.AWSJSON11: "j", aws.AWSQuery: "q", aws.EC2Query: "e",
	}[p]
	body := map[aws.Protocol]string{
		aws.AWSJSON11: "{}", aws.AWSQuery: "Action=Who&Version=1", aws.EC2Query: "Action=Who&Version=2",
	}[p]
	req := httptest.NewRequest("POST", "/", strings.NewReader(body))
	if p == aws.AWSJSON11 {
		req.Header.Set("X-Amz-Target", "J.Who")
	}
	if a.token != "" {
		req.Header.Set("X-Amz-Security-Token", a.token)
	}
	if a.service != "" {
		service = a.service
	}
	req.Header.Set("X-Amz-Date", a.at.Format(sigTime))
	credential := strings.Join([]string{a.key, a.at.Format("20060102"), "eu-west-1", service,
		sigTerminator}, "/")
	header := sigAlgorithm + " Credential=" + credential + ",SignedHeaders=host;x-amz-date,Signature="
	s, err := parseAuthorization(header+"0", req.Header)
	if err == nil {
		payload, _ := s.payloadHash(req, []byte(body))
		req.Header.Set("Authorization",
			header+s.sign(s.stringToSign(s.canonical(req, payload)), a.secret))
	}
	if a.tamper {
		req.Host = "elsewhere"
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func TestAuthentication(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	keys := map[string]Key{
		"KEY":     {Secret: "s"},
		"OTHER":   {Secret: "s", Account: "000000000001"},
		"EXPIRED": {Secret: "s", Expires: now},
		"SESSION": {Secret: "s", SessionToken: "tok", Expires: now.Add(time.Second)},
	}
	lookup := func(_ context.Context, key string) (Key, bool) {
		return Key{Secret: "s", Account: "000000000002"}, key == "ROLE"
	}
	home := [3]string{"123456789012", "123456789012", "123456789012"}
	account := func(id string) [3]string { return [3]string{id, id, id} }
	wrong := [3]string{"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"}
	unknown := [3]string{"UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"}
	hour := now.Add(-time.Hour)
	for name, tt := range map[string]struct {
		authCall
		open bool      // no keys configured
		want [3]string // of awsJson, awsQuery, ec2Query: the account or the error
	}{
		"right":          {authCall{key: "KEY", secret: "s"}, false, home},
		"mapped account": {authCall{key: "OTHER", secret: "s"}, false, account("000000000001")},
		"looked up":      {authCall{key: "ROLE", secret: "s"}, false, account("000000000002")},
		"session":        {authCall{key: "SESSION", secret: "s", token: "tok"}, false, home},
		"open":           {authCall{key: "ANY", secret: "x"}, true, home},
		"open, account":  {authCall{key: "111122223333"}, true, account("111122223333")},
		"open, old":      {authCall{key: "ANY", secret: "x", at: hour}, true, home},
		"wrong secret":   {authCall{key: "KEY", secret: "x"}, false, wrong},
		"tampered":       {authCall{key: "KEY", secret: "s", tamper: true}, false, wrong},
		"unknown key":    {authCall{key: "NONE", secret: "s"}, false, unknown},
		"no token":       {authCall{key: "SESSION", secret: "s"}, false, unknown},
		"expired key": {authCall{key: "EXPIRED", secret: "s"}, false,
			[3]string{"ExpiredTokenException", "ExpiredToken", "RequestExpired"}},
		"stale": {authCall{key: "KEY", secret: "s", at: hour}, false,
			[3]string{"InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired"}},
		"other service": {authCall{key: "KEY", secret: "s", service: "x"}, false,
			[3]string{"InvalidSignatureException", "InvalidAction", "InvalidAction"}},
		"malformed key": {authCall{key: "a b", secret: "s"}, false, [3]string{
			"MissingAuthenticationTokenException", "MissingAuthenticationToken",
			"MissingAuthenticationToken"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Keys: keys, Lookup: lookup}
			if tt.open {
				cfg = Config{}
			}
			if tt.at.IsZero() {
				tt.at = now
			}
			r := authWorld(cfg, now)
			for i, p := range []aws.Protocol{aws.AWSJSON11, aws.AWSQuery, aws.EC2Query} {
				w, want := tt.send(r, p), tt.want[i]
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("%s: got %d %s, want %s", p, w.Code, w.Body, want)
				}
				if good := len(want) == 12 && want[0] <= '9'; good != (w.Code == 200) {
					t.Errorf("%s: status %d", p, w.Code)
				}
			}
		})
	}
}

func TestSignatureRequiredWithoutKeys(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := authCall{key: "ANY", secret: "x", at: now}.send(
		authWorld(Config{RequireSignature: true}, now), aws.AWSJSON11)
	if w.Code != 403 || !strings.Contains(w.Body.String(), "UnrecognizedClientException") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
