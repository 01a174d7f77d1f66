package sts

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	api "fairlead/internal/api/sts"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
	"fairlead/internal/wire"
	"fairlead/internal/wire/wiretest"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newService has the roles task and, linked to a service, AWSServiceRoleForECS.
func newService(t *testing.T) *Service {
	t.Helper()
	s := New(statetest.Open(t, row.Tables()...))
	s.now = func() time.Time { return start }
	statetest.Update(t, s.store, func(tx *state.Tx) {
		row.Roles.Put(tx, row.Role{
			Account: "123456789012", Name: "task", Path: "/app/", ID: "AROAEXAMPLE", MaxSession: 7200,
		})
		row.Roles.Put(tx, row.Role{
			Account: "123456789012", Name: "AWSServiceRoleForECS", Path: "/", Service: "ecs",
		})
	})
	return s
}

func serve(s *Service, cfg wire.Config) http.Handler {
	cfg.Lookup = s.Lookup
	r := wire.NewRouter(cfg)
	s.Register(r)
	return r
}

func TestScripts(t *testing.T) {
	hidden := regexp.MustCompile(`(?P<key>\bASIA[A-Z2-7]{16}\b)|` +
		`(?P<token>[A-Za-z0-9+/]{352})|(?P<secret>[A-Za-z0-9+/]{40})`)
	wiretest.Scripts(t, &api.API, hidden, func(t *testing.T) http.Handler {
		return serve(newService(t), wire.Config{})
	})
}

// TestSessionsAuthenticate signs with credentials that were given out, and after their end.
func TestSessionsAuthenticate(t *testing.T) {
	s := newService(t)
	session, err := s.AssumeFor(t.Context(), "123456789012",
		"arn:aws:iam::123456789012:role/app/task", "0123")
	if err != nil {
		t.Fatal(err)
	}
	key, ok := s.Lookup(t.Context(), session.AccessKey)
	if !ok || key.Secret != session.Secret || key.SessionToken != session.Token ||
		key.Account != "123456789012" || !key.Expires.Equal(start.Add(time.Hour)) {
		t.Errorf("got %+v, %v", key, ok)
	}
	s.now = func() time.Time { return start.Add(2 * time.Hour) }
	if _, err := s.AssumeFor(t.Context(), "123456789012",
		"arn:aws:iam::123456789012:role/app/task", "0124"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Lookup(t.Context(), session.AccessKey); ok {
		t.Error("an expired session is kept")
	}
}

// TestBoto3 lets boto3 sign with keys and with the credentials of sessions.
func TestBoto3(t *testing.T) {
	s := newService(t)
	s.now = time.Now
	h := serve(s, wire.Config{Keys: map[string]wire.Key{"AKIDEXAMPLE": {Secret: "s/e+c r"}}})
	wiretest.Boto3(t, h, "AKIDEXAMPLE", "s/e+c r", `
sts = client("sts")
same(sts.get_caller_identity()["Arn"], "arn:aws:iam::123456789012:root")
role = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/app/task", RoleSessionName="me")
c = role["Credentials"]
session = dict(aws_access_key_id=c["AccessKeyId"], aws_secret_access_key=c["SecretAccessKey"])
whole = client("sts", aws_session_token=c["SessionToken"], **session)
same(whole.get_caller_identity()["Arn"], "arn:aws:sts::123456789012:assumed-role/task/me")
same(code(client("sts", **session).get_caller_identity), "InvalidClientTokenId")
session["aws_secret_access_key"] = "x"
wrong = client("sts", aws_session_token=c["SessionToken"], **session)
same(code(wrong.get_caller_identity), "SignatureDoesNotMatch")
same(code(client("sts", aws_access_key_id="NONE", aws_secret_access_key="x").get_caller_identity),
     "InvalidClientTokenId")
import urllib.error, urllib.request
url = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
same(b"<Account>123456789012</Account>" in urllib.request.urlopen(url).read(), True)
try:
    urllib.request.urlopen(url.replace("GetCallerIdentity", "GetSessionToken"))
    raise AssertionError("a presigned URL is good for another action")
except urllib.error.HTTPError as e:
    same(e.code, 403)
same(code(sts.assume_role, RoleArn="arn:aws:iam::123456789012:role/none", RoleSessionName="me"),
     "AccessDenied")
`)
}

func TestUnsignedIsRefused(t *testing.T) {
	w := httptest.NewRecorder()
	body := strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15")
	serve(newService(t), wire.Config{}).ServeHTTP(w, httptest.NewRequest("POST", "/", body))
	if w.Code != http.StatusForbidden {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
