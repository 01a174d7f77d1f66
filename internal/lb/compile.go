package lb

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Table is a compiled [TableSpec]: checked, indexed, immutable.
type Table struct {
	spec   TableSpec
	groups map[string]*Group
	used   map[string]bool // groups that an action refers to
}

// Compile checks a spec and prepares it for serving. The error joins everything that is wrong; a
// setting that the data plane does not honour is an error, never ignored.
func Compile(spec TableSpec) (*Table, error) {
	t := &Table{spec: spec, groups: map[string]*Group{}, used: map[string]bool{}}
	var errs []error
	for i := range spec.Groups {
		g := &spec.Groups[i]
		if t.groups[g.ID] != nil {
			errs = append(errs, fmt.Errorf("group %s: appears twice", g.ID))
		}
		t.groups[g.ID] = g
	}
	for i := range spec.Listeners {
		if err := t.compileListener(&spec.Listeners[i]); err != nil {
			errs = append(errs, fmt.Errorf("listener %s: %w", spec.Listeners[i].ID, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("compile table: %w", err)
	}
	return t, nil
}

func (t *Table) compileListener(l *Listener) error {
	errs := []error{t.checkActions(l.Default)}
	if l.Protocol == HTTPS && (l.TLS == nil || len(l.TLS.Certificates) == 0) {
		errs = append(errs, errors.New("HTTPS needs a certificate"))
	}
	l.Rules = slices.SortedStableFunc(slices.Values(l.Rules), func(a, b Rule) int {
		return cmp.Compare(a.Priority, b.Priority)
	})
	for _, r := range l.Rules {
		if err := t.checkActions(r.Actions); err != nil {
			errs = append(errs, fmt.Errorf("rule %d: %w", r.Priority, err))
		}
	}
	return errors.Join(errs...)
}

func (t *Table) checkActions(actions []Action) error {
	if len(actions) != 1 {
		return fmt.Errorf("want exactly one action, have %d", len(actions))
	}
	switch a := actions[0]; {
	case a.Type == ActionForward && a.Forward != nil:
		return t.checkForward(a.Forward)
	case a.Type == ActionRedirect && a.Redirect != nil,
		a.Type == ActionFixedResponse && a.FixedResponse != nil:
		return nil
	default:
		return fmt.Errorf("action %q is not supported by the data plane", a.Type)
	}
}

func (t *Table) checkForward(f *Forward) error {
	for _, w := range f.Groups {
		if t.groups[w.Group] == nil {
			return fmt.Errorf("forward to unknown group %s", w.Group)
		}
		t.used[w.Group] = true
	}
	return nil
}
