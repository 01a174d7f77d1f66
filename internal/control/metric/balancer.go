package metric

import (
	"slices"
	"strings"

	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/api/elbv2"
	"fairlead/internal/lb"
	"fairlead/internal/metric"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// counter is a metric that counts, and where the data plane has the count.
type counter[S any] struct {
	name string
	of   func(S) uint64
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
var balancerCounters = []counter[lb.LoadBalancerStats]{
	{"NewConnectionCount", func(s lb.LoadBalancerStats) uint64 { return s.NewConnectionCount }},
	{"RejectedConnectionCount", func(s lb.LoadBalancerStats) uint64 {
		return s.RejectedConnectionCount
	}},
	{"ClientTLSNegotiationErrorCount", func(s lb.LoadBalancerStats) uint64 {
		return s.ClientTLSNegotiationErrorCount
	}},
	{"RuleEvaluations", func(s lb.LoadBalancerStats) uint64 { return s.RuleEvaluations }},
	{"HTTPCode_ELB_3XX_Count", func(s lb.LoadBalancerStats) uint64 { return s.ELB3XX }},
	{"HTTPCode_ELB_4XX_Count", func(s lb.LoadBalancerStats) uint64 { return s.ELB4XX }},
	{"HTTPCode_ELB_5XX_Count", func(s lb.LoadBalancerStats) uint64 { return s.ELB5XX }},
	{"HTTPCode_ELB_500_Count", func(s lb.LoadBalancerStats) uint64 { return s.ELB500 }},
	{"HTTPCode_ELB_502_Count", func(s lb.LoadBalancerStats) uint64 { return s.ELB502 }},
	{"HTTPCode_ELB_503_Count", func(s lb.LoadBalancerStats) uint64 { return s.ELB503 }},
	{"HTTPCode_ELB_504_Count", func(s lb.LoadBalancerStats) uint64 { return s.ELB504 }},
	{"HTTP_Redirect_Count", func(s lb.LoadBalancerStats) uint64 { return s.HTTPRedirectCount }},
	{"HTTP_Redirect_Url_Limit_Exceeded_Count", func(s lb.LoadBalancerStats) uint64 {
		return s.HTTPRedirectURLLimitExceededCount
	}},
	{"HTTP_Fixed_Response_Count", func(s lb.LoadBalancerStats) uint64 {
		return s.HTTPFixedResponseCount
	}},
	{"DesyncMitigationMode_NonCompliant_Request_Count", func(s lb.LoadBalancerStats) uint64 {
		return s.DesyncNonCompliantRequestCount
	}},
	{"DroppedInvalidHeaderRequestCount", func(s lb.LoadBalancerStats) uint64 {
		return s.DroppedInvalidHeaderRequestCount
	}},
	{"ForwardedInvalidHeaderRequestCount", func(s lb.LoadBalancerStats) uint64 {
		return s.ForwardedInvalidHeaderCount
	}},
	{"NonStickyRequestCount", func(s lb.LoadBalancerStats) uint64 {
		return s.NonStickyRequestCount
	}},
	{"JWTValidationSuccessCount", func(s lb.LoadBalancerStats) uint64 {
		return s.JWTValidationSuccessCount
	}},
	{"JWTValidationFailureCount", func(s lb.LoadBalancerStats) uint64 {
		return s.JWTValidationFailureCount
	}},
}

// groupCounters are published for the target group behind its load balancer and, but for some, for
// the load balancer altogether.
var groupCounters = []counter[lb.GroupStats]{
	{"RequestCount", func(s lb.GroupStats) uint64 { return s.RequestCount }},
	{"HTTPCode_Target_2XX_Count", func(s lb.GroupStats) uint64 { return s.Target2XX }},
	{"HTTPCode_Target_3XX_Count", func(s lb.GroupStats) uint64 { return s.Target3XX }},
	{"HTTPCode_Target_4XX_Count", func(s lb.GroupStats) uint64 { return s.Target4XX }},
	{"HTTPCode_Target_5XX_Count", func(s lb.GroupStats) uint64 { return s.Target5XX }},
	{"TargetConnectionErrorCount", func(s lb.GroupStats) uint64 {
		return s.TargetConnectionErrorCount
	}},
	{"TargetTLSNegotiationErrorCount", func(s lb.GroupStats) uint64 {
		return s.TargetTLSNegotiationErrorCount
	}},
	{unhealthyRouting, func(s lb.GroupStats) uint64 { return s.UnhealthyRoutingRequestCount }},
	{grpcRequests, func(s lb.GroupStats) uint64 { return s.GrpcRequestCount }},
}

// functionCounters are published for the target group of a function, behind its load balancer and by
// itself.
var functionCounters = []counter[lb.GroupStats]{
	{"LambdaUserError", func(s lb.GroupStats) uint64 { return s.LambdaUserError }},
	{"LambdaInternalError", func(s lb.GroupStats) uint64 { return s.LambdaInternalError }},
}

// Metrics of groups that load balancers do not have.
const (
	unhealthyRouting = "UnhealthyRoutingRequestCount"
	grpcRequests     = "GrpcRequestCount"
)

// balancers publishes what load balancers count. What comes by the front door, which they share, the
// data plane counts for their groups only.
func (p *publication) balancers(r state.Reader, stats lb.Stats) {
	for b := range row.LoadBalancers.Scan(r, "") {
		now, last := stats.LoadBalancers[b.Path()], p.controller.last.LoadBalancers[b.Path()]
		dims := dimensions("LoadBalancer", b.Path())
		for _, c := range balancerCounters {
			p.count(b.Scope, c.name, dims, c.of(now)-c.of(last))
		}
		p.gauge(b.Scope, "ActiveConnectionCount", cloudwatch.StandardUnitCount, dims,
			float64(now.ActiveConnections))
		p.gauge(b.Scope, "ProcessedBytes", cloudwatch.StandardUnitBytes, dims,
			float64(now.ProcessedBytes-last.ProcessedBytes))
		p.gauge(b.Scope, "LambdaTargetProcessedBytes", cloudwatch.StandardUnitBytes, dims,
			float64(now.LambdaTargetProcessedBytes-last.LambdaTargetProcessedBytes))
	}
}

// groups publishes what target groups count, and the same for their load balancers.
func (p *publication) groups(r state.Reader, stats lb.Stats) {
	for arn, now := range stats.Groups {
		b, ok := row.LoadBalancers.Get(r, row.LoadBalancerOf(r, arn))
		if !ok {
			continue
		}
		last := p.controller.last.Groups[arn]
		whole := dimensions("LoadBalancer", b.Path())
		part := dimensions("LoadBalancer", b.Path(), "TargetGroup", groupPath(arn))
		for _, c := range groupCounters {
			n := c.of(now) - c.of(last)
			p.count(b.Scope, c.name, part, n)
			if c.name != unhealthyRouting && c.name != grpcRequests {
				p.count(b.Scope, c.name, whole, n)
			}
		}
		for _, c := range functionCounters {
			n := c.of(now) - c.of(last)
			p.count(b.Scope, c.name, part, n)
			p.count(b.Scope, c.name, dimensions("TargetGroup", groupPath(arn)), n)
		}
		if times := values(now.TargetResponseTime.Sub(last.TargetResponseTime)); len(times) > 0 {
			const name = "TargetResponseTime"
			p.put(b.Scope, name, cloudwatch.StandardUnitSeconds, part, times...)
			p.put(b.Scope, name, cloudwatch.StandardUnitSeconds, whole, times...)
		}
	}
}

// groupPath is the ARN's tail that metrics show: targetgroup/NAME/ID.
func groupPath(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// values are the durations of a histogram in seconds, such that their sum is its.
func values(h lb.Histogram) (list []metric.Value) {
	total := 0.0
	for at, n := range h.All() {
		list = append(list, metric.Value{Value: at.Seconds(), Count: float64(n)})
		total += at.Seconds() * float64(n)
	}
	for i := range list {
		list[i].Value *= h.Seconds / total
	}
	return list
}

// place is a target group, in a zone or, with none, altogether.
type place struct{ group, zone string }

// hosts counts targets.
type hosts struct{ healthy, unhealthy int }

// health publishes how many targets of each group are healthy, in each zone and altogether.
func (p *publication) health(r state.Reader) {
	counts := map[place]*hosts{}
	for h := range row.TargetHealths.Scan(r, "") {
		t, _ := row.Targets.Get(r, h.Key())
		for _, zone := range slices.Compact([]string{"", t.Zone}) {
			at := place{h.TargetGroup, zone}
			if counts[at] == nil {
				counts[at] = &hosts{}
			}
			counts[at].add(elbv2.TargetHealthStateEnum(h.State))
		}
	}
	for at, n := range counts {
		p.hosts(r, at, *n)
	}
}

func (n *hosts) add(state elbv2.TargetHealthStateEnum) {
	switch state {
	case elbv2.TargetHealthStateEnumHealthy:
		n.healthy++
	case elbv2.TargetHealthStateEnumUnhealthy:
		n.unhealthy++
	}
}

// hosts publishes both counts, zero or not.
func (p *publication) hosts(r state.Reader, at place, n hosts) {
	b, ok := row.LoadBalancers.Get(r, row.LoadBalancerOf(r, at.group))
	if !ok {
		return
	}
	dims := dimensions("LoadBalancer", b.Path(), "TargetGroup", groupPath(at.group))
	if at.zone != "" {
		dims = append(dims, dimensions("AvailabilityZone", at.zone)...)
	}
	for name, count := range map[string]int{
		"HealthyHostCount": n.healthy, "UnHealthyHostCount": n.unhealthy,
	} {
		p.put(b.Scope, name, cloudwatch.StandardUnitCount, dims,
			metric.Value{Value: float64(count), Count: 1})
	}
}
