package balancer

import (
	"slices"
	"strconv"
	"strings"
	"time"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/lb"
	"fairlead/internal/row"
)

// compileRule translates a rule. Rows hold the form that AWS echoes, where conditions and actions
// are complete.
func compileRule(r row.Rule) lb.Rule {
	out := lb.Rule{ID: r.ARN, Priority: r.Priority}
	for _, c := range r.Conditions {
		out.Conditions = append(out.Conditions, compileCondition(c))
	}
	for _, a := range r.Actions {
		out.Actions = append(out.Actions, compileAction(a))
	}
	for _, t := range r.Transforms {
		out.Transforms = append(out.Transforms, compileTransform(t))
	}
	return out
}

func compileTransform(t api.RuleTransform) lb.Transform {
	var rewrites []api.RewriteConfig
	switch {
	case t.UrlRewriteConfig != nil:
		rewrites = t.UrlRewriteConfig.Rewrites
	case t.HostHeaderRewriteConfig != nil:
		rewrites = t.HostHeaderRewriteConfig.Rewrites
	}
	out := lb.Transform{Type: lb.TransformType(t.Type)}
	for _, r := range rewrites { // there is one
		out.Regex, out.Replace = aws.Val(r.Regex), aws.Val(r.Replace)
	}
	return out
}

func compileCondition(c api.RuleCondition) lb.Condition {
	out := lb.Condition{Values: c.Values, Regex: c.RegexValues}
	switch aws.Val(c.Field) {
	case "host-header":
		out.Field = lb.HostHeader
	case "path-pattern":
		out.Field = lb.PathPattern
	case "http-header":
		h := c.HttpHeaderConfig
		out.Field, out.HeaderName = lb.HTTPHeader, aws.Val(h.HttpHeaderName)
		out.Values, out.Regex = h.Values, h.RegexValues
	case "http-request-method":
		out.Field, out.Values = lb.HTTPRequestMethod, c.HttpRequestMethodConfig.Values
	case "source-ip":
		out.Field, out.Values = lb.SourceIP, c.SourceIpConfig.Values
	case "query-string":
		out.Field = lb.QueryString
		for _, p := range c.QueryStringConfig.Values {
			out.Query = append(out.Query, lb.QueryPair{Key: aws.Val(p.Key), Value: aws.Val(p.Value)})
		}
	}
	return out
}

func compileAction(a api.Action) lb.Action {
	out := lb.Action{Type: lb.ActionType(a.Type)}
	switch {
	case a.ForwardConfig != nil:
		out.Forward = compileForward(a.ForwardConfig)
	case a.RedirectConfig != nil:
		r := a.RedirectConfig
		out.Redirect = &lb.Redirect{
			StatusCode: number(strings.TrimPrefix(string(r.StatusCode), "HTTP_")),
			Protocol:   aws.Val(r.Protocol), Host: aws.Val(r.Host), Port: aws.Val(r.Port),
			Path: aws.Val(r.Path), Query: aws.Val(r.Query),
		}
	case a.FixedResponseConfig != nil:
		f := a.FixedResponseConfig
		out.FixedResponse = &lb.FixedResponse{
			StatusCode:  number(aws.Val(f.StatusCode)),
			ContentType: aws.Val(f.ContentType), Body: aws.Val(f.MessageBody),
		}
	case a.JwtValidationConfig != nil:
		out.JWTValidation = elb.TokenPolicy(a.JwtValidationConfig)
	}
	return out
}

func compileForward(f *api.ForwardActionConfig) *lb.Forward {
	out := &lb.Forward{}
	for _, g := range f.TargetGroups {
		out.Groups = append(out.Groups, lb.WeightedGroup{
			Group: aws.Val(g.TargetGroupArn), Weight: int(aws.Val(g.Weight)),
		})
	}
	if s := f.TargetGroupStickinessConfig; s != nil && aws.Val(s.Enabled) {
		out.Stickiness = time.Duration(aws.Val(s.DurationSeconds)) * time.Second
	}
	return out
}

// hostNames lists the patterns of a rule's host-header conditions.
func hostNames(r lb.Rule) (names []string) {
	for _, c := range r.Conditions {
		if c.Field == lb.HostHeader {
			names = append(names, c.Values...)
		}
	}
	return slices.Clip(names)
}

// number reads what the API has checked to be a number.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
