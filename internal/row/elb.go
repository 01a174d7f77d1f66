package row

import (
	"slices"
	"strings"
	"time"

	"fairlead/internal/api/elbv2"
	"fairlead/internal/state"
)

func elbTables() []state.TableInfo {
	return []state.TableInfo{LoadBalancers, Listeners, Rules, TargetGroups, Targets, TargetHealths}
}

// LoadBalancer is an Application Load Balancer.
type LoadBalancer struct {
	// Intent; writer: the elbv2 service.
	Scope
	ARN            string             `json:"arn"`
	Name           string             `json:"name"` // unique in the scope, compared as written
	ID             string             `json:"id"`   // 16 hex digits, the tail of the ARN
	DNSName        string             `json:"dnsName"`
	Scheme         string             `json:"scheme"` // internet-facing or internal
	VPC            string             `json:"vpc"`
	Nodes          []LoadBalancerNode `json:"nodes"`
	SecurityGroups []string           `json:"securityGroups"`
	// Attributes holds what was set; an absent key has its default. See package service/elbv2.
	Attributes map[string]string `json:"attributes,omitempty"`
	CreatedAt  time.Time         `json:"createdAt"`
	Tags       Tags              `json:"tags,omitempty"`

	// State is an elbv2.LoadBalancerStateEnum: provisioning until the nodes listen, then active.
	// Observed; writer: the balancer controller, once the service has created the row.
	State string `json:"state"`
}

// LoadBalancerNode is the presence of a load balancer in one zone: a network interface of its own.
type LoadBalancerNode struct {
	Zone   string `json:"zone"`
	Subnet string `json:"subnet"`
	ENI    string `json:"eni"`
}

// Path is the ARN's tail that logs, metrics and network interfaces show: app/NAME/ID.
func (b LoadBalancer) Path() string { return "app/" + b.Name + "/" + b.ID }

// Internal tells whether the load balancer has private addresses only.
func (b LoadBalancer) Internal() bool {
	return b.Scheme == string(elbv2.LoadBalancerSchemeEnumInternal)
}

// LoadBalancers is the table of load balancers.
// Indexes: name (Scope.Key(NAME)), dns (DNS name in lower case), group (security group id).
var LoadBalancers = state.NewTable("elb.balancer", func(b LoadBalancer) string { return b.ARN },
	state.Index[LoadBalancer]{Name: "name", Keys: func(b LoadBalancer) []string {
		return []string{b.Scope.Key(b.Name)}
	}},
	state.Index[LoadBalancer]{Name: "dns", Keys: func(b LoadBalancer) []string {
		return []string{strings.ToLower(b.DNSName)}
	}},
	state.Index[LoadBalancer]{Name: "group", Keys: func(b LoadBalancer) []string {
		return b.SecurityGroups
	}},
)

// Listener is a port on which a load balancer accepts connections. What it does with a request that
// no rule matches is told by its default rule, the one in [Rules] with priority 0.
// Intent; writer: the elbv2 service.
type Listener struct {
	Scope
	ARN          string `json:"arn"`
	LoadBalancer string `json:"loadBalancer"` // ARN
	Port         int    `json:"port"`
	Protocol     string `json:"protocol"` // HTTP or HTTPS
	// SSLPolicy, Certificate (ARN) and Certificates (the SNI list without the default, ARNs) are for
	// HTTPS only.
	SSLPolicy    string   `json:"sslPolicy,omitempty"`
	Certificate  string   `json:"certificate,omitempty"`
	Certificates []string `json:"certificates,omitempty"`
	// Attributes holds what was set; an absent key has its default.
	Attributes map[string]string `json:"attributes,omitempty"`
	Tags       Tags              `json:"tags,omitempty"`
}

// Listeners is the table of listeners.
// Indexes: balancer (ARN), certificate (ARN, default or SNI list).
var Listeners = state.NewTable("elb.listener", func(l Listener) string { return l.ARN },
	state.Index[Listener]{Name: "balancer", Keys: func(l Listener) []string {
		return []string{l.LoadBalancer}
	}},
	state.Index[Listener]{Name: "certificate", Keys: func(l Listener) []string {
		if l.Certificate == "" {
			return l.Certificates
		}
		return append([]string{l.Certificate}, l.Certificates...)
	}},
)

// Rule says what a listener does with the requests that meet all conditions.
// Intent; writer: the elbv2 service.
type Rule struct {
	Scope
	ARN          string `json:"arn"`
	Listener     string `json:"listener"`     // ARN
	LoadBalancer string `json:"loadBalancer"` // ARN
	Priority     int    `json:"priority"`     // 1 to 50000; 0 is the default rule, tried last
	// Conditions, Actions and Transforms are in the form that DescribeRules shows: of equal forms
	// both, and a forward action always with its ForwardConfig.
	Conditions []elbv2.RuleCondition `json:"conditions,omitempty"`
	Actions    []elbv2.Action        `json:"actions"`
	Transforms []elbv2.RuleTransform `json:"transforms,omitempty"`
	Tags       Tags                  `json:"tags,omitempty"`
}

// IsDefault tells whether the rule is its listener's default rule.
func (r Rule) IsDefault() bool { return r.Priority == 0 }

// TargetGroups lists the ARNs of the target groups that the rule forwards to, each once.
func (r Rule) TargetGroups() []string {
	var arns []string
	for _, a := range r.Actions {
		if a.ForwardConfig == nil {
			continue
		}
		for _, g := range a.ForwardConfig.TargetGroups {
			if g.TargetGroupArn != nil && !slices.Contains(arns, *g.TargetGroupArn) {
				arns = append(arns, *g.TargetGroupArn)
			}
		}
	}
	return arns
}

// Rules is the table of rules, default rules included.
// Indexes: listener (ARN), balancer (ARN), group (target group ARN).
var Rules = state.NewTable("elb.rule", func(r Rule) string { return r.ARN },
	state.Index[Rule]{Name: "listener", Keys: func(r Rule) []string { return []string{r.Listener} }},
	state.Index[Rule]{Name: "balancer", Keys: func(r Rule) []string { return []string{r.LoadBalancer} }},
	state.Index[Rule]{Name: "group", Keys: Rule.TargetGroups},
)

// LoadBalancerOf returns the ARN of the load balancer that forwards to a target group; a group is
// behind one load balancer at most. It is empty when no listener or rule uses the group.
func LoadBalancerOf(r state.Reader, targetGroup string) string {
	rule, _ := First(Rules.By(r, "group", targetGroup))
	return rule.LoadBalancer
}

// TargetGroup is a set of targets with one way to reach and to probe them.
// Intent; writer: the elbv2 service.
type TargetGroup struct {
	Scope
	ARN             string      `json:"arn"`
	Name            string      `json:"name"`                      // unique in the scope
	TargetType      string      `json:"targetType"`                // elbv2.TargetTypeEnum
	Protocol        string      `json:"protocol,omitempty"`        // HTTP or HTTPS
	ProtocolVersion string      `json:"protocolVersion,omitempty"` // HTTP1, HTTP2 or GRPC
	Port            int         `json:"port,omitempty"`
	VPC             string      `json:"vpc,omitempty"`
	HealthCheck     HealthCheck `json:"healthCheck"`
	// Attributes holds what was set; an absent key has its default.
	Attributes map[string]string `json:"attributes,omitempty"`
	CreatedAt  time.Time         `json:"createdAt"`
	Tags       Tags              `json:"tags,omitempty"`
}

// OfFunction tells whether the target of the group is a Lambda function: there is neither protocol nor
// port nor VPC then, also of its health checks.
func (g TargetGroup) OfFunction() bool {
	return g.TargetType == string(elbv2.TargetTypeEnumLambda)
}

// HealthCheck says how the targets of a group are probed. All fields are filled in.
type HealthCheck struct {
	Enabled            bool   `json:"enabled"`
	Protocol           string `json:"protocol"`
	Port               string `json:"port"` // "traffic-port" or a number
	Path               string `json:"path,omitempty"`
	IntervalSeconds    int    `json:"intervalSeconds"`
	TimeoutSeconds     int    `json:"timeoutSeconds"`
	HealthyThreshold   int    `json:"healthyThreshold"`
	UnhealthyThreshold int    `json:"unhealthyThreshold"`
	HTTPCode           string `json:"httpCode,omitempty"` // matcher, e.g. 200-299
	GRPCCode           string `json:"grpcCode,omitempty"` // matcher of a GRPC group, e.g. 0-12
}

// TargetGroups is the table of target groups. Indexes: name (Scope.Key(NAME)), vpc (id).
var TargetGroups = state.NewTable("elb.group", func(g TargetGroup) string { return g.ARN },
	state.Index[TargetGroup]{Name: "name", Keys: func(g TargetGroup) []string {
		return []string{g.Scope.Key(g.Name)}
	}},
	state.Index[TargetGroup]{Name: "vpc", Keys: func(g TargetGroup) []string { return []string{g.VPC} }},
)
