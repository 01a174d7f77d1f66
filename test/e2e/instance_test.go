package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"go.etcd.io/etcd/server/v3/embed"
)

// TestEtcd keeps the state in an etcd that is not Fairlead's, where a crash leaves it.
func TestEtcd(t *testing.T) {
	f := start(t, "--etcd-endpoints", startEtcd(t))
	s := f.bringUp(nil)
	s.site.checkRouting(t)
	tasks := f.taskIDs()
	f.restart()
	s.site.flows(t)
	s.site.checkRouting(t)
	f.steady(2, 1)
	for id := range f.taskIDs() {
		if !tasks[id] {
			t.Errorf("task %s was replaced by a restart", id)
		}
	}
}

// startEtcd runs an etcd on loopback until the test ends and returns its endpoint.
func startEtcd(t *testing.T) string {
	t.Helper()
	if skipReason != "" {
		t.Skip(skipReason)
	}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = t.TempDir(), "fatal", true
	loopback := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = loopback, loopback
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = loopback, loopback
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(patience):
		t.Fatalf("etcd is not ready within %v", patience)
	}
	return "http://" + etcd.Clients[0].Addr().String()
}

// TestTwoInstances runs two side by side: both have the stack, and one's end is nothing to the other.
func TestTwoInstances(t *testing.T) {
	one := start(t)
	first := one.bringUp(nil)
	two := start(t, second...)
	other := two.bringUp(nil)
	first.site.checkRouting(t)
	if n := len(one.pids()) + len(two.pids()); n != 6 {
		t.Errorf("both instances have %d containers, want 3 each", n)
	}
	two.reset()
	two.nothingRuns()
	if got := other.answers(t)["DescribeClusters"]; strings.Contains(got, cluster) {
		t.Errorf("the cluster is there after the reset: %s", got)
	}
	one.steady(2, 1)
	first.site.checkRouting(t)
}

// TestEndpoints asks Fairlead's own endpoints and commands.
func TestEndpoints(t *testing.T) {
	f := start(t)
	var health struct{ Status, Version string }
	f.get("health", &health)
	version := f.run(f.dir, os.Getenv("FAIRLEAD_BIN"), "version")
	if health.Status != "ready" || health.Version == "" || !strings.Contains(version, health.Version) {
		t.Errorf("health says %+v, fairlead version %q", health, version)
	}
	if n := strings.Count(f.log.String(), "msg=ready"); n != 1 {
		t.Errorf("%d log lines say that it is ready, want 1:\n%s", n, f.log)
	}
	l := newLab(f)
	arn := l.run(*l.subnet.SubnetId, container("alone"))
	l.await(arn, "RUNNING")
	out := f.run(f.dir, os.Getenv("FAIRLEAD_BIN"), "status", "--endpoint", "http://"+f.api)
	if !strings.Contains(out, idOf(arn)[:8]) || !strings.Contains(out, "RUNNING") {
		t.Errorf("fairlead status does not show the task %s:\n%s", arn, out)
	}
	f.reset()
	f.nothingRuns()
	if out := must(l.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{}))(t); len(out.ClusterArns) > 0 {
		t.Errorf("after the reset there are %v", out.ClusterArns)
	}
}

func (f *fairlead) get(endpoint string, out any) {
	f.t.Helper()
	resp, err := http.Get(f.url(endpoint))
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		f.t.Fatal(err)
	}
}

// TestEnv has a shell and the AWS CLI follow `eval "$(fairlead env)"`.
func TestEnv(t *testing.T) {
	needCLI(t)
	start(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c",
		`eval "$($FAIRLEAD_BIN env)"; aws sts get-caller-identity --query Account --output text`)
	out, err := cmd.CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "123456789012" {
		t.Errorf("the CLI is account %q (%v), want 123456789012", got, err)
	}
}

// TestScopes looks at accounts and regions, which share nothing, and at the default VPC of each.
func TestScopes(t *testing.T) {
	f := start(t, "--access-key", "one:secret:111111111111", "--access-key", "two:secret")
	for _, c := range []struct{ key, account string }{{"one", "111111111111"}, {"two", "123456789012"}} {
		for _, region := range []string{"us-east-1", "eu-central-1"} {
			t.Run(c.account+" "+region, func(t *testing.T) {
				checkScope(t, f.clientsOf(region, c.key, "secret"), c.account, region)
			})
		}
	}
	t.Run("wrong secret", func(t *testing.T) { refusesKey(t, f, "one", "other", "InvalidSignatureException") })
	t.Run("unknown key", func(t *testing.T) { refusesKey(t, f, "three", "secret", "UnrecognizedClientException") })
}

// checkScope expects an account and region where nothing but the default VPC is.
func checkScope(t *testing.T, c clients, account, region string) {
	who := must(c.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))(t)
	if *who.Account != account {
		t.Errorf("the account is %s, want %s", *who.Account, account)
	}
	if out := must(c.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{}))(t); len(out.ClusterArns) > 0 {
		t.Errorf("there are clusters of another scope: %v", out.ClusterArns)
	}
	made := must(c.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: new("mine")}))(t)
	want := fmt.Sprintf("arn:aws:ecs:%s:%s:cluster/mine", region, account)
	if *made.Cluster.ClusterArn != want {
		t.Errorf("the cluster is %s, want %s", *made.Cluster.ClusterArn, want)
	}
	checkDefaultVPC(t, c, region)
}

func checkDefaultVPC(t *testing.T, c clients, region string) {
	t.Helper()
	vpcs := must(c.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{}))(t).Vpcs
	if len(vpcs) != 1 || !*vpcs[0].IsDefault || *vpcs[0].CidrBlock != "172.31.0.0/16" {
		t.Fatalf("the VPCs are %+v, want AWS's default one", vpcs)
	}
	in := []ec2types.Filter{{Name: new("vpc-id"), Values: []string{*vpcs[0].VpcId}}}
	zones := map[string]bool{}
	for _, s := range must(c.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: in}))(t).Subnets {
		zones[*s.AvailabilityZone] = true
		if !strings.HasPrefix(*s.AvailabilityZone, region) || !*s.DefaultForAz || !*s.MapPublicIpOnLaunch {
			t.Errorf("subnet %s is in %s, default %v", *s.SubnetId, *s.AvailabilityZone, *s.DefaultForAz)
		}
	}
	all := must(c.ec2.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{}))(t)
	if len(zones) != len(all.AvailabilityZones) {
		t.Errorf("%d zones have a default subnet, want %d", len(zones), len(all.AvailabilityZones))
	}
	tables := must(c.ec2.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{Filters: in}))(t).RouteTables
	groups := must(c.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: in}))(t).SecurityGroups
	if len(tables) != 1 || len(groups) != 1 || *groups[0].GroupName != "default" {
		t.Errorf("there are the route tables %+v and groups %+v, want one each", tables, groups)
	}
}

func refusesKey(t *testing.T, f *fairlead, key, secret, code string) {
	c := f.clientsOf("us-east-1", key, secret)
	_, err := c.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{})
	var fault smithy.APIError
	if !errors.As(err, &fault) || fault.ErrorCode() != code {
		t.Errorf("the call returns %v, want %s", err, code)
	}
}

// TestRefusals starts Fairlead in ways that it must refuse.
func TestRefusals(t *testing.T) {
	f := start(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"other address without keys": {[]string{"--listen", "0.0.0.0:5566"}, "--access-key"},
		"data directory in use":      {[]string{"--data-dir", f.dir}, "another fairlead runs on"},
		"port in use":                {nil, "choose another with --listen"},
		"bad key":                    {[]string{"--access-key", "nocolon"}, "ID:SECRET"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"serve", "--ephemeral", "--data-dir", t.TempDir()}, c.args...)
			out, err := exec.CommandContext(t.Context(), os.Getenv("FAIRLEAD_BIN"), args...).CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte(c.want)) {
				t.Errorf("it ends with %v, want a refusal that says %q:\n%s", err, c.want, out)
			}
		})
	}
}

// TestEphemeral expects that SIGTERM removes all that an --ephemeral instance made; what start checks
// at the end is left to that, for without a data directory there is nothing to destroy.
func TestEphemeral(t *testing.T) {
	f := start(t, "--ephemeral")
	l := newLab(f)
	l.await(l.run(*l.subnet.SubnetId, container("alone")), "RUNNING")
	f.end()
	if _, err := os.Stat(f.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data directory is still there: %v", err)
	}
}

// TestDestroy removes what a killed instance left behind by fairlead destroy.
func TestDestroy(t *testing.T) {
	f := start(t)
	l := newLab(f)
	l.await(l.run(*l.subnet.SubnetId, container("alone")), "RUNNING")
	f.kill()
	f.destroy()
	if _, err := os.Stat(f.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data directory is still there: %v", err)
	}
}
