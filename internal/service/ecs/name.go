package ecs

import (
	"regexp"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// names is what clusters, services, families and containers may be called.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
var names = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)

// defaultCluster is the cluster of a call that names none.
const defaultCluster = "default"

// clusterARN is what a name or ARN of a cluster stands for.
func clusterARN(c aws.Caller, ref *string) string {
	name := aws.Val(ref)
	if name == "" {
		name = defaultCluster
	}
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return c.ARN("ecs", "cluster/"+name)
}

// liveCluster finds an ACTIVE cluster.
func liveCluster(r state.Reader, c aws.Caller, ref *string) (row.Cluster, error) {
	cluster, ok := row.Clusters.Get(r, clusterARN(c, ref))
	switch {
	case !ok:
		return cluster, ecs.ClusterNotFoundException("Cluster not found.")
	case cluster.Status != row.ClusterActive:
		return cluster, ecs.ClusterNotFoundException("The referenced cluster was inactive.")
	}
	return cluster, nil
}

// memberARN is what the name, the short or the long ARN of a service or task stands for; kind is
// "service" or "task".
func memberARN(c aws.Caller, cluster, kind, ref string) string {
	if arn, ok := aws.ParseARN(ref); ok {
		if strings.Count(arn.Resource, "/") > 1 {
			return ref
		}
		_, ref, _ = strings.Cut(arn.Resource, "/")
	}
	return c.ARN("ecs", kind+"/"+lastPart(cluster)+"/"+ref)
}

// lastPart is what follows the last slash: a name or an id.
func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// findService finds a service of any status.
func findService(r state.Reader, c aws.Caller, cluster, ref *string) (row.Service, error) {
	in, err := liveCluster(r, c, cluster)
	if err != nil {
		return row.Service{}, err
	}
	svc, ok := row.Services.Get(r, memberARN(c, in.ARN, "service", aws.Val(ref)))
	if !ok || svc.Cluster != in.ARN {
		return svc, ecs.ServiceNotFoundException("Service not found.")
	}
	return svc, nil
}
