package elbv2

import (
	"slices"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/lb/rewrite"
)

// normalTransforms checks the transforms of a rule as far as they stand alone and returns them in the
// form that AWS echoes. The texts of the faults are our own.
func normalTransforms(transforms []api.RuleTransform) ([]api.RuleTransform, error) {
	var normal []api.RuleTransform
	for _, t := range transforms {
		same := func(o api.RuleTransform) bool { return o.Type == t.Type }
		if slices.ContainsFunc(normal, same) {
			return nil, invalid("A rule can only have one '%s' transform", t.Type)
		}
		n, err := normalTransform(t)
		if err != nil {
			return nil, err
		}
		normal = append(normal, n)
	}
	return normal, nil
}

func normalTransform(t api.RuleTransform) (api.RuleTransform, error) {
	n := api.RuleTransform{Type: t.Type}
	var rewrites []api.RewriteConfig
	switch t.Type {
	case api.TransformTypeEnumHostHeaderRewrite:
		if t.UrlRewriteConfig != nil {
			return n, invalid("The 'UrlRewriteConfig' field is not compatible with '%s'", t.Type)
		}
		n.HostHeaderRewriteConfig = t.HostHeaderRewriteConfig
		rewrites = aws.Val(t.HostHeaderRewriteConfig).Rewrites
	case api.TransformTypeEnumUrlRewrite:
		if t.HostHeaderRewriteConfig != nil {
			return n, invalid("The 'HostHeaderRewriteConfig' field is not compatible with '%s'", t.Type)
		}
		n.UrlRewriteConfig = t.UrlRewriteConfig
		rewrites = aws.Val(t.UrlRewriteConfig).Rewrites
	}
	if len(rewrites) != 1 {
		return n, invalid("A '%s' transform must have exactly one rewrite", t.Type)
	}
	expr, replace := aws.Val(rewrites[0].Regex), aws.Val(rewrites[0].Replace)
	if _, err := rewrite.Compile(expr, replace, false); err != nil {
		return n, invalid("The '%s' transform is not valid: %v", t.Type, err)
	}
	return n, nil
}

// checkTransforms refuses transforms of what is not forwarded.
func checkTransforms(transforms []api.RuleTransform, actions []api.Action) error {
	forwards := slices.ContainsFunc(actions, func(a api.Action) bool {
		return a.Type == api.ActionTypeEnumForward
	})
	if len(transforms) > 0 && !forwards {
		return api.InvalidLoadBalancerActionException(
			"Transforms can only be specified for a rule with an action of type 'forward'")
	}
	return nil
}
