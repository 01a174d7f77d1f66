package wire_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"fairlead/internal/wire"
)

// BenchmarkCall measures a whole call but for the network and the handler.
func BenchmarkCall(b *testing.B) {
	for name, q := range map[string]request{
		"json": {target: ecsTarget + "CreateCluster", service: "ecs",
			body: `{"clusterName":"web","tags":[{"key":"a","value":"b"}]}`},
		"query": {service: "sts", body: "Action=GetCallerIdentity" + stsVersion},
		"ec2":   {service: "ec2", body: "Action=DescribeVpcs&VpcId.1=a&VpcId.2=b" + ec2Version},
	} {
		b.Run(name, func(b *testing.B) {
			h := world(wire.Config{})
			req := httptest.NewRequest("POST", "/", nil)
			req.Header.Set("X-Amz-Date", "20260102T030405Z")
			req.Header.Set("Authorization", signed(q.service))
			if q.target != "" {
				req.Header.Set("X-Amz-Target", q.target)
			}
			for b.Loop() {
				req.Body = httptest.NewRequest("POST", "/", strings.NewReader(q.body)).Body
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, req); w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
