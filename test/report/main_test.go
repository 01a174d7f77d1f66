package main

import (
	"strings"
	"testing"
)

const stream = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"    noise\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestRoot","Output":"=== RUN   TestRoot\n"}
{"Action":"output","Package":"p","Test":"TestRoot","Output":"    a_test.go:3: needs root\n"}
{"Action":"output","Package":"p","Test":"TestRoot","Output":"--- SKIP: TestRoot (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestRoot"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
`

func TestReportOfSkips(t *testing.T) {
	var out strings.Builder
	failed, err := report(strings.NewReader(stream), &out)
	want := "    a_test.go:3: needs root\n--- SKIP: TestRoot (0.00s)\nok  \tp\t0.1s\n"
	if err != nil || failed || out.String() != want {
		t.Errorf("report = %v, %v:\n%s\nwant:\n%s", failed, err, &out, want)
	}
}

func TestReportOfFailures(t *testing.T) {
	var out strings.Builder
	failed, err := report(strings.NewReader(`not json
{"Action":"output","Package":"p","Test":"TestBad","Output":"    a_test.go:9: 1, want 2\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`), &out)
	for _, want := range []string{"not json\n", "1, want 2", "--- FAIL: TestBad", "FAIL\tp"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the report:\n%s", want, &out)
		}
	}
	if err != nil || !failed {
		t.Errorf("report = %v, %v, want a failure", failed, err)
	}
}
