package wire_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/wire"
)

// cloudWatch is a router of one API that speaks three protocols.
func cloudWatch() *wire.Router {
	r := wire.NewRouter(wire.Config{MaxBody: 256})
	wire.Handle(r, cloudwatch.OpDescribeAlarms, func(
		_ context.Context, in *cloudwatch.DescribeAlarmsInput,
	) (*cloudwatch.DescribeAlarmsOutput, error) {
		return &cloudwatch.DescribeAlarmsOutput{
			MetricAlarms: []cloudwatch.MetricAlarm{{AlarmName: in.AlarmNamePrefix}},
		}, nil
	})
	wire.Handle(r, cloudwatch.OpPutMetricData, func(
		context.Context, *cloudwatch.PutMetricDataInput,
	) (*cloudwatch.PutMetricDataOutput, error) {
		return nil, cloudwatch.InvalidParameterValueException("no")
	})
	wire.Handle(r, cloudwatch.OpDeleteAlarms, func(
		context.Context, *cloudwatch.DeleteAlarmsInput,
	) (*cloudwatch.DeleteAlarmsOutput, error) {
		return nil, nil
	})
	return r
}

// cborCall calls an operation in rpcv2Cbor.
func cborCall(t *testing.T, op string, body []byte, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	path := "/service/GraniteServiceVersion20100801/operation/" + op
	req := httptest.NewRequest("POST", path, bytes.NewReader(body))
	req.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	req.Header.Set("X-Amz-Date", "20260102T030405Z")
	req.Header.Set("Authorization", signed("monitoring"))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	cloudWatch().ServeHTTP(w, req)
	if w.Header().Get("Smithy-Protocol") != "rpc-v2-cbor" {
		t.Errorf("the answer does not say its protocol: %v", w.Header())
	}
	return w
}

func document(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func fault(t *testing.T, w *httptest.ResponseRecorder) (name, message, query string) {
	t.Helper()
	var body map[string]string
	if err := cbor.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%x: %v", w.Body, err)
	}
	return body["__type"], body["message"], w.Header().Get("X-Amzn-Query-Error")
}

func TestCBORAnswers(t *testing.T) {
	w := cborCall(t, "DescribeAlarms", document(t, map[string]any{"AlarmNamePrefix": "a"}))
	var out struct{ MetricAlarms []struct{ AlarmName string } }
	if err := cbor.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusOK ||
		len(out.MetricAlarms) != 1 || out.MetricAlarms[0].AlarmName != "a" ||
		w.Header().Get("Content-Type") != "application/cbor" {
		t.Errorf("%d %v %x, %v", w.Code, w.Header(), w.Body, err)
	}
	w = cborCall(t, "DeleteAlarms", document(t, map[string]any{"AlarmNames": []string{"a"}}))
	if w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Type") != "" {
		t.Errorf("no output is answered with %d %v %x", w.Code, w.Header(), w.Body)
	}
}

// TestCBORFaults: errors have the names of their shapes, and the header has their names in awsQuery.
func TestCBORFaults(t *testing.T) {
	good := document(t, map[string]any{"Namespace": "n"})
	for name, c := range map[string]struct {
		op, is, message, query string
		body                   []byte
	}{
		"a handler's": {"PutMetricData", "InvalidParameterValueException", "no",
			"InvalidParameterValue;Sender", good},
		"the model's": {"DeleteAlarms", "ValidationError", "1 validation error detected: Value null at " +
			"'alarmNames' failed to satisfy constraint: Member must not be null",
			"ValidationError;Sender", document(t, map[string]any{})},
		"of the form": {"DeleteAlarms", "SerializationException",
			"string can not be converted to list", "SerializationException;Sender",
			document(t, map[string]any{"AlarmNames": "a"})},
		"of the document": {"DeleteAlarms", "SerializationException", "Unable to parse the document: " +
			"unexpected EOF", "SerializationException;Sender", []byte{0xa1}},
		"not served": {"PutDashboard", "UnknownOperationException", "Unknown operation PutDashboard: " +
			"Fairlead does not serve it yet, see SCOPE.md.", "UnknownOperationException;Sender", nil},
	} {
		w := cborCall(t, c.op, c.body)
		is, message, query := fault(t, w)
		if w.Code != http.StatusBadRequest || is != c.is || message != c.message || query != c.query {
			t.Errorf("%s: %d %s: %s (%s)", name, w.Code, is, message, query)
		}
	}
}

// TestCompressedBody: the limit holds for what comes out, too.
func TestCompressedBody(t *testing.T) {
	compress := func(prefix string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(document(t, map[string]any{"AlarmNamePrefix": prefix}))
		z.Close()
		return b.Bytes()
	}
	w := cborCall(t, "DescribeAlarms", compress("small"), "Content-Encoding", "gzip")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "small") {
		t.Errorf("%d %x", w.Code, w.Body)
	}
	w = cborCall(t, "DescribeAlarms", compress(strings.Repeat("x", 1000)), "Content-Encoding", "gzip")
	if is, _, _ := fault(t, w); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", w.Code, is)
	}
	w = cborCall(t, "DescribeAlarms", []byte("plain"), "Content-Encoding", "gzip")
	if is, _, _ := fault(t, w); is != "SerializationException" {
		t.Errorf("%d %s", w.Code, is)
	}
}

// TestOtherProtocolsOfTheSameAPI: the same handlers answer in awsJson1_0 and awsQuery.
func TestOtherProtocolsOfTheSameAPI(t *testing.T) {
	w := request{target: cloudwatch.API.TargetPrefix + ".PutMetricData", service: "monitoring",
		body: `{"Namespace":"n"}`, header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}.send(t, cloudWatch())
	if want := `{"__type":"InvalidParameterValueException","message":"no"}`; w.Body.String() != want ||
		w.Header().Get("X-Amzn-Query-Error") != "InvalidParameterValue;Sender" ||
		w.Header().Get("Content-Type") != "application/x-amz-json-1.0" {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	w = request{service: "monitoring", body: "Action=DescribeAlarms&Version=2010-08-01&" +
		"AlarmNamePrefix=a"}.send(t, cloudWatch())
	if want := "<member><AlarmName>a</AlarmName></member>"; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if cloudwatch.API.Speaks(aws.EC2Query) {
		t.Error("CloudWatch speaks ec2Query")
	}
}
