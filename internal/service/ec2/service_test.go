package ec2_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/row"
	"fairlead/internal/service/ec2"
	"fairlead/internal/state"
)

// TestEveryOperationIsServed calls each operation that the models were cut to.
func TestEveryOperationIsServed(t *testing.T) {
	list, err := os.ReadFile("../../../models/ec2.ops")
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t)
	operations := strings.Fields(string(list))
	if len(operations) < 60 {
		t.Errorf("only %d operations", len(operations))
	}
	for _, op := range operations {
		answer := c.call(t, op)
		if strings.Contains(answer, "InvalidAction") || strings.Contains(answer, "InternalError") {
			t.Errorf("%s: %s", op, answer)
		}
	}
}

// TestReadme sees that the coverage table names every operation.
func TestReadme(t *testing.T) {
	list, err := os.ReadFile("../../../models/ec2.ops")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range strings.Fields(string(list)) {
		if !strings.Contains(string(readme), op) {
			t.Errorf("README.md does not name %s", op)
		}
	}
}

// TestPages walks subnets page by page.
func TestPages(t *testing.T) {
	c := newClient(t)
	c.call(t, "CreateVpc CidrBlock=10.0.0.0/16")
	for i := range 12 {
		answer := c.call(t, fmt.Sprintf("CreateSubnet VpcId=vpc-1 CidrBlock=10.0.%d.0/24", i))
		if strings.HasPrefix(answer, "!") {
			t.Fatal(answer)
		}
	}
	seen := map[string]bool{}
	token, pages := "", 0
	for {
		form := url.Values{
			"Action": {"DescribeSubnets"}, "Version": {"2016-11-15"}, "MaxResults": {"5"},
			"Filter.1.Name": {"vpc-id"}, "Filter.1.Value.1": {c.ids["vpc-1"]},
		}
		if token != "" {
			form.Set("NextToken", token)
		}
		answer := c.post(t, form, "eu-west-1")
		token = ""
		pages++
		for line := range strings.Lines(answer) {
			path, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if strings.HasSuffix(path, ".subnetId") {
				seen[value] = true
			}
			if path == "nextToken" {
				token = value
			}
		}
		if token == "" {
			break
		}
	}
	if len(seen) != 12 || pages != 3 {
		t.Errorf("%d subnets on %d pages, want 12 on 3", len(seen), pages)
	}
}

// TestConcurrentCalls has many clients ask for the same range, and for a first call in a region.
func TestConcurrentCalls(t *testing.T) {
	c := newClient(t)
	scope := row.Scope{Account: "123456789012", Region: "eu-central-1"}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := ec2.EnsureDefault(t.Context(), c.store, scope); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := 0
	for range row.VPCs.Scan(c.store.View(), scope.Key("")) {
		made++
	}
	if made != 1 {
		t.Errorf("%d default VPCs", made)
	}

	c.call(t, "CreateVpc CidrBlock=10.0.0.0/16")
	answers := make([]string, 8)
	for i := range answers {
		wg.Go(func() {
			answers[i] = c.post(t, url.Values{
				"Action": {"CreateSubnet"}, "Version": {"2016-11-15"},
				"VpcId": {c.ids["vpc-1"]}, "CidrBlock": {"10.0.1.0/24"},
			}, "eu-west-1")
		})
	}
	wg.Wait()
	conflicts := strings.Count(strings.Join(answers, ""), "InvalidSubnet.Conflict")
	if conflicts != len(answers)-1 {
		t.Errorf("%d of %d calls conflicted: %q", conflicts, len(answers), answers)
	}
}

// TestScopesAreApart looks from one region for what is in another.
func TestScopesAreApart(t *testing.T) {
	c := newClient(t)
	c.call(t, "CreateVpc CidrBlock=10.0.0.0/16")
	for _, call := range []string{
		"DescribeVpcs VpcId.1=vpc-1", "DeleteVpc VpcId=vpc-1",
		"CreateSubnet VpcId=vpc-1 CidrBlock=10.0.1.0/24",
		"CreateTags ResourceId.1=vpc-1 Tag.1.Key=a",
	} {
		got := c.call(t, call+" @region=us-east-1")
		if !strings.Contains(got, "InvalidVpcID.NotFound") {
			t.Errorf("%s from another region: %s", call, got)
		}
	}
}

// TestManagedInterface sees that a client cannot touch what a service manages.
func TestManagedInterface(t *testing.T) {
	c := newClient(t)
	c.call(t, "CreateVpc CidrBlock=10.0.0.0/16")
	c.call(t, "CreateSubnet VpcId=vpc-1 CidrBlock=10.0.1.0/24")
	c.call(t, "CreateNetworkInterface SubnetId=subnet-1")
	c.call(t, "AllocateAddress")
	c.call(t, "CreateInternetGateway")
	c.call(t, "AttachInternetGateway VpcId=vpc-1 InternetGatewayId=igw-1")
	err := c.store.Update(t.Context(), func(tx *state.Tx) error {
		n, _ := row.First(row.NetworkInterfaces.Scan(tx, ""))
		n.Requester, n.RequesterManaged, n.InstanceOwner = "amazon-elb", true, "amazon-elb"
		n.Attachment, n.Ready = "eni-attach-0123456789abcdef0", true
		n.Description = "ELB app/web/1"
		row.NetworkInterfaces.Put(tx, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ call, want string }{
		{"DeleteNetworkInterface NetworkInterfaceId=eni-1", "is currently in use"},
		{"ModifyNetworkInterfaceAttribute NetworkInterfaceId=eni-1 Description.Value=x",
			"OperationNotPermitted"},
		{"AssociateAddress NetworkInterfaceId=eni-1 AllocationId=eipalloc-1",
			"OperationNotPermitted"},
		{"DeleteSubnet SubnetId=subnet-1", "DependencyViolation"},
		{`DescribeNetworkInterfaces Filter.1.Name=description Filter.1.Value.1="ELB app/*"`,
			"status=in-use"},
		{"DescribeNetworkInterfaces Filter.1.Name=attachment.instance-owner-id " +
			"Filter.1.Value.1=amazon-elb", "attachment.status=attached"},
	} {
		if got := c.call(t, test.call); !strings.Contains(got, test.want) {
			t.Errorf("%s: %s\nwant %s", test.call, got, test.want)
		}
	}
}

// TestBoto3 lets the Python SDK make a network and wait for it.
func TestBoto3(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import boto3").Run() != nil {
		t.Skip("there is no python3 with boto3")
	}
	c := newClient(t)
	cmd := exec.CommandContext(t.Context(), python, "testdata/smoke.py", c.url)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null",
		"AWS_EC2_METADATA_DISABLED=true")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
