package ecs_test

import (
	"strings"
	"testing"

	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// populated is a world with the cluster c and the definition web:1.
func populated(t *testing.T) *world {
	w := newWorld(t)
	w.ok("CreateCluster", `{"clusterName":"c"}`)
	w.ok("RegisterTaskDefinition", fargate(""))
	return w
}

const serviceARN = "arn:aws:ecs:eu-west-1:123456789012:service/c/s"

func TestCreateService(t *testing.T) {
	w := populated(t)
	out := w.ok("CreateService", service(`"tags":[{"key":"a","value":"b"}],`))
	want(t, out, map[string]string{
		"service.serviceArn":                                    `"` + serviceARN + `"`,
		"service.status":                                        `"ACTIVE"`,
		"service.desiredCount":                                  `2`,
		"service.runningCount":                                  `0`,
		"service.launchType":                                    `"FARGATE"`,
		"service.platformVersion":                               `"LATEST"`,
		"service.healthCheckGracePeriodSeconds":                 `0`,
		"service.schedulingStrategy":                            `"REPLICA"`,
		"service.deploymentController":                          `null`,
		"service.deploymentConfiguration.maximumPercent":        `200`,
		"service.deploymentConfiguration.minimumHealthyPercent": `100`,
		"service.deployments.0.status":                          `"PRIMARY"`,
		"service.deployments.0.rolloutState":                    `"IN_PROGRESS"`,
		"service.deployments.0.platformVersion":                 `"1.4.0"`,
		"service.deployments.0.desiredCount":                    `2`,
		"service.events":                                        `[]`,
		"service.tags":                                          `[{"key":"a","value":"b"}]`,
	})
	id := at(t, out, "service.deployments.0.id").(string)
	digits, ok := strings.CutPrefix(id, "ecs-svc/")
	if !ok || len(digits) != 19 {
		t.Errorf("deployment id %q", id)
	}
	listed := w.ok("ListServiceDeployments", `{"cluster":"c","service":"s"}`)
	revision := at(t, listed, "serviceDeployments.0.targetServiceRevisionArn").(string)
	if !strings.HasSuffix(revision, "service-revision/c/s/"+digits) {
		t.Errorf("revision %s does not end in %s", revision, digits)
	}
	described := w.ok("DescribeServiceRevisions", `{"serviceRevisionArns":["`+revision+`"]}`)
	want(t, described, map[string]string{
		"serviceRevisions.0.containerImages":                     `[{"containerName":"app","image":"nginx"}]`,
		"serviceRevisions.0.resolvedConfiguration.loadBalancers": `[{"targetGroupArn":"` + good + `"}]`,
	})
}

// TestRevisionShowsDigests, as the first task of the revision found them.
func TestRevisionShowsDigests(t *testing.T) {
	w := populated(t)
	w.ok("CreateService", service(""))
	var arn string
	statetest.Update(t, w.store, func(tx *state.Tx) {
		for v := range row.ServiceRevisions.By(tx, "service", serviceARN) {
			arn, v.Images = v.ARN, map[string]string{"app": "sha256:1"}
			row.ServiceRevisions.Put(tx, v)
		}
	})
	want(t, w.ok("DescribeServiceRevisions", `{"serviceRevisionArns":["`+arn+`"]}`), map[string]string{
		"serviceRevisions.0.containerImages": `[{"containerName":"app","image":"nginx","imageDigest":"sha256:1"}]`,
	})
}

func TestCreateServiceIsIdempotent(t *testing.T) {
	w := populated(t)
	first := w.ok("CreateService", service(""))
	second := w.ok("CreateService", service(""))
	if at(t, first, "service.deployments.0.id") != at(t, second, "service.deployments.0.id") {
		t.Error("the second create made a deployment")
	}
	w.refused("CreateService", replace(t, service(""), `"desiredCount":2`, `"desiredCount":3`),
		"InvalidParameterException", "Creation of service was not idempotent.")
	w.ok("DeleteService", `{"cluster":"c","service":"s","force":true}`)
	w.refused("CreateService", service(""),
		"InvalidParameterException", "Unable to Start a service that is still Draining.")
}

func TestInactiveServiceIsReplaced(t *testing.T) {
	w := populated(t)
	w.ok("CreateService", service(""))
	w.ok("DeleteService", `{"cluster":"c","service":"s","force":true}`)
	statetest.Update(t, w.store, func(tx *state.Tx) {
		svc, _ := row.Services.Get(tx, serviceARN)
		svc.Status = row.ServiceInactive
		row.Services.Put(tx, svc)
	})
	want(t, w.ok("DescribeServices", `{"cluster":"c","services":["s"]}`), map[string]string{
		"services.0.status": `"INACTIVE"`, "services.0.deployments": `[]`,
	})
	w.ok("CreateService", service(""))
	want(t, w.ok("ListServiceDeployments", `{"cluster":"c","service":"s","maxResults":1}`),
		map[string]string{"nextToken": `null`})
}

func TestServiceRefusals(t *testing.T) {
	w := populated(t)
	w.ok("RegisterTaskDefinition", strings.Replace(fargate(""), `"web"`, `"gone"`, 1))
	w.ok("DeregisterTaskDefinition", `{"taskDefinition":"gone:1"}`)
	const invalid, lb = "InvalidParameterException", good
	for name, c := range map[string]struct{ old, new, code, message string }{
		"cluster":    {`"c"`, `"nope"`, "ClusterNotFoundException", "Cluster not found."},
		"unknown":    {`"web"`, `"nope"`, "ClientException", "TaskDefinition not found."},
		"inactive":   {`"web"`, `"gone:1"`, "ClientException", "TaskDefinition is inactive"},
		"network":    {network + `,`, ``, invalid, "Network Configuration must be provided when networkMode 'awsvpc' is specified."},
		"subnets":    {`["subnet-a","subnet-b"]`, `[]`, invalid, "subnets can not be empty."},
		"subnet":     {`"subnet-a"`, `"subnet-z"`, invalid, "Error retrieving subnet information for [subnet-z]"},
		"two vpcs":   {`"subnet-b"`, `"subnet-x"`, invalid, "The provided subnets do not belong to the same VPC."},
		"group":      {`"sg-1"`, `"sg-2"`, invalid, "Security Group sg-2 does not appear to belong to the same VPC as the input subnets."},
		"container":  {`"app"`, `"web"`, invalid, "The container web does not exist in the task definition."},
		"port":       {`"containerPort":80`, `"containerPort":81`, invalid, "The container app did not have a container port 81 defined."},
		"lone":       {lb, lone, invalid, "The target group with targetGroupArn " + lone + " does not have an associated load balancer."},
		"type":       {lb, instance, invalid, "The provided target group " + instance + " has target type instance, which is incompatible with the awsvpc network mode specified in the task definition."},
		"vpc":        {lb, other, invalid, "The target group with targetGroupArn " + other + " is not in the VPC"},
		"both":       {`"targetGroupArn"`, `"loadBalancerName":"n","targetGroupArn"`, invalid, "loadBalancerName and targetGroupArn cannot both be specified"},
		"classic":    {`"targetGroupArn":"` + lb + `"`, `"loadBalancerName":"n"`, invalid, "Classic Load Balancers are not supported with Fargate."},
		"capacity":   {`"launchType":"FARGATE"`, `"launchType":"FARGATE","capacityProviderStrategy":[{"capacityProvider":"FARGATE","weight":1}]`, invalid, "Specifying both a launch type and capacity provider strategy is not supported."},
		"percent":    {`"desiredCount":2`, `"desiredCount":2,"deploymentConfiguration":{"minimumHealthyPercent":101}`, invalid, "minimumHealthyPercent must be at most 100"},
		"daemon":     {`"desiredCount":2`, `"desiredCount":0,"schedulingStrategy":"DAEMON"`, invalid, "The daemon scheduling strategy does not support a desired count for services."},
		"codedeploy": {balancer(good, "app", "80"), `"deploymentController":{"type":"CODE_DEPLOY"}`, invalid, "To use the CODE_DEPLOY deployment controller, the service requires an Application Load Balancer or Network Load Balancer"},
		"external":   {`"desiredCount":2`, `"desiredCount":2,"deploymentController":{"type":"EXTERNAL"}`, invalid, "TaskDefinition must be blank"},
		"platform":   {`"desiredCount":2`, `"desiredCount":2,"platformVersion":"9.9"`, "PlatformUnknownException", "The specified platform version does not exist"},
		"ec2":        {`"FARGATE"`, `"EC2"`, "UnsupportedFeatureException", "Fairlead does not serve the launch type EC2"},
		"bluegreen":  {`"desiredCount":2`, `"desiredCount":2,"deploymentConfiguration":{"strategy":"BLUE_GREEN"}`, "UnsupportedFeatureException", "Fairlead does not serve the deployment strategy BLUE_GREEN yet."},
		"connect":    {`"desiredCount":2`, `"desiredCount":2,"serviceConnectConfiguration":{"enabled":true}`, "UnsupportedFeatureException", "Fairlead does not serve Service Connect yet."},
		"alarms":     {`"desiredCount":2`, `"desiredCount":2,"deploymentConfiguration":{"alarms":{"enable":true,"rollback":true,"alarmNames":[]}}`, invalid, "alarmNames cannot be empty when deployment alarms are enabled."},
		"bake":       {`"desiredCount":2`, `"desiredCount":2,"deploymentConfiguration":{"bakeTimeInMinutes":5}`, "UnsupportedFeatureException", "Fairlead does not serve bakeTimeInMinutes of rolling deployments that no alarm watches yet."},
	} {
		t.Run(name, func(t *testing.T) {
			w.refused("CreateService", replace(t, service(""), c.old, c.new), c.code, c.message)
		})
	}
}

// TestDaemonRefusals: a DAEMON service is refused in AWS's words where AWS refuses it.
func TestDaemonRefusals(t *testing.T) {
	w := populated(t)
	const invalid, daemon = "InvalidParameterException", "The daemon scheduling strategy does not support "
	const fargate, strategy = `"launchType":"FARGATE"`, `"schedulingStrategy":"DAEMON"`
	for name, c := range map[string]struct{ with, code, message string }{
		"count":     {`"desiredCount":0`, invalid, daemon + "a desired count for services. Remove the desired count value and try again"},
		"fargate":   {fargate, invalid, daemon + "the FARGATE launch type."},
		"capacity":  {`"capacityProviderStrategy":[{"capacityProvider":"FARGATE"}]`, invalid, "Specifying a capacity provider strategy is not supported when you create a service using the DAEMON scheduling strategy."},
		"placement": {`"placementStrategy":[{"type":"random"}]`, invalid, daemon + "placement strategies. Remove the placement strategy and try again"},
		"maximum":   {`"deploymentConfiguration":{"maximumPercent":200}`, invalid, daemon + "values above 100 for maximumPercent"},
		"zones":     {`"availabilityZoneRebalancing":"ENABLED"`, invalid, "Availability Zone Rebalancing does not support DAEMON services"},
		"served":    {`"launchType":"EC2"`, "UnsupportedFeatureException", "Fairlead does not serve DAEMON services, which need container instances yet."},
	} {
		t.Run(name, func(t *testing.T) {
			body := replace(t, service(strategy+","), `"desiredCount":2,`, "")
			w.refused("CreateService", replace(t, body, fargate, c.with), c.code, c.message)
		})
	}
}

func TestUpdateServiceDeploysOnlyWhenTasksMustChange(t *testing.T) {
	w := populated(t)
	w.ok("CreateService", service(""))
	w.ok("RegisterTaskDefinition", fargate(""))
	for _, c := range []struct {
		name, change string
		deploys      bool
	}{
		{"count", `"desiredCount":3`, false},
		{"configuration", `"deploymentConfiguration":{"minimumHealthyPercent":50}`, false},
		{"grace", `"healthCheckGracePeriodSeconds":60`, false},
		{"same definition", `"taskDefinition":"web:1"`, false},
		{"definition", `"taskDefinition":"web:2"`, true},
		{"force", `"forceNewDeployment":true`, true},
		{"no load balancer", `"loadBalancers":[]`, true},
		{"network", strings.Replace(network, `,"subnet-b"`, ``, 1), true},
	} {
		before := w.ok("DescribeServices", `{"cluster":"c","services":["s"]}`)
		w.now = w.now.Add(1e9)
		after := w.ok("UpdateService", `{"cluster":"c","service":"s",`+c.change+`}`)
		changed := at(t, before, "services.0.deployments.0.id") != at(t, after, "service.deployments.0.id")
		if changed != c.deploys {
			t.Errorf("%s: a new deployment: %v, want %v", c.name, changed, c.deploys)
		}
		want(t, after, map[string]string{"service.deployments.0.status": `"PRIMARY"`})
	}
	want(t, w.ok("DescribeServices", `{"cluster":"c","services":["s"]}`), map[string]string{
		"services.0.desiredCount": `3`, "services.0.loadBalancers": `[]`,
		"services.0.deployments.1.status":                          `"ACTIVE"`,
		"services.0.deploymentConfiguration.minimumHealthyPercent": `50`,
		"services.0.deploymentConfiguration.maximumPercent":        `200`,
	})
}

// TestCircuitBreakerThreshold: what a breaker counts to is checked, shown and kept.
func TestCircuitBreakerThreshold(t *testing.T) {
	w := populated(t)
	breaker := func(more string) string {
		return service(`"deploymentConfiguration":{"deploymentCircuitBreaker":{"enable":true,"rollback":true` +
			more + `}},`)
	}
	for more, message := range map[string]string{
		`,"thresholdConfiguration":{"type":"COUNT","value":0}`: "The value of thresholdConfiguration must be at least 1.",
		`,"thresholdConfiguration":{"type":"BOUNDED_PERCENT","value":101}`: "The value of thresholdConfiguration must " +
			"be between 1 and 100 when its type is BOUNDED_PERCENT.",
		`,"thresholdConfiguration":{"type":"PERCENT","value":1}`: "",
		`,"thresholdConfiguration":{"type":"COUNT"}`:             "",
	} {
		w.refused("CreateService", breaker(more), "InvalidParameterException", message)
	}
	const set = `,"resetOnHealthyTask":false,"thresholdConfiguration":{"type":"COUNT","value":1000}`
	w.ok("CreateService", breaker(set))
	const path = "services.0.deploymentConfiguration.deploymentCircuitBreaker"
	described := w.ok("DescribeServices", `{"cluster":"c","services":["s"]}`)
	want(t, described, map[string]string{path: `{"enable":true,"rollback":true` + set + `}`})
	w.ok("UpdateService", `{"cluster":"c","service":"s","deploymentConfiguration":{"maximumPercent":150}}`)
	described = w.ok("DescribeServices", `{"cluster":"c","services":["s"]}`)
	want(t, described, map[string]string{path: `{"enable":true,"rollback":true` + set + `}`})
}

func TestDeleteService(t *testing.T) {
	w := populated(t)
	w.ok("CreateService", service(""))
	w.refused("DeleteService", `{"cluster":"c","service":"s"}`, "InvalidParameterException",
		"The service cannot be stopped while it is scaled above 0.")
	w.refused("DeleteService", `{"cluster":"c","service":"x"}`,
		"ServiceNotFoundException", "Service not found.")
	w.ok("UpdateService", `{"cluster":"c","service":"s","desiredCount":0}`)
	want(t, w.ok("DeleteService", `{"cluster":"c","service":"s"}`),
		map[string]string{"service.status": `"DRAINING"`})
	want(t, w.ok("ListServices", `{"cluster":"c"}`), map[string]string{"serviceArns": `[]`})
	w.refused("UpdateService", `{"cluster":"c","service":"s","desiredCount":1}`,
		"ServiceNotActiveException", "Service was not ACTIVE.")
	w.refused("DeleteCluster", `{"cluster":"c"}`, "ClusterContainsTasksException", "")
}

func TestDescribeServicesFailures(t *testing.T) {
	w := populated(t)
	want(t, w.ok("DescribeServices", `{"cluster":"c","services":["nope"]}`), map[string]string{
		"services": `[]`,
		"failures": `[{"arn":"arn:aws:ecs:eu-west-1:123456789012:service/c/nope","reason":"MISSING"}]`,
	})
	w.refused("DescribeServices", `{"services":["nope"]}`,
		"ClusterNotFoundException", "Cluster not found.")
}

func TestListServicesPagesByTen(t *testing.T) {
	w := populated(t)
	for _, name := range strings.Split("a b c d e f g h i j k l", " ") {
		w.ok("CreateService", replace(t, service(""), `"s"`, `"`+name+`"`))
	}
	first := w.ok("ListServices", `{"cluster":"c"}`)
	if n := len(at(t, first, "serviceArns").([]any)); n != 10 {
		t.Errorf("the first page has %d services", n)
	}
	token := at(t, first, "nextToken").(string)
	second := w.ok("ListServices", `{"cluster":"c","nextToken":"`+token+`"}`)
	want(t, second, map[string]string{
		"serviceArns": `["arn:aws:ecs:eu-west-1:123456789012:service/c/k",
			"arn:aws:ecs:eu-west-1:123456789012:service/c/l"]`,
		"nextToken": `null`,
	})
	w.refused("ListServices", `{"cluster":"c","nextToken":"!"}`, "InvalidParameterException", "Invalid token.")
	w.refused("ListServices", `{"cluster":"c","maxResults":101}`, "InvalidParameterException", "maxResults")
}

func TestStopServiceDeployment(t *testing.T) {
	w := populated(t)
	w.ok("CreateService", service(""))
	listed := w.ok("ListServiceDeployments", `{"cluster":"c","service":"s"}`)
	arn := at(t, listed, "serviceDeployments.0.serviceDeploymentArn").(string)
	w.ok("StopServiceDeployment", `{"serviceDeploymentArn":"`+arn+`"}`)
	record, _ := row.ServiceDeployments.Get(w.store.View(), arn)
	if record.StopAsked != "ROLLBACK" {
		t.Errorf("asked to stop by %q", record.StopAsked)
	}
	const filtered = `{"cluster":"c","service":"s","status":["ROLLBACK_REQUESTED"]}`
	want(t, w.ok("ListServiceDeployments", filtered), map[string]string{
		"serviceDeployments.0.status": `"ROLLBACK_REQUESTED"`,
	})
	w.ok("StopServiceDeployment", `{"serviceDeploymentArn":"`+arn+`","stopType":"ABORT"}`)
	described := w.ok("DescribeServiceDeployments", `{"serviceDeploymentArns":["`+arn+`"]}`)
	want(t, described, map[string]string{"serviceDeployments.0.status": `"ROLLBACK_REQUESTED"`})
	statetest.Update(t, w.store, func(tx *state.Tx) {
		record.Status = "ROLLBACK_SUCCESSFUL"
		row.ServiceDeployments.Put(tx, record)
	})
	w.refused("StopServiceDeployment", `{"serviceDeploymentArn":"`+arn+`"}`, "ConflictException",
		"The service deployment cannot be stopped in status ROLLBACK_SUCCESSFUL.")
	w.refused("StopServiceDeployment", `{"serviceDeploymentArn":"`+arn+`x"}`,
		"ServiceDeploymentNotFoundException", "")
}
