package wiretest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Boto3 runs a Python script in which client(service) makes a boto3 client of the handler, signing
// with key and secret. The script fails the test by raising. It skips where there is no boto3.
func Boto3(t *testing.T, h http.Handler, key, secret, script string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	if out, err := exec.Command(python, "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("python3 has no boto3: %s", out)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), python, "-c", boto3Prelude+script)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+key,
		"AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION=eu-west-1", "AWS_MAX_ATTEMPTS=1",
		"AWS_EC2_METADATA_DISABLED=true")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, strings.TrimSpace(string(out)))
	}
}

const boto3Prelude = `
import boto3, botocore.exceptions

def client(service, **credentials):
    return boto3.Session().client(service, **credentials)

def code(fn, **params):
    try:
        fn(**params)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    return None

def same(got, want):
    assert got == want, "got %r, want %r" % (got, want)

`
