package wire_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fairlead/internal/api/ec2"
	"fairlead/internal/api/ecs"
	"fairlead/internal/api/elbv2"
	"fairlead/internal/api/sts"
	"fairlead/internal/aws"
	"fairlead/internal/wire"
)

// signed is a well-formed Authorization header for the service; no router of these tests has keys.
func signed(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/" + service +
		"/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
}

// request is a call as a client sends it: an awsJson one when it has a target.
type request struct {
	method, target, service, body string
	header                        http.Header
}

func (q request) send(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	method := q.method
	if method == "" {
		method = "POST"
	}
	url := "http://localhost:4566/"
	body := io.Reader(strings.NewReader(q.body))
	if method == "GET" {
		url, body = url+"?"+q.body, nil
	}
	req := httptest.NewRequest(method, url, body)
	if q.target != "" {
		req.Header.Set("X-Amz-Target", q.target)
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	} else {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("X-Amz-Date", "20260102T030405Z")
	if q.service != "" {
		req.Header.Set("Authorization", signed(q.service))
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// world is a router with one operation of each protocol and of each way to go wrong.
func world(cfg wire.Config) *wire.Router {
	r := wire.NewRouter(cfg)
	wire.Handle(r, ecs.OpCreateCluster, createCluster)
	wire.Handle(r, ecs.OpDescribeClusters,
		func(context.Context, *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
			return &ecs.DescribeClustersOutput{Clusters: []ecs.Cluster{}}, nil
		})
	wire.Handle(r, ecs.OpRunTask,
		func(context.Context, *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
			return nil, ecs.ConflictException("again").With("resourceIds", []string{"a"})
		})
	wire.Handle(r, ecs.OpStopTask,
		func(context.Context, *ecs.StopTaskInput) (*ecs.StopTaskOutput, error) { panic("boom") })
	wire.Handle(r, ecs.OpListTasks,
		func(context.Context, *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
			return nil, errors.New("secret of the store")
		})
	wire.Handle(r, sts.OpGetCallerIdentity, identity)
	wire.Handle(r, elbv2.OpDescribeLoadBalancers,
		func(context.Context, *elbv2.DescribeLoadBalancersInput) (
			*elbv2.DescribeLoadBalancersOutput, error,
		) {
			return nil, elbv2.LoadBalancerNotFoundException("Load balancers '[%s]' not found", "<x>")
		})
	wire.Handle(r, elbv2.OpDescribeRules, emptyRules)
	wire.Handle(r, ec2.OpDescribeVpcs, describeVpcs)
	wire.Handle(r, ec2.OpDeleteVpc,
		func(context.Context, *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) { return nil, nil })
	return r
}

func createCluster(
	ctx context.Context, in *ecs.CreateClusterInput,
) (*ecs.CreateClusterOutput, error) {
	arn := aws.CallerFrom(ctx).ARN("ecs", "cluster/"+aws.Or(in.ClusterName, "default"))
	return &ecs.CreateClusterOutput{Cluster: &ecs.Cluster{ClusterArn: &arn, Tags: in.Tags}}, nil
}

func identity(
	ctx context.Context, _ *sts.GetCallerIdentityInput,
) (*sts.GetCallerIdentityOutput, error) {
	c := aws.CallerFrom(ctx)
	return &sts.GetCallerIdentityOutput{Account: &c.Account, UserId: &c.AccessKey}, nil
}

func emptyRules(
	context.Context, *elbv2.DescribeRulesInput,
) (*elbv2.DescribeRulesOutput, error) {
	return &elbv2.DescribeRulesOutput{}, nil
}

func describeVpcs(_ context.Context, in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	out := &ec2.DescribeVpcsOutput{}
	for _, id := range in.VpcIds {
		out.Vpcs = append(out.Vpcs, ec2.Vpc{VpcId: &id, Tags: []ec2.Tag{}})
	}
	return out, nil
}

const (
	ecsTarget  = "AmazonEC2ContainerServiceV20141113."
	elbVersion = "&Version=2015-12-01"
	ec2Version = "&Version=2016-11-15"
	stsVersion = "&Version=2011-06-15"
)

func TestAnswers(t *testing.T) {
	many := strings.Repeat("x", 129)
	for name, tt := range map[string]struct {
		request
		status int
		body   string // wanted, with the request id written ID
	}{
		"json": {
			request{target: ecsTarget + "CreateCluster", service: "ecs",
				body: `{"clusterName":"web","tags":[{"key":"a","value":null}],"x":[{}]}`},
			200, `{"cluster":{"clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/web",` +
				`"tags":[{"key":"a"}]}}`,
		},
		"json without a body": {
			request{target: ecsTarget + "CreateCluster", service: "ecs"},
			200, `{"cluster":{"clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/default"}}`,
		},
		"json keeps an empty list": {
			request{target: ecsTarget + "DescribeClusters", service: "ecs", body: "{}"},
			200, `{"clusters":[]}`,
		},
		"json fault with a member": {
			request{target: ecsTarget + "RunTask", service: "ecs", body: `{"taskDefinition":"t"}`},
			400, `{"__type":"ConflictException","message":"again","resourceIds":["a"]}`,
		},
		"json panic": {
			request{target: ecsTarget + "StopTask", service: "ecs", body: `{"task":"t"}`},
			500, `{"__type":"InternalFailure","message":"An internal error has occurred"}`,
		},
		"json internal error": {
			request{target: ecsTarget + "ListTasks", service: "ecs", body: `{}`},
			500, `{"__type":"InternalFailure","message":"An internal error has occurred"}`,
		},
		"json required member": {
			request{target: ecsTarget + "StopTask", service: "ecs", body: `{"task":null}`},
			400, `{"__type":"InvalidParameterException","message":"1 validation error detected: ` +
				`Value null at 'task' failed to satisfy constraint: Member must not be null"}`,
		},
		"json enumeration": {
			request{target: ecsTarget + "RunTask", service: "ecs",
				body: `{"taskDefinition":"t","launchType":"MOON"}`},
			400, `{"__type":"InvalidParameterException","message":"1 validation error detected: ` +
				`Value 'MOON' at 'launchType' failed to satisfy constraint: Member must satisfy ` +
				`enum value set: [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]"}`,
		},
		"json wrong type": {
			request{target: ecsTarget + "CreateCluster", service: "ecs", body: `{"clusterName":3}`},
			400, `{"__type":"SerializationException",` +
				`"message":"NUMBER_VALUE can not be converted to a String"}`,
		},
		"json operation not built": {
			request{target: ecsTarget + "CreateTaskSet", service: "ecs", body: `{}`},
			400, `{"__type":"UnknownOperationException","message":"Unknown operation ` +
				`CreateTaskSet: Fairlead does not serve it yet, see SCOPE.md."}`,
		},
		"json unknown operation": {
			request{target: ecsTarget + "Fly", service: "ecs", body: `{}`},
			400, `{"__type":"UnknownOperationException","message":"Unknown operation Fly."}`,
		},
		"json unknown service": {
			request{target: "DynamoDB_20120810.ListTables", service: "dynamodb", body: `{}`},
			400, `{"__type":"UnknownOperationException",` +
				`"message":"Unknown operation DynamoDB_20120810.ListTables: ` +
				`Fairlead does not serve this service, see SCOPE.md."}`,
		},
		"json unsigned": {
			request{target: ecsTarget + "CreateCluster", body: `{}`},
			403, `{"__type":"MissingAuthenticationTokenException",` +
				`"message":"Request is missing Authentication Token"}`,
		},
		"query": {
			request{service: "sts", body: "Action=GetCallerIdentity" + stsVersion},
			200, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">` +
				`<GetCallerIdentityResult><Account>123456789012</Account><UserId>AKIDEXAMPLE` +
				`</UserId></GetCallerIdentityResult><ResponseMetadata><RequestId>ID</RequestId>` +
				`</ResponseMetadata></GetCallerIdentityResponse>`,
		},
		"query by GET": {
			request{method: "GET", service: "elasticloadbalancing",
				body: "Action=DescribeRules" + elbVersion},
			200, `<DescribeRulesResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/` +
				`2015-12-01/"><DescribeRulesResult><Rules></Rules></DescribeRulesResult>` +
				`<ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata>` +
				`</DescribeRulesResponse>`,
		},
		"query fault": {
			request{service: "elasticloadbalancing",
				body: "Action=DescribeLoadBalancers" + elbVersion},
			400, `<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">` +
				`<Error><Type>Sender</Type><Code>LoadBalancerNotFound</Code><Message>Load ` +
				`balancers &#39;[&lt;x&gt;]&#39; not found</Message></Error>` +
				`<RequestId>ID</RequestId></ErrorResponse>`,
		},
		"query validation": {
			request{service: "elasticloadbalancing",
				body: "Action=DescribeRules&PageSize=401" + elbVersion},
			400, `<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">` +
				`<Error><Type>Sender</Type><Code>ValidationError</Code><Message>1 validation ` +
				`error detected: Value &#39;401&#39; at &#39;pageSize&#39; failed to satisfy ` +
				`constraint: Member must have value less than or equal to 400</Message></Error>` +
				`<RequestId>ID</RequestId></ErrorResponse>`,
		},
		"query operation not built": {
			request{service: "elasticloadbalancing", body: "Action=DescribeCapacityReservation" +
				elbVersion},
			400, `<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">` +
				`<Error><Type>Sender</Type><Code>InvalidAction</Code><Message>The action ` +
				`DescribeCapacityReservation is not valid for this web service: Fairlead does ` +
				`not serve it yet, see SCOPE.md.</Message></Error>` +
				`<RequestId>ID</RequestId></ErrorResponse>`,
		},
		"query of another version": {
			request{service: "elasticloadbalancing",
				body: "Action=DescribeRules&Version=2012-06-01"},
			400, `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>` +
				`Could not find operation DescribeRules for version 2012-06-01: ` +
				`Fairlead does not serve this service, see SCOPE.md.</Message></Error>` +
				`<RequestId>ID</RequestId></ErrorResponse>`,
		},
		"query without an action": {
			request{service: "sts", body: "Version=2011-06-15"},
			400, `<ErrorResponse><Error><Type>Sender</Type><Code>MissingAction</Code><Message>` +
				`The request is missing an action or a required parameter.</Message></Error>` +
				`<RequestId>ID</RequestId></ErrorResponse>`,
		},
		"query malformed": {
			request{service: "sts", body: "Action=%zz"},
			400, `<ErrorResponse><Error><Type>Sender</Type><Code>MalformedQueryString</Code>` +
				`<Message>The query string or form is malformed: invalid URL escape ` +
				`&#34;%zz&#34;</Message></Error><RequestId>ID</RequestId></ErrorResponse>`,
		},
		"ec2": {
			request{service: "ec2", body: "Action=DescribeVpcs&VpcId.2=b&VpcId.1=a" + ec2Version},
			200, ec2Head + `<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15">` +
				`<requestId>ID</requestId><vpcSet><item><tagSet></tagSet><vpcId>a</vpcId></item>` +
				`<item><tagSet></tagSet><vpcId>b</vpcId></item></vpcSet></DescribeVpcsResponse>`,
		},
		"ec2 with nothing to say": {
			request{service: "ec2", body: "Action=DeleteVpc&VpcId=a" + ec2Version},
			200, ec2Head + `<DeleteVpcResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15">` +
				`<requestId>ID</requestId><return>true</return></DeleteVpcResponse>`,
		},
		"ec2 required parameter": {
			request{service: "ec2", body: "Action=DeleteVpc" + ec2Version},
			400, ec2Head + `<Response><Errors><Error><Code>MissingParameter</Code><Message>` +
				`The request must contain the parameter vpcId</Message></Error></Errors>` +
				`<RequestID>ID</RequestID></Response>`,
		},
		"ec2 not a number": {
			request{service: "ec2", body: "Action=DescribeVpcs&MaxResults=few" + ec2Version},
			400, ec2Head + `<Response><Errors><Error><Code>InvalidParameterValue</Code><Message>` +
				`Value (few) for parameter MaxResults is invalid. few can not be converted to an ` +
				`Integer</Message></Error></Errors><RequestID>ID</RequestID></Response>`,
		},
		"compressed": {
			request{service: "sts", header: http.Header{"Content-Encoding": {"br"}}},
			400, `<ErrorResponse><Error><Type>Sender</Type><Code>MalformedQueryString</Code>` +
				`<Message>Content-Encoding br is not supported</Message></Error>` +
				`<RequestId>ID</RequestId></ErrorResponse>`,
		},
		"too large": {
			request{target: ecsTarget + "CreateCluster", service: "ecs", body: many},
			413, `{"__type":"RequestEntityTooLarge",` +
				`"message":"Request body is larger than 128 bytes"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := tt.send(t, world(wire.Config{MaxBody: 128}))
			id := w.Header().Get("X-Amzn-Requestid")
			if len(id) != 36 {
				t.Errorf("request id %q", id)
			}
			got := strings.ReplaceAll(w.Body.String(), id, "ID")
			if w.Code != tt.status || got != tt.body {
				t.Errorf("got  %d %s\nwant %d %s", w.Code, got, tt.status, tt.body)
			}
		})
	}
}

const ec2Head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

func TestHeaders(t *testing.T) {
	h := world(wire.Config{})
	for name, tt := range map[string]struct {
		request
		contentType, errorType string
	}{
		"json": {request{target: ecsTarget + "ListTasks"},
			"application/x-amz-json-1.1", "MissingAuthenticationTokenException"},
		"query": {request{body: "Action=GetCallerIdentity" + stsVersion}, "text/xml", ""},
		"ec2": {request{body: "Action=DescribeVpcs" + ec2Version, service: "ec2"},
			"text/xml;charset=UTF-8", ""},
	} {
		got := tt.send(t, h).Header()
		if got.Get("Content-Type") != tt.contentType || got.Get("X-Amzn-Errortype") != tt.errorType {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestCallsAreLogged(t *testing.T) {
	var log bytes.Buffer
	h := world(wire.Config{Logger: slog.New(slog.NewTextHandler(&log,
		&slog.HandlerOptions{Level: slog.LevelDebug}))})
	request{target: ecsTarget + "ListTasks", service: "ecs"}.send(t, h)
	request{target: ecsTarget + "StopTask", service: "ecs", body: `{"task":"t"}`}.send(t, h)
	for _, want := range []string{
		"msg=\"call failed\" op=ListTasks", "secret of the store",
		"msg=call op=ecs:ListTasks account=123456789012 region=eu-west-1",
		"status=500 code=InternalFailure", "msg=\"call panicked\" op=StopTask", "panic=boom",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, log.String())
		}
	}
}

func TestHandleTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the second handler of an operation was accepted")
		}
	}()
	wire.Handle(world(wire.Config{}), sts.OpGetCallerIdentity, identity)
}
