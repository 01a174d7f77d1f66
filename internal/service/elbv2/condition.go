package elbv2

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/lb/rewrite"
)

// The fields of rule conditions.
const (
	hostHeader    = "host-header"
	pathPattern   = "path-pattern"
	httpHeader    = "http-header"
	queryString   = "query-string"
	requestMethod = "http-request-method"
	sourceIP      = "source-ip"
)

// Patterns of condition values, see
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
var (
	hostValue     = regexp.MustCompile(`^[A-Za-z0-9.*?-]*$`)
	topLevel      = regexp.MustCompile(`\.[A-Za-z*?]+$`)
	pathValue     = regexp.MustCompile("^[A-Za-z0-9_.$/~\"'@:+&*?-]*$")
	headerName    = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	visibleASCII  = regexp.MustCompile(`^[\x20-\x7e]*$`)
	methodPattern = regexp.MustCompile(`^[A-Z_-]+$`)
)

// normalConditions checks the conditions of a rule and returns them in the form that AWS echoes:
// host-header and path-pattern carry their values twice, flat and in the config.
func normalConditions(conditions []api.RuleCondition) ([]api.RuleCondition, error) {
	if len(conditions) == 0 { // our own text
		return nil, invalid("A condition must be specified")
	}
	var normal []api.RuleCondition
	values, wildcards := 0, 0
	for _, c := range conditions {
		field := aws.Val(c.Field)
		repeatable := field == httpHeader || field == queryString
		same := func(o api.RuleCondition) bool { return *o.Field == field }
		if !repeatable && slices.ContainsFunc(normal, same) {
			return nil, invalid("A rule can only have one '%s' condition", field) // our own text
		}
		n, err := normalCondition(c)
		if err != nil {
			return nil, err
		}
		all := valuesOf(n)
		values += len(all)
		wildcards += countWildcards(field, all)
		normal = append(normal, n)
	}
	switch {
	case values > maxConditionValues:
		return nil, invalid("A rule can only have '%d' condition values", maxConditionValues)
	case wildcards > maxConditionWildcards: // by analogy
		return nil, invalid("A rule can only have '%d' condition wildcards", maxConditionWildcards)
	}
	return normal, nil
}

func normalCondition(c api.RuleCondition) (api.RuleCondition, error) {
	field := aws.Val(c.Field)
	switch field {
	case hostHeader:
		return normalHost(c)
	case pathPattern:
		return normalPath(c)
	case httpHeader, queryString, requestMethod, sourceIP:
		if len(c.Values)+len(c.RegexValues) > 0 {
			return c, invalid("The 'Values' field is not compatible with '%s'", field)
		}
	}
	switch field {
	case httpHeader:
		return normalHeader(c)
	case queryString:
		return normalQuery(c)
	case requestMethod:
		return normalMethod(c)
	case sourceIP:
		return normalSource(c)
	}
	// AWS never closes the first quote.
	return c, invalid("Condition field '%s' must be one of '[path-pattern,host-header,http-header,"+
		"http-request-method,query-string,source-ip]", field)
}

func normalHost(c api.RuleCondition) (api.RuleCondition, error) {
	config := aws.Val(c.HostHeaderConfig)
	values, err := eitherForm(hostHeader, c.Values, config.Values)
	regexes, err2 := eitherForm(hostHeader, c.RegexValues, config.RegexValues)
	if err := firstError(err, err2, checkValues(hostHeader, values, regexes, hostValue)); err != nil {
		return c, err
	}
	for _, v := range values {
		if !topLevel.MatchString(v) { // our own text
			return c, invalid("Condition value '%s' must have a '.' with only letters after the last one", v)
		}
	}
	return api.RuleCondition{
		Field: new(hostHeader), Values: values, RegexValues: regexes,
		HostHeaderConfig: &api.HostHeaderConditionConfig{Values: values, RegexValues: regexes},
	}, nil
}

func normalPath(c api.RuleCondition) (api.RuleCondition, error) {
	config := aws.Val(c.PathPatternConfig)
	values, err := eitherForm(pathPattern, c.Values, config.Values)
	regexes, err2 := eitherForm(pathPattern, c.RegexValues, config.RegexValues)
	if err := firstError(err, err2, checkValues(pathPattern, values, regexes, pathValue)); err != nil {
		return c, err
	}
	return api.RuleCondition{
		Field: new(pathPattern), Values: values, RegexValues: regexes,
		PathPatternConfig: &api.PathPatternConditionConfig{Values: values, RegexValues: regexes},
	}, nil
}

func normalHeader(c api.RuleCondition) (api.RuleCondition, error) {
	config := aws.Val(c.HttpHeaderConfig)
	name := aws.Val(config.HttpHeaderName)
	switch {
	case len(name) > maxHeaderNameLength:
		return c, invalid(
			"The 'HttpHeaderName' value is too long; the limit is '%d'", maxHeaderNameLength)
	case !headerName.MatchString(name) || strings.EqualFold(name, "host"): // our own text
		return c, invalid("The 'HttpHeaderName' value '%s' is not valid", name)
	}
	if err := checkValues(httpHeader, config.Values, config.RegexValues, visibleASCII); err != nil {
		return c, err
	}
	return api.RuleCondition{Field: new(httpHeader), HttpHeaderConfig: &config}, nil
}

func normalQuery(c api.RuleCondition) (api.RuleCondition, error) {
	config := aws.Val(c.QueryStringConfig)
	var all []string
	for _, p := range config.Values {
		if p.Value == nil {
			return c, invalid("A condition value must be specified")
		}
		all = append(all, *p.Value, aws.Val(p.Key))
	}
	if err := checkValues(queryString, all, nil, visibleASCII); err != nil {
		return c, err
	}
	return api.RuleCondition{Field: new(queryString), QueryStringConfig: &config}, nil
}

func normalMethod(c api.RuleCondition) (api.RuleCondition, error) {
	config := aws.Val(c.HttpRequestMethodConfig)
	for _, v := range config.Values {
		if len(v) > maxMethodLength {
			return c, invalid(
				"The '%s' value is too long; the limit is '%d'", requestMethod, maxMethodLength)
		}
	}
	if err := checkValues(requestMethod, config.Values, nil, methodPattern); err != nil {
		return c, err
	}
	return api.RuleCondition{Field: new(requestMethod), HttpRequestMethodConfig: &config}, nil
}

func normalSource(c api.RuleCondition) (api.RuleCondition, error) {
	config := aws.Val(c.SourceIpConfig)
	if len(config.Values) == 0 {
		return c, invalid("A condition value must be specified")
	}
	for _, v := range config.Values {
		if _, err := netip.ParsePrefix(v); err != nil || v == "255.255.255.255/32" { // our own text
			return c, invalid("Condition value '%s' is not a valid CIDR block", v)
		}
	}
	return api.RuleCondition{Field: new(sourceIP), SourceIpConfig: &config}, nil
}

// eitherForm returns the values that were given in one of two equal forms, or the same in both.
func eitherForm(field string, flat, config []string) ([]string, error) {
	if len(flat) > 0 && len(config) > 0 && !slices.Equal(flat, config) { // our own text
		return nil, invalid("The 'Values' field and the configuration of '%s' differ", field)
	}
	if len(flat) > 0 {
		return flat, nil
	}
	return config, nil
}

// checkValues checks the values of one condition against what its field permits.
func checkValues(field string, values, regexes []string, permitted *regexp.Regexp) error {
	if len(values)+len(regexes) == 0 {
		return invalid("A condition value must be specified")
	}
	for _, v := range slices.Concat(values, regexes) {
		if len(v) > maxConditionLength {
			return invalid("The '%s' value is too long; the limit is '%d'", field, maxConditionLength)
		}
	}
	for _, v := range values {
		if v == "" && field != queryString {
			return invalid("A condition value must be specified")
		}
		if !permitted.MatchString(v) {
			return invalid("Condition value '%s' contains a character that is not valid", v)
		}
	}
	for _, v := range regexes {
		if _, err := rewrite.Expression(v, false); err != nil { // our own text
			return invalid("Condition regex value '%s' is not valid", v)
		}
	}
	return nil
}

// valuesOf lists the values of a normal condition that the quotas count.
func valuesOf(c api.RuleCondition) []string {
	switch *c.Field {
	case hostHeader, pathPattern:
		return slices.Concat(c.Values, c.RegexValues)
	case httpHeader:
		return slices.Concat(c.HttpHeaderConfig.Values, c.HttpHeaderConfig.RegexValues)
	case requestMethod:
		return c.HttpRequestMethodConfig.Values
	case sourceIP:
		return c.SourceIpConfig.Values
	}
	var all []string
	for _, p := range c.QueryStringConfig.Values {
		all = append(all, aws.Val(p.Key)+"="+aws.Val(p.Value))
	}
	return all
}

// countWildcards counts * and ?, but not those that a backslash makes literal in a query string.
func countWildcards(field string, values []string) (n int) {
	if field == requestMethod || field == sourceIP {
		return 0
	}
	literal := strings.NewReplacer(`\*`, "", `\?`, "")
	for _, v := range values {
		if field == queryString {
			v = literal.Replace(v)
		}
		n += strings.Count(v, "*") + strings.Count(v, "?")
	}
	return n
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
