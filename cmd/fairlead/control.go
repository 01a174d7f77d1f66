package main

import (
	"bufio"
	"context"
	"net/netip"
	"os"
	"strings"
	"time"

	"fairlead/internal/control/alarm"
	"fairlead/internal/control/balancer"
	"fairlead/internal/control/metric"
	"fairlead/internal/control/network"
	"fairlead/internal/control/service"
	"fairlead/internal/control/task"
	"fairlead/internal/logstore"
	"fairlead/internal/node"
	"fairlead/internal/node/metadata"
	"fairlead/internal/row"
	"fairlead/internal/service/logs"
	"fairlead/internal/service/sts"
)

// loops are the goroutines of the instance by name; each ends with its context.
func (i *instance) loops(balancer *balancer.Controller) map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{
		"network controller":  network.New(network.Config{Store: i.store, Host: i.host, Logger: i.cfg.logger}).Run,
		"balancer controller": balancer.Run,
		"service controller":  service.New(service.Config{Store: i.store, Logger: i.cfg.logger, Now: time.Now}).Run,
		"task controller":     i.tasks().Run,
		"log retention":       i.logs.Run,
		"alarm controller": alarm.New(alarm.Config{
			Store: i.store, Metrics: i.metrics, Logger: i.cfg.logger, Now: time.Now,
		}).Run,
		"metrics": metric.New(metric.Config{
			Store: i.store, Engine: i.lb, Metrics: i.metrics, Logger: i.cfg.logger, Now: time.Now,
		}).Run,
	}
	if i.dns != nil {
		all["DNS"] = i.dns.Serve
	}
	if i.daemon != nil {
		all["containerd"] = i.daemon.Run
	}
	return all
}

func (i *instance) balancer(plane dataPlane) *balancer.Controller {
	return balancer.New(balancer.Config{
		Store: i.store, Engine: plane, Logger: i.cfg.logger, FrontDoor: i.cfg.frontDoor,
		LambdaEndpoint: i.cfg.lambdaEndpoint,
	})
}

func (i *instance) tasks() *task.Controller {
	n := node.New(node.Config{
		Runtime: i.runtime, Dir: i.path("tasks"), Logs: logSink{i.logs}, NetNS: i.host.ENINamespace,
		Nameservers: nameservers(), Endpoints: i.endpoints,
		AssumeRole: i.assumeRole,
		Logger:     i.cfg.logger, Now: time.Now,
	})
	return task.New(task.Config{Store: i.store, Node: n, Logger: i.cfg.logger, Now: time.Now})
}

// assumeRole gives a task the keys of its role.
func (i *instance) assumeRole(
	ctx context.Context, scope row.Scope, role, session string,
) (metadata.Credentials, error) {
	s, err := sts.New(i.store).AssumeFor(ctx, scope.Account, role, session)
	if err != nil {
		return metadata.Credentials{}, err
	}
	return metadata.Credentials{
		RoleArn: role, AccessKeyID: s.AccessKey, SecretAccessKey: s.Secret, Token: s.Token, Expiration: s.Expires,
	}, nil
}

// logSink is CloudWatch Logs for the awslogs driver.
type logSink struct{ service *logs.Service }

// OpenStream implements node.LogSink.
func (s logSink) OpenStream(ctx context.Context, scope row.Scope, group, stream string, create bool) error {
	return s.service.OpenStream(ctx, scope, group, stream, create)
}

// Append implements node.LogSink.
func (s logSink) Append(ctx context.Context, scope row.Scope, group, stream string, events []node.LogEvent) error {
	out := make([]logstore.Event, len(events))
	for i, e := range events {
		out[i] = logstore.Event{Time: e.Time, Message: e.Message}
	}
	return s.service.Append(ctx, scope, group, stream, out)
}

// nameservers are those of the machine that containers can reach: not on loopback.
func nameservers() []string {
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil && !a.IsLoopback() {
			out = append(out, fields[1])
		}
	}
	return out
}
