package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestCLI lives the stack's whole life by the AWS CLI and its waiters.
func TestCLI(t *testing.T) {
	needCLI(t)
	c := &cli{fairlead: start(t), dir: t.TempDir()}
	before := takeInventory(t, c.tag())
	c.certificate(c.dir)
	c.makeNetwork()
	c.makeBalancer()
	c.makeService()
	c.checkService()
	c.removeService()
	c.removeBalancer()
	c.removeNetwork()
	c.nothingRuns()
	eventually(t, "the devices are gone", func() error { return before.difference(t, c.tag()) })
}

// cli is what has been made so far: identifiers as the CLI printed them.
type cli struct {
	*fairlead
	dir string

	vpc, gateway, table, group    string
	subnets                       []string
	certificateARN, balancer, web string
	listener                      string
}

func (c *cli) makeNetwork() {
	c.t.Helper()
	c.vpc = c.query("Vpc.VpcId", "ec2", "create-vpc", "--cidr-block", "10.9.0.0/16")
	c.gateway = c.query("InternetGateway.InternetGatewayId", "ec2", "create-internet-gateway")
	c.aws("ec2", "attach-internet-gateway", "--internet-gateway-id", c.gateway, "--vpc-id", c.vpc)
	c.table = c.query("RouteTable.RouteTableId", "ec2", "create-route-table", "--vpc-id", c.vpc)
	c.aws("ec2", "create-route", "--route-table-id", c.table, "--gateway-id", c.gateway,
		"--destination-cidr-block", "0.0.0.0/0")
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		subnet := c.query("Subnet.SubnetId", "ec2", "create-subnet", "--vpc-id", c.vpc,
			"--cidr-block", fmt.Sprintf("10.9.%d.0/24", i), "--availability-zone", zone)
		c.aws("ec2", "associate-route-table", "--route-table-id", c.table, "--subnet-id", subnet)
		c.subnets = append(c.subnets, subnet)
	}
	c.group = c.query("GroupId", "ec2", "create-security-group", "--vpc-id", c.vpc,
		"--group-name", "cli", "--description", "of the test")
	c.aws("ec2", "authorize-security-group-ingress", "--group-id", c.group, "--protocol", "tcp",
		"--port", "80-443", "--cidr", "0.0.0.0/0")
}

func (c *cli) makeBalancer() {
	c.t.Helper()
	file := func(name string) string { return "file://" + filepath.Join(c.dir, name) }
	c.certificateARN = c.query("CertificateArn", "acm", "import-certificate",
		"--certificate", file("cert.pem"), "--private-key", file("key.pem"),
		"--certificate-chain", file("chain.pem"))
	c.balancer = c.query("LoadBalancers[0].LoadBalancerArn", "elbv2", "create-load-balancer",
		"--name", "cli", "--subnets", c.subnets[0], c.subnets[1], "--security-groups", c.group)
	c.aws("elbv2", "wait", "load-balancer-available", "--load-balancer-arns", c.balancer)
	c.web = c.query("TargetGroups[0].TargetGroupArn", "elbv2", "create-target-group", "--name", "cli",
		"--protocol", "HTTP", "--port", "80", "--vpc-id", c.vpc, "--target-type", "ip",
		"--health-check-path", "/health", "--health-check-interval-seconds", "5",
		"--health-check-timeout-seconds", "2", "--healthy-threshold-count", "2")
	c.aws("elbv2", "modify-target-group-attributes", "--target-group-arn", c.web,
		"--attributes", "Key=deregistration_delay.timeout_seconds,Value=1")
	c.listener = c.query("Listeners[0].ListenerArn", "elbv2", "create-listener",
		"--load-balancer-arn", c.balancer, "--protocol", "HTTPS", "--port", "443",
		"--ssl-policy", "ELBSecurityPolicy-2016-08", "--certificates", "CertificateArn="+c.certificateARN,
		"--default-actions", "Type=forward,TargetGroupArn="+c.web)
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
"Principal":{"Service":"ecs-tasks.amazonaws.com"}}]}`

func (c *cli) makeService() {
	c.t.Helper()
	c.aws("logs", "create-log-group", "--log-group-name", "/cli")
	role := c.query("Role.Arn", "iam", "create-role", "--role-name", "cli",
		"--assume-role-policy-document", trust)
	c.aws("ecs", "create-cluster", "--cluster-name", "cli")
	c.aws("ecs", "register-task-definition", "--family", "cli", "--cpu", "256", "--memory", "512",
		"--network-mode", "awsvpc", "--requires-compatibilities", "FARGATE",
		"--execution-role-arn", role, "--container-definitions", `[{"name": "web",
		"image": "fairlead/hello", "portMappings": [{"containerPort": 80}],
		"environment": [{"name": "MESSAGE", "value": "cli"}],
		"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/cli",
			"awslogs-region": "us-east-1", "awslogs-stream-prefix": "ecs"}}}]`)
	c.aws("ecs", "create-service", "--cluster", "cli", "--service-name", "cli",
		"--task-definition", "cli", "--desired-count", "2", "--launch-type", "FARGATE",
		"--network-configuration", fmt.Sprintf("awsvpcConfiguration={subnets=[%s],securityGroups=[%s],"+
			"assignPublicIp=ENABLED}", strings.Join(c.subnets, ","), c.group),
		"--load-balancers", "targetGroupArn="+c.web+",containerName=web,containerPort=80")
	c.aws("ecs", "wait", "services-stable", "--cluster", "cli", "--services", "cli")
	c.aws("elbv2", "wait", "target-in-service", "--target-group-arn", c.web)
}

// checkService sends a request and looks for it in the task's log.
func (c *cli) checkService() {
	c.t.Helper()
	name := c.query("LoadBalancers[0].DNSName", "elbv2", "describe-load-balancers", "--names", "cli")
	client := visit(c.t, c.dir, name).client(c.t, false, true)
	e, _, err := ask(client, "https://www.twtech.test/seen-by-cli")
	if err != nil || e.Message != "cli" {
		c.t.Fatalf("%q answers (%v), want cli", e.Message, err)
	}
	tasks := strings.Fields(c.query("taskArns", "ecs", "list-tasks", "--cluster", "cli"))
	if len(tasks) != 2 {
		c.t.Fatalf("the tasks are %v, want two", tasks)
	}
	status := c.query("tasks[].[lastStatus, attachments[0].status, containers[0].lastStatus]",
		append([]string{"ecs", "describe-tasks", "--cluster", "cli", "--tasks"}, tasks...)...)
	if want := "RUNNING\tATTACHED\tRUNNING"; status != want+"\n"+want {
		c.t.Errorf("describe-tasks says %q", status)
	}
	eventually(c.t, "the log has the request", func() error {
		lines := c.readLog()
		if !strings.Contains(lines, "GET /seen-by-cli 200") {
			return fmt.Errorf("it is\n%s", lines)
		}
		return nil
	})
}

// readLog is `aws logs tail`, or the call that makes it where the CLI is of version 1.
func (c *cli) readLog() string {
	c.t.Helper()
	if strings.HasPrefix(c.aws("--version"), "aws-cli/1") {
		return c.query("events[].message", "logs", "filter-log-events", "--log-group-name", "/cli")
	}
	return c.aws("logs", "tail", "/cli")
}

func (c *cli) removeService() {
	c.t.Helper()
	c.aws("ecs", "update-service", "--cluster", "cli", "--service", "cli", "--desired-count", "0")
	c.aws("ecs", "delete-service", "--cluster", "cli", "--service", "cli")
	c.aws("ecs", "wait", "services-inactive", "--cluster", "cli", "--services", "cli")
	c.aws("ecs", "deregister-task-definition", "--task-definition", "cli:1")
	c.aws("ecs", "delete-task-definitions", "--task-definitions", "cli:1")
	c.aws("ecs", "delete-cluster", "--cluster", "cli")
	c.aws("iam", "delete-role", "--role-name", "cli")
	c.aws("logs", "delete-log-group", "--log-group-name", "/cli")
}

func (c *cli) removeBalancer() {
	c.t.Helper()
	target := []string{"--target-group-arn", c.web, "--targets", "Id=10.9.0.99,Port=80"}
	c.aws(append([]string{"elbv2", "register-targets"}, target...)...)
	c.aws(append([]string{"elbv2", "deregister-targets"}, target...)...)
	c.aws(append([]string{"elbv2", "wait", "target-deregistered"}, target...)...)
	c.aws("elbv2", "delete-listener", "--listener-arn", c.listener)
	c.aws("elbv2", "delete-load-balancer", "--load-balancer-arn", c.balancer)
	c.aws("elbv2", "wait", "load-balancers-deleted", "--load-balancer-arns", c.balancer)
	c.aws("elbv2", "delete-target-group", "--target-group-arn", c.web)
	c.aws("acm", "delete-certificate", "--certificate-arn", c.certificateARN)
}

func (c *cli) removeNetwork() {
	c.t.Helper()
	eventually(c.t, "the network interfaces are gone", func() error {
		left := c.query("NetworkInterfaces[].Description", "ec2", "describe-network-interfaces",
			"--filters", "Name=vpc-id,Values="+c.vpc)
		if left != "" {
			return fmt.Errorf("there are %s", left)
		}
		return nil
	})
	c.aws("ec2", "delete-security-group", "--group-id", c.group)
	for _, subnet := range c.subnets {
		c.aws("ec2", "delete-subnet", "--subnet-id", subnet)
	}
	c.aws("ec2", "delete-route-table", "--route-table-id", c.table)
	c.aws("ec2", "detach-internet-gateway", "--internet-gateway-id", c.gateway, "--vpc-id", c.vpc)
	c.aws("ec2", "delete-internet-gateway", "--internet-gateway-id", c.gateway)
	c.aws("ec2", "delete-vpc", "--vpc-id", c.vpc)
}
