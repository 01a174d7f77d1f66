package ec2

import (
	"regexp"
	"strings"
	"testing"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
)

func TestWildcard(t *testing.T) {
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "", false}, {"*", "", true}, {"?", "", false},
		{"web", "web", true}, {"web", "Web", false}, {"web", "webs", false},
		{"w*", "web", true}, {"*b", "web", true}, {"*e*", "web", true}, {"*x*", "web", false},
		{"w?b", "web", true}, {"w?b", "wb", false}, {"???", "web", true},
		{"a*b*c", "aXbXbXc", true}, {"a*b*c", "aXbXbX", false}, {"**", "web", true},
		{`\*`, "*", true}, {`\*`, "web", false}, {`\?`, "?", true}, {`a\\b`, `a\b`, true},
		{`\`, `\`, true}, {`w\eb`, "web", true},
	} {
		if got := wildcard(test.pattern, test.value); got != test.want {
			t.Errorf("wildcard(%q, %q) = %v", test.pattern, test.value, got)
		}
	}
}

// TestWildcardIsNotExponential would not end if it were.
func TestWildcardIsNotExponential(t *testing.T) {
	if wildcard(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 5000)) {
		t.Error("matched")
	}
}

// FuzzWildcard compares with a regular expression.
func FuzzWildcard(f *testing.F) {
	seeds := [][2]string{{"a*b?c", "aXXbYc"}, {`\*`, "*"}, {"**?", "ab"}, {`a\`, `a\`}}
	for _, seed := range seeds {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		var b strings.Builder
		b.WriteString(`(?s)\A`)
		for i := 0; i < len(pattern); i++ {
			switch c := pattern[i]; {
			case c >= 0x80:
				t.Skip() // regexp wants UTF-8, wildcard compares bytes
			case c == '*':
				b.WriteString(".*")
			case c == '?':
				b.WriteString(".")
			default:
				if c == '\\' && i+1 < len(pattern) {
					i++
				}
				b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
			}
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r >= 0x80 }) {
			t.Skip()
		}
		if pattern != "" && strings.ContainsFunc(pattern, func(r rune) bool { return r >= 0x80 }) {
			t.Skip()
		}
		want := regexp.MustCompile(b.String() + `\z`).MatchString(value)
		if got := wildcard(pattern, value); got != want {
			t.Errorf("wildcard(%q, %q) = %v", pattern, value, got)
		}
	})
}

func tagged3() []ec2.TagDescription {
	return wireAll(func(yield func(string) bool) {
		for _, id := range []string{"vpc-3", "vpc-1", "vpc-2"} {
			if !yield(id) {
				return
			}
		}
	}, func(id string) ec2.TagDescription {
		return ec2.TagDescription{ResourceId: new(id), Key: new("Name"), Value: new("of " + id)}
	})
}

func TestFilters(t *testing.T) {
	filter := func(name string, values ...string) ec2.Filter {
		return ec2.Filter{Name: new(name), Values: values}
	}
	many := make([]string, maxFilterValues+1)
	for _, test := range []struct {
		name    string
		filters []ec2.Filter
		want    string
	}{
		{"none", nil, "vpc-1 vpc-2 vpc-3"},
		{"any of the values", []ec2.Filter{filter("resource-id", "vpc-1", "vpc-3")}, "vpc-1 vpc-3"},
		{"all of the filters", []ec2.Filter{filter("resource-id", "vpc-1", "vpc-3"),
			filter("value", "*3")}, "vpc-3"},
		{"no values", []ec2.Filter{filter("resource-id")}, ""},
		{"tag", []ec2.Filter{filter("tag:Name", "of vpc-?")}, "vpc-1 vpc-2 vpc-3"},
		{"another tag", []ec2.Filter{filter("tag:name", "*")}, ""},
		{"tag key", []ec2.Filter{filter("tag-key", "Na*")}, "vpc-1 vpc-2 vpc-3"},
		{"unknown", []ec2.Filter{filter("colour", "red")}, "InvalidParameterValue"},
		{"tag without key", []ec2.Filter{filter("tag:", "red")}, "InvalidParameterValue"},
		{"without name", []ec2.Filter{{Values: []string{"red"}}}, "InvalidParameterValue"},
		{"too many", []ec2.Filter{filter("value", many...)}, "FilterLimitExceeded"},
	} {
		page, _, err := tagCatalog.list(tagged3(), query{filters: test.filters})
		var got []string
		for _, tag := range page {
			got = append(got, *tag.ResourceId)
		}
		if err != nil {
			got = []string{err.(*aws.Fault).Code}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %q", test.name, got, test.want)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add(vpcCatalog.token("vpc-1"))
	f.Add(subnetCatalog.token("subnet-1"))
	f.Add("")
	f.Add("dnBjLw")
	f.Fuzz(func(t *testing.T, token string) {
		last, err := vpcCatalog.parseToken(token)
		if err != nil {
			return
		}
		again, err := vpcCatalog.parseToken(vpcCatalog.token(last))
		if err != nil || again != last {
			t.Errorf("%q became %q, %v", last, again, err)
		}
	})
}

func TestShortRegion(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "use1", "eu-west-1": "euw1", "ap-southeast-2": "apse2", "ca-central-1": "cac1",
		"ap-northeast-1": "apne1", "us-gov-west-1": "usgw1", "me-south-1": "mes1",
		"eu-north-1": "eun1",
	} {
		if got := shortRegion(region); got != want {
			t.Errorf("%s is %s, want %s", region, got, want)
		}
	}
}
