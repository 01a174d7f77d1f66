package elbv2

import (
	"reflect"
	"slices"
	"testing"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/row"
)

// FuzzCondition: what DescribeRules shows of a condition can be sent back and means the same.
func FuzzCondition(f *testing.F) {
	for _, field := range []string{hostHeader, pathPattern, httpHeader, queryString, requestMethod, sourceIP, "x"} {
		f.Add(field, "*.example.com", "^/v[0-9]+", "X-Env")
		f.Add(field, "10.0.0.0/8", "", "")
		f.Add(field, "GET", "(", "Host")
	}
	f.Fuzz(func(t *testing.T, field, value, regex, name string) {
		c := api.RuleCondition{Field: &field, Values: []string{value}}
		switch field {
		case hostHeader:
			c.RegexValues = []string{regex}
		case pathPattern:
			c.Values = nil
			c.PathPatternConfig = &api.PathPatternConditionConfig{
				Values: []string{value}, RegexValues: []string{regex},
			}
		case httpHeader:
			c.Values = nil
			c.HttpHeaderConfig = &api.HttpHeaderConditionConfig{HttpHeaderName: &name, Values: []string{value}}
		case queryString:
			c.Values = nil
			c.QueryStringConfig = &api.QueryStringConditionConfig{
				Values: []api.QueryStringKeyValuePair{{Key: &name, Value: &value}},
			}
		case requestMethod:
			c.Values = nil
			c.HttpRequestMethodConfig = &api.HttpRequestMethodConditionConfig{Values: []string{value}}
		case sourceIP:
			c.Values = nil
			c.SourceIpConfig = &api.SourceIpConditionConfig{Values: []string{value}}
		}
		once, err := normalConditions([]api.RuleCondition{c})
		if err != nil {
			return
		}
		twice, err := normalConditions(once)
		if err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%+v became %+v, %v", once, twice, err)
		}
	})
}

// FuzzTransform: the same of a transform.
func FuzzTransform(f *testing.F) {
	f.Add(false, "^/dp/([A-Za-z0-9]+)/?$", "/product.php?id=$1")
	f.Add(true, `\p{L}`, "$2")
	f.Fuzz(func(t *testing.T, host bool, regex, replace string) {
		rewrites := []api.RewriteConfig{{Regex: &regex, Replace: &replace}}
		in := api.RuleTransform{Type: "url-rewrite", UrlRewriteConfig: &api.UrlRewriteConfig{Rewrites: rewrites}}
		if host {
			in = api.RuleTransform{Type: "host-header-rewrite",
				HostHeaderRewriteConfig: &api.HostHeaderRewriteConfig{Rewrites: rewrites}}
		}
		once, err := normalTransforms([]api.RuleTransform{in})
		if err != nil {
			return
		}
		twice, err := normalTransforms(once)
		if err != nil || !reflect.DeepEqual(once, twice) || !reflect.DeepEqual(once[0], in) {
			t.Errorf("%+v became %+v, then %+v, %v", in, once, twice, err)
		}
	})
}

func TestActionsStayNormal(t *testing.T) {
	group := new("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/a/1")
	for _, a := range []api.Action{
		{Type: "forward", TargetGroupArn: group},
		{Type: "forward", Order: new(int32(1)), ForwardConfig: &api.ForwardActionConfig{
			TargetGroups: []api.TargetGroupTuple{{TargetGroupArn: group, Weight: new(int32(7))}},
			TargetGroupStickinessConfig: &api.TargetGroupStickinessConfig{
				Enabled: new(true), DurationSeconds: new(int32(60)),
			},
		}},
		{Type: "redirect", RedirectConfig: &api.RedirectActionConfig{
			Query: new(""), Path: new("/x-#{path}-#{host}"), StatusCode: "HTTP_301",
		}},
		{Type: "fixed-response", FixedResponseConfig: &api.FixedResponseActionConfig{StatusCode: new("404")}},
	} {
		once, err := normalActions([]api.Action{a})
		if err != nil {
			t.Errorf("%+v: %v", a, err)
			continue
		}
		twice, err := normalActions(once)
		if err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%+v became %+v, %v", once, twice, err)
		}
	}
}

func TestHealthCheckOfGRPC(t *testing.T) {
	g := row.TargetGroup{TargetType: "ip", Protocol: "HTTP", ProtocolVersion: "GRPC"}
	h, err := newHealthCheck(g, &api.CreateTargetGroupInput{})
	if err != nil || h.Path != "/AWS.ALB/healthcheck" || h.GRPCCode != "12" || h.HTTPCode != "" {
		t.Errorf("%+v, %v", h, err)
	}
	g.HealthCheck = h
	for codes, ok := range map[string]bool{"0-99": true, "100": false, "5-4": false, "0,": false} {
		_, err := modifyHealthCheck(g, &api.ModifyTargetGroupInput{Matcher: &api.Matcher{GrpcCode: &codes}})
		if (err == nil) != ok {
			t.Errorf("%s: %v", codes, err)
		}
	}
	_, err = modifyHealthCheck(g, &api.ModifyTargetGroupInput{Matcher: &api.Matcher{HttpCode: new("200")}})
	if err == nil {
		t.Error("a GRPC group took HTTP codes")
	}
}

// FuzzPaginate: any marker is an error or gives a page; following the markers shows everything.
func FuzzPaginate(f *testing.F) {
	f.Add("", int32(1))
	f.Add("MQ", int32(3))
	f.Add("LTE", int32(2)) // -1
	f.Fuzz(func(t *testing.T, marker string, size int32) {
		items := []int{1, 2, 3, 4, 5, 6, 7}
		size = 1 + max(size, -size, 0)%maxPageSize
		page, next, err := paginate(items, &marker, &size)
		if err != nil {
			return
		}
		for next != nil && err == nil {
			var more []int
			more, next, err = paginate(items, next, &size)
			page = append(slices.Clip(page), more...)
		}
		if err != nil || !slices.Equal(page, items[len(items)-len(page):]) {
			t.Errorf("pages %v, %v", page, err)
		}
	})
}
