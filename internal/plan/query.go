package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxQuery is the longest expression of the cluster query language, in characters.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementConstraint.html
const maxQuery = 2000

// Query is an expression of the cluster query language, which chooses container instances.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html
type Query func(Instance) bool

// ParseQuery reads an expression. A condition on an attribute that an instance does not have is
// false, and its negation true.
func ParseQuery(text string) (Query, error) {
	if len(text) > maxQuery {
		return nil, fmt.Errorf("an expression has at most %d characters", maxQuery)
	}
	p := queryParser{words: queryWord.FindAllString(text, -1)}
	if rest := queryWord.ReplaceAllString(text, ""); strings.TrimSpace(rest) != "" {
		return nil, fmt.Errorf("unexpected %q", strings.TrimSpace(rest))
	}
	q, err := p.or()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("unexpected %q", p.words[0])
	}
	return q, err
}

// queryWord is one word: an operator, a bracket, a quoted or a bare value.
var queryWord = regexp.MustCompile(
	`==|!=|>=|<=|=~|!~|!exists|!in|&&|\|\||[()\[\],<>!]|"[^"]*"|'[^']*'|[^\s()\[\],<>!=&|"']+`)

type queryParser struct{ words []string }

func (p *queryParser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *queryParser) take() string {
	word := p.peek()
	p.words = p.words[min(1, len(p.words)):]
	return word
}

// or reads terms joined by "or"; "and" binds closer.
func (p *queryParser) or() (Query, error) {
	return p.join(p.and, func(a, b bool) bool { return a || b }, "or", "||")
}

func (p *queryParser) and() (Query, error) {
	return p.join(p.term, func(a, b bool) bool { return a && b }, "and", "&&")
}

func (p *queryParser) join(
	operand func() (Query, error), combine func(a, b bool) bool, words ...string,
) (Query, error) {
	left, err := operand()
	for err == nil && slices.Contains(words, p.peek()) {
		p.take()
		var right Query
		if right, err = operand(); err == nil {
			before := left
			left = func(i Instance) bool { return combine(before(i), right(i)) }
		}
	}
	return left, err
}

// term reads a condition, or an expression in brackets that may be negated.
func (p *queryParser) term() (Query, error) {
	switch p.peek() {
	case "not", "!":
		p.take()
		q, err := p.term()
		return func(i Instance) bool { return !q(i) }, err
	case "(":
		p.take()
		q, err := p.or()
		if err == nil && p.take() != ")" {
			err = fmt.Errorf("a bracket is not closed")
		}
		return q, err
	}
	return p.condition()
}

// negations lists the operators that are the opposite of another.
var negations = map[string]string{
	"!=": "==", "not_equals": "==", "!exists": "exists", "not_exists": "exists",
	"!in": "in", "not_in": "in", "!~": "=~", "not_matches": "=~",
}

func (p *queryParser) condition() (Query, error) {
	subject, err := p.subject()
	if err != nil {
		return nil, err
	}
	op := p.take()
	positive, negated := negations[op]
	if !negated {
		positive = op
	}
	test, err := p.test(positive)
	if err != nil {
		return nil, err
	}
	return func(i Instance) bool { return slices.ContainsFunc(subject(i), test) != negated }, nil
}

// subject reads what a condition is about: all values that the instance has of it.
func (p *queryParser) subject() (func(Instance) []string, error) {
	word := p.take()
	if name, ok := strings.CutPrefix(word, "attribute:"); ok {
		return func(i Instance) []string { return i.attribute(name) }, nil
	}
	switch word {
	case "agentConnected":
		return func(i Instance) []string { return []string{strconv.FormatBool(i.AgentConnected)} }, nil
	case "agentVersion":
		return func(i Instance) []string { return []string{i.AgentVersion} }, nil
	case "ec2InstanceId":
		return func(i Instance) []string { return []string{i.EC2InstanceID} }, nil
	case "registeredAt":
		return func(i Instance) []string { return []string{i.RegisteredAt.Format(time.RFC3339)} }, nil
	case "runningTasksCount":
		return func(i Instance) []string { return []string{strconv.Itoa(i.tasks())} }, nil
	case "task:group":
		return Instance.groups, nil
	}
	return nil, fmt.Errorf("%q cannot be asked for", word)
}

// test reads the argument of an operator.
func (p *queryParser) test(op string) (func(string) bool, error) {
	switch op {
	case "exists":
		return func(string) bool { return true }, nil
	case "in":
		list, err := p.list()
		return func(v string) bool { return slices.Contains(list, v) }, err
	}
	word := p.take()
	if word == "" || strings.ContainsAny(word, "()[],<>!&|") && word[0] != '"' && word[0] != '\'' {
		return nil, fmt.Errorf("the operator %q lacks its argument", op)
	}
	arg := strings.Trim(word, `"'`)
	switch op {
	case "==", "equals":
		return func(v string) bool { return v == arg }, nil
	case "=~", "matches":
		pattern, err := regexp.Compile("^(?:" + arg + ")$")
		if err != nil {
			return nil, fmt.Errorf("the pattern %q: %w", arg, err)
		}
		return pattern.MatchString, nil
	case ">", "greater_than":
		return func(v string) bool { return compareValues(v, arg) > 0 }, nil
	case ">=", "greater_than_equal":
		return func(v string) bool { return compareValues(v, arg) >= 0 }, nil
	case "<", "less_than":
		return func(v string) bool { return compareValues(v, arg) < 0 }, nil
	case "<=", "less_than_equal":
		return func(v string) bool { return compareValues(v, arg) <= 0 }, nil
	}
	return nil, fmt.Errorf("there is no operator %q", op)
}

// list reads "[a, b]".
func (p *queryParser) list() (list []string, err error) {
	if p.take() != "[" {
		return nil, fmt.Errorf("a list begins with [")
	}
	for p.peek() != "]" && p.peek() != "" {
		if word := p.take(); word != "," {
			list = append(list, strings.Trim(word, `"'`))
		}
	}
	if p.take() != "]" {
		return nil, fmt.Errorf("a list ends with ]")
	}
	return list, nil
}

// compareValues compares numbers and versions part by part, and anything else as text.
func compareValues(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		if errX != nil || errY != nil {
			return strings.Compare(a, b)
		}
		if x != y {
			return x - y
		}
	}
	return len(as) - len(bs)
}
