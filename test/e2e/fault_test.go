package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// TestFaults makes calls that are wrong, which get AWS's own error and change nothing.
func TestFaults(t *testing.T) {
	s := start(t).bringUp(nil)
	const steady = `has reached a steady state\.`
	for _, service := range []string{webService, apiService} {
		eventually(t, service+" tells its steady state", func() error { return s.told(service, steady) })
	}
	instances := s.instanceGroup()
	before := s.answers(t)
	for name, c := range s.wrongCalls(instances) {
		t.Run(name, func(t *testing.T) { checkFault(t, c.call(t.Context()), c) })
	}
	for name, c := range wrongRequests() {
		t.Run(name, func(t *testing.T) { s.checkRequest(t, c) })
	}
	sameAnswers(t, s.answers(t), before)
}

// wrongCall is a call that the SDK can make and the fault that it is to get.
type wrongCall struct {
	call    func(context.Context) error
	code    string
	status  int
	message string // a regular expression of the whole
}

func checkFault(t *testing.T, err error, want wrongCall) {
	t.Helper()
	var fault smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &fault) || !errors.As(err, &response) {
		t.Fatalf("the call returns %v, want a fault", err)
	}
	if fault.ErrorCode() != want.code || response.HTTPStatusCode() != want.status ||
		!regexp.MustCompile(`^`+want.message+`$`).MatchString(fault.ErrorMessage()) {
		t.Errorf("fault %d %s: %s\nwant %d %s: %s", response.HTTPStatusCode(), fault.ErrorCode(),
			fault.ErrorMessage(), want.status, want.code, want.message)
	}
}

const noGroup = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/none/0123456789abcdef"

func (s *stack) wrongCalls(instances string) map[string]wrongCall {
	web := s.groupARN("twtech-web")
	return map[string]wrongCall{
		"unknown target group in a rule": {
			s.newRule(99, noGroup), "TargetGroupNotFound", 400, `Target group '` + noGroup + `' not found`,
		},
		"unknown target group in a service": {
			s.newService("twtechwebapp", 80, noGroup), "InvalidParameterException", 400,
			`The specified target group does not exist.*`,
		},
		"unknown target group in DescribeTargetHealth": {
			func(ctx context.Context) error {
				_, err := s.elb.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: new(noGroup)})
				return err
			}, "TargetGroupNotFound", 400, `One or more target groups not found`,
		},
		"priority in use": {
			s.newRule(10, web), "PriorityInUse", 400, `Priority '10' is currently in use`,
		},
		"port that the task definition lacks": {
			s.newService("twtechwebapp", 81, web), "InvalidParameterException", 400,
			`The container twtechwebapp did not have a container port 81 defined\.`,
		},
		"container that the task definition lacks": {
			s.newService("other", 80, web), "InvalidParameterException", 400,
			`The container other does not exist in the task definition\.`,
		},
		"FARGATE with an instance target group": {
			s.newService("twtechwebapp", 80, instances), "InvalidParameterException", 400,
			`The provided target group \S+ has target type instance, which is incompatible with the awsvpc ` +
				`network mode specified in the task definition\.`,
		},
		"certificate of another key": {
			s.importWithOtherKey, "ValidationException", 400,
			`The private key does not match the certificate\.`,
		},
		"unknown cluster": {
			func(ctx context.Context) error {
				_, err := s.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: new("none")})
				return err
			}, "ClusterNotFoundException", 400, `Cluster not found\.`,
		},
	}
}

func (s *stack) listener() string {
	s.t.Helper()
	balancers := must(s.elb.DescribeLoadBalancers(s.t.Context(), &elb.DescribeLoadBalancersInput{}))(s.t)
	listeners := must(s.elb.DescribeListeners(s.t.Context(), &elb.DescribeListenersInput{
		LoadBalancerArn: balancers.LoadBalancers[0].LoadBalancerArn,
	}))(s.t)
	for _, l := range listeners.Listeners {
		if *l.Port == 443 {
			return *l.ListenerArn
		}
	}
	s.t.Fatal("there is no HTTPS listener")
	return ""
}

func (s *stack) newRule(priority int32, group string) func(context.Context) error {
	listener := s.listener()
	return func(ctx context.Context) error {
		_, err := s.elb.CreateRule(ctx, &elb.CreateRuleInput{
			ListenerArn: &listener, Priority: &priority,
			Conditions: []elbtypes.RuleCondition{{Field: new("path-pattern"), Values: []string{"/new"}}},
			Actions:    []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &group}},
		})
		return err
	}
}

func (s *stack) newService(container string, port int32, group string) func(context.Context) error {
	web := must(s.ecs.DescribeServices(s.t.Context(), &ecs.DescribeServicesInput{
		Cluster: new(cluster), Services: []string{webService},
	}))(s.t).Services[0]
	return func(ctx context.Context) error {
		_, err := s.ecs.CreateService(ctx, &ecs.CreateServiceInput{
			Cluster: new(cluster), ServiceName: new("new"), DesiredCount: new(int32(1)),
			TaskDefinition: web.TaskDefinition, LaunchType: types.LaunchTypeFargate,
			NetworkConfiguration: web.NetworkConfiguration,
			LoadBalancers: []types.LoadBalancer{{
				TargetGroupArn: &group, ContainerName: &container, ContainerPort: &port,
			}},
		})
		return err
	}
}

// instanceGroup makes a target group of instances and a rule that forwards to it.
func (s *stack) instanceGroup() string {
	s.t.Helper()
	groups := must(s.elb.DescribeTargetGroups(s.t.Context(), &elb.DescribeTargetGroupsInput{}))(s.t)
	out := must(s.elb.CreateTargetGroup(s.t.Context(), &elb.CreateTargetGroupInput{
		Name: new("instances"), Protocol: elbtypes.ProtocolEnumHttp, Port: new(int32(80)),
		VpcId: groups.TargetGroups[0].VpcId, TargetType: elbtypes.TargetTypeEnumInstance,
	}))(s.t)
	arn := *out.TargetGroups[0].TargetGroupArn
	if err := s.newRule(50, arn)(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return arn
}

// importWithOtherKey imports the stack's certificate with the key of another.
func (s *stack) importWithOtherKey(ctx context.Context) error {
	dir := s.t.TempDir()
	s.certificate(dir)
	cert, err := os.ReadFile(filepath.Join(s.dir, "cert.pem"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		return err
	}
	_, err = s.acm.ImportCertificate(ctx, &acm.ImportCertificateInput{Certificate: cert, PrivateKey: key})
	return err
}

// wrongRequest is one that no SDK makes.
type wrongRequest struct {
	target string // of awsJson1_1; empty for the query protocol
	body   string
	status int
	code   string
}

const ecsTarget = "AmazonEC2ContainerServiceV20141113."

// overLimit in bytes is more than any API takes: 4 MiB and one.
const overLimit = 4<<20 + 1

func wrongRequests() map[string]wrongRequest {
	large := strings.Repeat("x", overLimit)
	const elbVersion, ec2Version = "&Version=2015-12-01", "&Version=2016-11-15"
	return map[string]wrongRequest{
		"JSON that ends early":     {ecsTarget + "CreateCluster", `{"clusterName": "x`, 400, "SerializationException"},
		"JSON of another type":     {ecsTarget + "CreateCluster", `{"clusterName": 5}`, 400, "SerializationException"},
		"JSON that is none":        {ecsTarget + "CreateCluster", `clusterName=x`, 400, "SerializationException"},
		"unknown operation of ECS": {ecsTarget + "MakeCluster", `{}`, 400, "UnknownOperationException"},
		"unknown target":           {"Nobody.CreateCluster", `{}`, 400, "UnknownOperationException"},
		"body over the limit, ECS": {ecsTarget + "CreateCluster", `{"clusterName":"` + large + `"}`, 413, "RequestEntityTooLarge"},
		"form that is malformed":   {"", "Action=DescribeLoadBalancers" + elbVersion + "&Names=%zz", 400, "MalformedQueryString"},
		"number that is none":      {"", "Action=DescribeLoadBalancers" + elbVersion + "&PageSize=many", 400, "MalformedInput"},
		"unknown action of ELB":    {"", "Action=MakeLoadBalancer" + elbVersion, 400, "InvalidAction"},
		"unknown action of EC2":    {"", "Action=MakeVpc" + ec2Version, 400, "InvalidAction"},
		"action of no service":     {"", "Action=MakeVpc&Version=1999-01-01", 400, "InvalidAction"},
		"no action":                {"", "Name=x", 400, "MissingAction"},
		"body over the limit, ELB": {"", "Action=CreateTargetGroup" + elbVersion + "&Name=" + large, 413, "RequestEntityTooLarge"},
	}
}

// checkRequest posts the body and reads the error in the form of its protocol.
func (s *stack) checkRequest(t *testing.T, want wrongRequest) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.api+"/",
		strings.NewReader(want.body))
	if err != nil {
		t.Fatal(err)
	}
	service := "elasticloadbalancing"
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if want.target != "" {
		service = "ecs"
		req.Header.Set("X-Amz-Target", want.target)
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	} else if strings.Contains(want.body, "2016-11-15") {
		service = "ec2"
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"+service+
		"/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	code, message, err := readFault(raw, want.target != "")
	if err != nil || resp.StatusCode != want.status || code != want.code || message == "" {
		t.Errorf("answer %d %s %q (%v), want %d %s with a message:\n%s", resp.StatusCode, code, message, err,
			want.status, want.code, raw)
	}
	if resp.Header.Get("X-Amzn-Requestid") == "" && resp.Header.Get("X-Amzn-RequestId") == "" {
		t.Error("the answer has no request id")
	}
}

// readFault reads an error of awsJson1_1, or of one of the two query protocols.
func readFault(raw []byte, isJSON bool) (code, message string, err error) {
	if isJSON {
		var fault struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		err := json.Unmarshal(raw, &fault)
		return fault.Type, fault.Message, err
	}
	type inner struct{ Code, Message string }
	var fault struct {
		XMLName xml.Name
		Query   inner `xml:"Error"`
		EC2     inner `xml:"Errors>Error"`
	}
	if err := xml.NewDecoder(bytes.NewReader(raw)).Decode(&fault); err != nil {
		return "", "", err
	}
	switch fault.XMLName.Local {
	case "ErrorResponse":
		return fault.Query.Code, fault.Query.Message, nil
	case "Response":
		return fault.EC2.Code, fault.EC2.Message, nil
	}
	return "", "", fmt.Errorf("the answer is a %s", fault.XMLName.Local)
}
