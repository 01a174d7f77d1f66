package aws

import (
	"regexp"
	"testing"
)

func TestParseARN(t *testing.T) {
	for _, good := range []string{
		"arn:aws:ecs:eu-west-1:123456789012:cluster/web",
		"arn:aws:iam::aws:policy/x",
		"arn:aws:logs:eu-west-1:123456789012:log-group:g:*",
	} {
		if a, ok := ParseARN(good); !ok || a.String() != good {
			t.Errorf("%s: got %v, %v", good, a, ok)
		}
	}
	for _, bad := range []string{"", "web", "arn:aws:ecs:eu-west-1:1", "arn:aws-cn:ecs:::x",
		"arn:aws:::a:x", "arn:aws:ecs:r:a:", "urn:aws:ecs:r:a:x"} {
		if a, ok := ParseARN(bad); ok {
			t.Errorf("%s is read as %v", bad, a)
		}
	}
}

func TestIDs(t *testing.T) {
	for form, make := range map[string]func() string{
		`^[0-9a-f]{17}$`:      func() string { return HexID(17) },
		`^[1-9][0-9]{18}$`:    func() string { return Digits(19) },
		`^[A-Za-z0-9_-]{21}$`: func() string { return Token(21) },
		`^[ab]{40}$`:          func() string { return Random("ab", 40) },
		`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`: UUID,
	} {
		seen := map[string]bool{}
		for range 100 {
			id := make()
			if !regexp.MustCompile(form).MatchString(id) || seen[id] {
				t.Errorf("%s: got %s", form, id)
			}
			seen[id] = true
		}
	}
}

func TestKnows(t *testing.T) {
	a := &API{Operations: []string{"A"}, OtherOperations: []string{"B"}}
	if !a.Knows("A") || !a.Knows("B") || a.Knows("C") {
		t.Error("an API does not know its operations")
	}
}

func TestAbsentMembers(t *testing.T) {
	if Val[int](nil) != 0 || Val(new(3)) != 3 || Or(nil, 4) != 4 || Or(new(3), 4) != 3 {
		t.Error("absent and present members are mixed up")
	}
}
