package ecs_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/row"
	"fairlead/internal/service/ecs"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
	"fairlead/internal/wire"
)

// world is an ECS service behind its router, over a store with a little network in it.
type world struct {
	t      *testing.T
	store  *state.Store
	router *wire.Router
	now    time.Time
}

const (
	account = "123456789012"
	region  = "eu-west-1"
	// good is a target group behind a load balancer; lone is behind none; other is of another VPC;
	// instance has the target type instance.
	good     = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/good/1"
	lone     = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/lone/2"
	other    = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/other/3"
	instance = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/instance/4"
)

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, store: statetest.Open(t, row.Tables()...), router: wire.NewRouter(wire.Config{}),
		now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC),
	}
	ecs.New(w.store, func() time.Time { return w.now }).Register(w.router)
	sc := row.Scope{Account: account, Region: region}
	statetest.Update(t, w.store, func(tx *state.Tx) {
		for _, s := range []struct{ id, vpc, zone string }{
			{"subnet-a", "vpc-1", "eu-west-1a"}, {"subnet-b", "vpc-1", "eu-west-1b"},
			{"subnet-x", "vpc-2", "eu-west-1a"},
		} {
			row.Subnets.Put(tx, row.Subnet{Scope: sc, ID: s.id, VPC: s.vpc, Zone: s.zone,
				CIDR: netip.MustParsePrefix("10.0.0.0/24")})
		}
		row.SecurityGroups.Put(tx, row.SecurityGroup{Scope: sc, ID: "sg-1", VPC: "vpc-1"})
		row.SecurityGroups.Put(tx, row.SecurityGroup{Scope: sc, ID: "sg-2", VPC: "vpc-2"})
		putGroup(tx, sc, good, "vpc-1", "ip", true)
		putGroup(tx, sc, lone, "vpc-1", "ip", false)
		putGroup(tx, sc, other, "vpc-2", "ip", true)
		putGroup(tx, sc, instance, "vpc-1", "instance", true)
	})
	return w
}

func putGroup(tx *state.Tx, sc row.Scope, arn, vpc, kind string, used bool) {
	row.TargetGroups.Put(tx, row.TargetGroup{Scope: sc, ARN: arn, Name: arn, VPC: vpc, TargetType: kind})
	if used {
		row.Rules.Put(tx, row.Rule{
			Scope: sc, ARN: "rule-" + arn, LoadBalancer: "lb",
			Actions: []api.Action{{ForwardConfig: &api.ForwardActionConfig{
				TargetGroups: []api.TargetGroupTuple{{TargetGroupArn: new(arn)}},
			}}},
		})
	}
}

// call makes a call over HTTP and returns the status and the body.
func (w *world) call(op, body string) (int, map[string]any) {
	w.t.Helper()
	req := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113."+op)
	req.Header.Set("X-Amz-Date", w.now.Format("20060102T150405Z"))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/"+w.now.Format("20060102")+
		"/"+region+"/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature="+
		strings.Repeat("0", 64))
	rec := httptest.NewRecorder()
	w.router.ServeHTTP(rec, req)
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		w.t.Fatalf("%s: %v in %s", op, err, rec.Body)
	}
	return rec.Code, out
}

// ok makes a call that must succeed.
func (w *world) ok(op, body string) map[string]any {
	w.t.Helper()
	status, out := w.call(op, body)
	if status != http.StatusOK {
		w.t.Fatalf("%s %s: status %d: %v", op, body, status, out)
	}
	return out
}

// refused makes a call that must fail with a code and a message that begins as given, and change
// nothing.
func (w *world) refused(op, body, code, message string) {
	w.t.Helper()
	before := w.store.View().Revision()
	status, out := w.call(op, body)
	got, _ := out["__type"].(string)
	text, _ := out["message"].(string)
	if status != http.StatusBadRequest || got != code || !strings.HasPrefix(text, message) {
		w.t.Errorf("%s %s:\n got  %d %s: %s\n want 400 %s: %s", op, body, status, got, text, code, message)
	}
	if after := w.store.View().Revision(); after != before {
		w.t.Errorf("%s %s: a refused call wrote to the store", op, body)
	}
}

// at looks up a member by a path such as "services.0.status".
func at(t *testing.T, v any, path string) any {
	t.Helper()
	for part := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[part]
		case []any:
			i := int(part[0] - '0')
			if i >= len(node) {
				t.Fatalf("%s: there are only %d", path, len(node))
			}
			v = node[i]
		default:
			t.Fatalf("%s: nothing at %s", path, part)
		}
	}
	return v
}

// want compares members with JSON values.
func want(t *testing.T, v any, members map[string]string) {
	t.Helper()
	for path, value := range members {
		var expected any
		if err := json.Unmarshal([]byte(value), &expected); err != nil {
			t.Fatal(path, err)
		}
		if got := at(t, v, path); !reflect.DeepEqual(got, expected) {
			shown, _ := json.Marshal(got)
			t.Errorf("%s = %s, want %s", path, shown, value)
		}
	}
}

// fargate is a definition that Fargate runs, with more members put at the front.
func fargate(more string) string {
	return `{` + more + `"family":"web","requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc",
		"cpu":"256","memory":"512","containerDefinitions":[
		{"name":"app","image":"nginx","portMappings":[{"containerPort":80}]}]}`
}

// service is a CreateService of the definition web behind the target group good.
func service(more string) string {
	return `{` + more + `"cluster":"c","serviceName":"s","taskDefinition":"web","desiredCount":2,
		"launchType":"FARGATE",` + network + `,` + balancer(good, "app", "80") + `}`
}

const network = `"networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-a","subnet-b"],
	"securityGroups":["sg-1"]}}`

func balancer(group, container, port string) string {
	return `"loadBalancers":[{"targetGroupArn":"` + group + `","containerName":"` + container +
		`","containerPort":` + port + `}]`
}

// replace returns a call's body with one part of it replaced.
func replace(t *testing.T, body, old, new string) string {
	t.Helper()
	if !strings.Contains(body, old) {
		t.Fatalf("there is no %s in %s", old, body)
	}
	return strings.Replace(body, old, new, 1)
}
